//! How fast background work goes: a share of one core, and much less while others want it (decision 0022).

use std::time::{Duration, Instant};

/// Longest rest between two steps.
const MAX_REST: Duration = Duration::from_millis(500);
/// Work that waited for a core for more than this share of the time it worked is in somebody's way...
const CONTENDED: f64 = 0.1;
/// ...and then rests this many times longer than it worked.
const CONTENDED_RESTS: f64 = 19.0;
/// Longest rest then.
const MAX_CONTENDED_REST: Duration = Duration::from_secs(2);

/// The pace of work that one thread does step by step. Made, and asked, on that thread.
#[derive(Debug)]
pub struct Pace {
    share: f64,
    worked_since: Instant,
    waited_before: Duration,
}

impl Pace {
    /// Takes at most this share of a core, above 0 to 1; at 1 it never rests.
    pub fn new(share: f64) -> Self {
        Self { share, worked_since: Instant::now(), waited_before: waited_for_a_core() }
    }

    /// How long to rest now, for the work since it was made or since [`Pace::go_on`].
    pub fn rest(&self) -> Duration {
        if self.share >= 1.0 {
            return Duration::ZERO;
        }
        let worked = self.worked_since.elapsed();
        let waited = waited_for_a_core().saturating_sub(self.waited_before);
        match waited > worked.mul_f64(CONTENDED) {
            true => worked.mul_f64(CONTENDED_RESTS).min(MAX_CONTENDED_REST),
            false => worked.mul_f64((1.0 - self.share) / self.share.max(0.01)).min(MAX_REST),
        }
    }

    /// The next step begins.
    pub fn go_on(&mut self) {
        (self.worked_since, self.waited_before) = (Instant::now(), waited_for_a_core());
    }
}

/// How long this thread was ready to run and did not, since it began; 0 where the kernel does not say. Second number of
/// `/proc/thread-self/schedstat`, nanoseconds (Documentation/scheduler/sched-stats of Linux).
fn waited_for_a_core() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

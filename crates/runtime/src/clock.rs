//! The only place that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the time as nanoseconds since 1970, UTC. Cheap to clone.
///
/// There are two times: what the machine's clock says, which may jump when it is set, and a steady one, which only passes.
/// Deadlines and ages go by the steady one, so that a clock that is set ahead does not end everything at once.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System {
        /// What the machine's clock said when this was made.
        started_unix_nanos: i64,
        started: Instant,
    },
    Fixed(Arc<Fixed>),
}

#[derive(Debug)]
struct Fixed {
    unix_nanos: AtomicI64,
    steady_nanos: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System { started_unix_nanos: system_unix_nanos(), started: Instant::now() })
    }

    /// A clock that stands at `nanos` until [`Clock::advance`] or [`Clock::jump`] moves it; for tests.
    pub fn fixed(nanos: i64) -> Self {
        Self(Source::Fixed(Arc::new(Fixed { unix_nanos: nanos.into(), steady_nanos: nanos.into() })))
    }

    /// Nanoseconds since 1970, by the machine's clock.
    pub fn unix_nanos(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => system_unix_nanos(),
            Source::Fixed(fixed) => fixed.unix_nanos.load(Ordering::SeqCst),
        }
    }

    /// What the machine's clock said when this was made, plus what has passed since: never goes back, never jumps, and
    /// stands still while the machine sleeps. Clones agree.
    pub fn steady_nanos(&self) -> i64 {
        match &self.0 {
            Source::System { started_unix_nanos, started } => {
                started_unix_nanos.saturating_add(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX))
            }
            Source::Fixed(fixed) => fixed.steady_nanos.load(Ordering::SeqCst),
        }
    }

    /// Lets time pass on a fixed clock; the machine's clock does not obey.
    pub fn advance(&self, by: Duration) {
        let by_nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        if let Source::Fixed(fixed) = &self.0 {
            fixed.steady_nanos.fetch_add(by_nanos, Ordering::SeqCst);
        }
        self.jump(by_nanos);
    }

    /// Sets a fixed clock ahead, or back, by so many nanoseconds without any time passing; the machine's clock does not obey.
    pub fn jump(&self, by_nanos: i64) {
        if let Source::Fixed(fixed) = &self.0 {
            fixed.unix_nanos.fetch_add(by_nanos, Ordering::SeqCst);
        }
    }
}

fn system_unix_nanos() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else has to use")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

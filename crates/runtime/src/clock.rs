//! The only place that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads wall-clock time as nanoseconds since 1970, UTC. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    fixed: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands at `nanos` until [`Clock::advance`] moves it; for tests.
    pub fn fixed(nanos: i64) -> Self {
        Self { fixed: Some(Arc::new(AtomicI64::new(nanos))) }
    }

    /// Nanoseconds since 1970.
    pub fn unix_nanos(&self) -> i64 {
        if let Some(fixed) = &self.fixed {
            return fixed.load(Ordering::SeqCst);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the clock everybody else has to use")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    /// Moves a fixed clock forward; the machine's clock does not obey.
    pub fn advance(&self, by: Duration) {
        if let Some(fixed) = &self.fixed {
            fixed.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

//! How far a run is, and the word that ends it.

use std::sync::{Arc, Mutex, PoisonError};

use runtime::Stop;

use crate::ReplayProgress;

/// Shared between a run and those who look at it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    progress: Arc<Mutex<ReplayProgress>>,
    stop: Stop,
}

impl Watch {
    /// Of a run that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of a run that has come this far.
    pub fn at(progress: ReplayProgress) -> Self {
        let watch = Self::default();
        watch.show(progress);
        watch
    }

    /// How far it is.
    pub fn progress(&self) -> ReplayProgress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run soon: at the next batch.
    pub fn cancel(&self) {
        self.stop.ask();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.stop.is_asked()
    }

    pub(super) fn show(&self, progress: ReplayProgress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

//! Locks that stay usable after a panic elsewhere, and whose order of locking a test can choose.

use std::sync::PoisonError;

// the crate's own unit tests run what they lock in every order that a scheduler thinks of
#[cfg(test)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Locks. What these mutexes protect is replaced in one step, so a panic never leaves it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

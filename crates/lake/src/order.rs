//! Locks and numbers of the hand-over from memory to files, whose order a test can choose.
//!
//! The crate's own unit tests run them under shuttle, in every order that its schedulers think of; everybody else has
//! those of the standard library.

use std::sync::PoisonError;

#[cfg(test)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

/// Locks. What these mutexes protect is replaced in one step, so a panic never leaves it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

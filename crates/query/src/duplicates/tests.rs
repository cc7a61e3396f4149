//! tests to come.

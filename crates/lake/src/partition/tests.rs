//! Which rows share a file.

//! The engine, live.

//! The lake from the outside: what went in is found exactly once, in memory or in files, whatever happens in between.

mod crash;
mod files;
mod hammer;
mod memory;
mod odd;
mod retention;
mod support;

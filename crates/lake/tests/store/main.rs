//! The lake from the outside: what went in is found exactly once, in memory or in files, whatever happens in between.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

mod bucket;
mod crash;
mod damage;
/// The same as the end-to-end tests have.
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../../../../tests/e2e/dice.rs"]
mod dice;
mod encrypted;
mod files;
mod hammer;
mod jump;
mod kept;
mod memory;
mod merge;
mod newer;
mod odd;
mod promoted;
mod remote;
mod retention;
mod rot;
mod support;

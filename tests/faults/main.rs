//! Faults of disk, process and clock: what was acknowledged is there afterwards, once.
//!
//! Each test has a short form, which `make test` runs, and a full form, which `make faults` runs; `TRACEHOUND_FAULTS=full`
//! tells them apart. docs/faults.md lists them with what was measured.

/// The same as the tests of the lake have.
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../../crates/lake/tests/store/bucket.rs"]
mod bucket;
mod disk;
mod failed_sync;
mod failed_write;
mod form;
mod full_disk;
mod injection;
mod kill;
mod ledger;
mod merges;
mod outage;
mod power;
mod recording;
mod recovery;
mod rolling;
mod small_disk;
mod writers;

//! End to end: the real binary, real sockets, real SDKs, a real webhook receiver, a real browser.

mod abuse;
mod access;
mod arrows;
mod bad_input;
mod browser;
/// The same as the tests of the lake have.
#[path = "../../crates/lake/tests/store/bucket.rs"]
mod bucket;
mod clients;
mod damage;
mod demo;
mod detection_as_code;
mod doctor;
mod encryption;
mod hostile;
mod learning;
mod malformed;
mod offline;
mod own_traces;
mod protocol;
mod redaction;
mod reload;
mod remote;
mod tls;

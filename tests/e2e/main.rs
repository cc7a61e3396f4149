//! End to end: the real binary, real sockets, real SDKs, a real webhook receiver, a real browser.

mod abuse;
mod access;
mod arrows;
mod bad_input;
mod browser;
mod clients;
mod damage;
mod demo;
mod doctor;
mod malformed;
mod offline;
mod own_traces;
mod protocol;
mod redaction;
mod reload;
mod tls;

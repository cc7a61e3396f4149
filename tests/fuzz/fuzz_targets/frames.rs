//! Fuzzes the write-ahead log's reader, over damaged segments.

#![no_main]

#[path = "../properties.rs"]
#[expect(dead_code, reason = "each target checks its own property")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::frames(input));

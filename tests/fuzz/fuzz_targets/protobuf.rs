//! Fuzzes OTLP protobuf of spans and logs.

#![no_main]

#[path = "../properties.rs"]
#[expect(dead_code, reason = "each target checks its own property")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::protobuf(input));

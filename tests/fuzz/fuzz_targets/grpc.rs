//! Fuzzes bodies of gRPC calls: the prefix, what it holds, and the request in it.

#![no_main]

#[path = "../properties.rs"]
#[expect(dead_code, reason = "each target checks its own property")]
mod properties;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::grpc(input));

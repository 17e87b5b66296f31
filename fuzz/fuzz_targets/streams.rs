//! Runs `decoders::streams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::streams(bytes));

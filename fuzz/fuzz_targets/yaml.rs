//! Runs `decoders::yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::yaml(bytes));

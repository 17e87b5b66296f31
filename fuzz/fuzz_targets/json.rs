//! Runs `decoders::json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::json(bytes));

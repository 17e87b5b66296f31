//! Runs `decoders::store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::store(bytes));

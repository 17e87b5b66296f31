//! Runs `decoders::selectors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::selectors(bytes));

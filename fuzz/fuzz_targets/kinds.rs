//! Runs `decoders::kinds`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::kinds(bytes));

//! Runs `decoders::certificates`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::certificates(bytes));

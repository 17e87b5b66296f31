//! Runs `decoders::apply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::apply(bytes));

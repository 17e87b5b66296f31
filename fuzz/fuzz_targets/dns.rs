//! Runs `decoders::dns`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::dns(bytes));

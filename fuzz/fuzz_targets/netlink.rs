//! Runs `decoders::netlink`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::netlink(bytes));

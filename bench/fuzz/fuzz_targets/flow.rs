//! Messages of clients and servers in every order: whose answer each is stays known, or the connection is closed.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| palisade_proxy::measured::play(script));

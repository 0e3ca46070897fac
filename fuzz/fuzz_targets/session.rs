//! A session of PostgreSQL's protocol, whatever client and server say, and whoever else has a word in it.
#![no_main]

#[path = "../driven/session.rs"]
mod driven;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| driven::drive(data));

//! The body of an outbox' row, whose checksum fits.
#![no_main]

use evenkeel_actors::stores::outbox::decode_record;
use evenkeel_core::journal::{EntryId, Stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    for stream in Stream::ALL {
        let _ = decode_record(stream, EntryId { ms: 1, n: 0 }, body);
    }
});

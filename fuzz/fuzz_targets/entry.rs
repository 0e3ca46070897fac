//! The fields of a stream's entry, as Redis or whoever pretends to be one may give them: one a line, name and value.
#![no_main]

use evenkeel_core::journal::{Entry, EntryId, Stream};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    let id = text.lines().next().and_then(|line| line.parse().ok()).unwrap_or(EntryId { ms: 1, n: 0 });
    for stream in Stream::ALL {
        if let Ok(entry) = Entry::decode(stream, id, pairs.clone()) {
            // What is read is written again as it was understood.
            let fields = entry.fields();
            let again = fields.iter().map(|(name, value)| (*name, value.as_str()));
            assert_eq!(Entry::decode(stream, id, again), Ok(entry));
        }
    }
});

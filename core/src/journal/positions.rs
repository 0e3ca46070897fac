//! How far a reader has come in each stream.

use serde::{Deserialize, Serialize};

use super::{entry::EntryId, per_stream::PerStream, record::Stream};

/// The last applied id of each stream; 0-0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Positions(PerStream<EntryId>);

impl Positions {
    /// After every entry that can be.
    pub fn end() -> Self {
        Self(PerStream::from_fn(|_| EntryId { ms: u64::MAX, n: u64::MAX }))
    }

    /// The last applied id of `stream`.
    pub fn get(&self, stream: Stream) -> EntryId {
        self.0[stream]
    }

    /// Notes that `stream` has been applied up to `id`; never goes back.
    pub fn advance(&mut self, stream: Stream, id: EntryId) {
        self.0[stream] = id.max(self.0[stream]);
    }
}

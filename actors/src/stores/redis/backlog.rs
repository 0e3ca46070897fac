//! The outbox as shipping reads it.

use evenkeel_core::journal::{Entry, EntryId, Positions, QueryText, Stream};

use crate::{
    ports::history::ReadError,
    stores::outbox::{OutboxReader, Since},
};

/// What there is to be shipped, and what there was.
pub(crate) trait Backlog: Send {
    /// See [`OutboxReader::since`].
    fn since(&self, after: &Positions, limit: usize) -> Result<Since, ReadError>;

    /// The entry with this id, if it is still kept.
    fn entry(&self, stream: Stream, id: EntryId) -> Result<Option<Entry>, ReadError>;

    /// See [`OutboxReader::end`].
    fn end(&self, stream: Stream) -> Result<(EntryId, u64, u64), ReadError>;

    /// See [`OutboxReader::texts_after`].
    fn texts_after(&self, n: u64, limit: usize) -> Result<Vec<(u64, QueryText)>, ReadError>;
}

impl Backlog for OutboxReader {
    fn since(&self, after: &Positions, limit: usize) -> Result<Since, ReadError> {
        self.since(after, limit)
    }

    fn entry(&self, stream: Stream, id: EntryId) -> Result<Option<Entry>, ReadError> {
        Ok(self.range(stream, id, id, 1)?.pop())
    }

    fn end(&self, stream: Stream) -> Result<(EntryId, u64, u64), ReadError> {
        self.end(stream)
    }

    fn texts_after(&self, n: u64, limit: usize) -> Result<Vec<(u64, QueryText)>, ReadError> {
        self.texts_after(n, limit)
    }
}

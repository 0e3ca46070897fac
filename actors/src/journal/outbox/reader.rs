//! Reading beside a running writer, or after one.

use std::path::Path;

use evenkeel_core::journal::{Entry, EntryId, ServerState, Stream};

use super::{error::ReadError, head::Meta};

/// Where the journal stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The last commit.
    pub revision: u64,
    /// When it was decided, Unix ms.
    pub at_ms: u64,
    /// The state rows.
    pub state: ServerState,
    /// Executions that wait.
    pub queue_length: u64,
}

/// How much of a stream there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Entries.
    pub length: u64,
    /// Sequence number and id of the first, if there is one.
    pub first: Option<(u64, EntryId)>,
    /// Sequence number and id of the last, if there is one.
    pub last: Option<(u64, EntryId)>,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// The outbox, open for reading: its own connection, which changes nothing. Blocking.
#[derive(Debug)]
pub struct OutboxReader {}

impl OutboxReader {
    /// Opens the journal in `dir`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        let _ = dir;
        unimplemented!()
    }

    /// What the journal is.
    ///
    /// # Errors
    /// [`ReadError`], as for all of these.
    pub fn meta(&self) -> Result<Meta, ReadError> {
        unimplemented!()
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn head(&self) -> Result<Head, ReadError> {
        unimplemented!()
    }

    /// How much of `stream` there is.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn info(&self, stream: Stream) -> Result<StreamInfo, ReadError> {
        let _ = stream;
        unimplemented!()
    }

    /// The first `limit` entries after `id`, in id order. What has been trimmed is passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn after(&self, stream: Stream, id: EntryId, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let _ = (stream, id, limit);
        unimplemented!()
    }

    /// The last `limit` entries before `id`, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn before(&self, stream: Stream, id: EntryId, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let _ = (stream, id, limit);
        unimplemented!()
    }

    /// The last `limit` entries, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tail(&self, stream: Stream, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let _ = (stream, limit);
        unimplemented!()
    }

    /// The first `limit` entries of `from..=to`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn range(
        &self,
        stream: Stream,
        from: EntryId,
        to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        let _ = (stream, from, to, limit);
        unimplemented!()
    }
}

//! What has been recorded, read by those who look for it.

use std::path::{Path, PathBuf};

use evenkeel_core::journal::{EntryId, Stream};

use super::ledger::Over;

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

/// The outbox cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no journal.
    #[error("{} holds no journal: `evenkeel run --data-dir` creates one", dir.display())]
    Missing {
        /// The data directory.
        dir: PathBuf,
    },
    /// There is one and it cannot be opened or read.
    #[error("{} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The database.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Written by a later evenkeel.
    #[error("{} has format version {found}; this evenkeel reads version {known}", file.display())]
    Version {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// A part is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Retention has removed entries that were asked for.
    #[error("{stream} now begins at entry {first_seq}: retention removed what lies before it, ask again")]
    Trimmed {
        /// Which stream.
        stream: Stream,
        /// The first sequence number that is left.
        first_seq: u64,
    },
    /// The writer's queue is full.
    #[error("the outbox's writer is behind by {limit} requests: wait for answers before sending more")]
    Busy {
        /// How many it takes.
        limit: usize,
    },
    /// The writer that was asked has ended.
    #[error("the outbox's writer has stopped")]
    Stopped,
    /// The writer that was asked has been replaced, or its files have: what is there now is not its own.
    #[error(transparent)]
    Over(#[from] Over),
}

/// A part of the outbox that is not what was written. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file} is damaged at {record}: {what}; restore the data directory from a backup, or keep it for \
     inspection and start with an empty one (`evenkeel journal verify` prints what can still be proved)",
    file = file.display()
)]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// Which record of it, as a person would call it: `executions entry 17`.
    pub record: String,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(file: &Path, record: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), record: record.into(), what: what.into() }
    }
}

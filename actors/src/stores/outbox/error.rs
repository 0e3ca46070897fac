//! What can go wrong with the outbox, sorted by what one can do about it.

use std::path::{Path, PathBuf};

use evenkeel_core::{
    journal::{EntryId, NumberingError, Stream},
    units::{ids::ExecutionId, tick::Tick},
};
use rusqlite::ErrorCode;

use super::damage::Damage;

/// The clock is more than 24 h behind the journal, and nobody has said that it was wrong before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; in the first case set it right, in the second start once with --clock-was-wrong: ids then go on after the last one, \
     and nothing is lost"
)]
pub struct ClockError(#[from] pub NumberingError);

/// The outbox cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be used.
    #[error("{} cannot be used: {reason}; the data directory must be writable and on a local disk", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A second writer.
    #[error(
        "another evenkeel ({holder}) writes the journal in {}: stop it first, or choose another --data-dir",
        dir.display()
    )]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
    /// The directory belongs to another scenario, seed or parameters.
    #[error(
        "the data directory {} was created with {stored} and is now opened with {given}: \
         use the same ones, or choose another --data-dir",
        dir.display()
    )]
    OtherIdentity {
        /// The data directory.
        dir: PathBuf,
        /// What it was created with.
        stored: String,
        /// What it is opened with.
        given: String,
    },
    /// The directory belongs to another database.
    #[error(
        "the data directory {} belongs to the database `{stored}` and is now opened for `{given}`: use --name {stored}, or \
         choose another --data-dir",
        dir.display()
    )]
    OtherName {
        /// The data directory.
        dir: PathBuf,
        /// Whose it is.
        stored: String,
        /// For whom it is opened.
        given: String,
    },
    /// The clock and the journal contradict each other.
    #[error(transparent)]
    Clock(#[from] ClockError),
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
    /// No backup could be made of what is to be brought to a later format.
    #[error(
        "the journal is of format {from} and stays so: a backup must come before format {to}, and {} cannot be made: {reason}",
        file.display()
    )]
    Migration {
        /// The backup.
        file: PathBuf,
        /// The journal's format.
        from: u64,
        /// The one that it was to have.
        to: u64,
        /// Why not.
        reason: String,
    },
    /// It has been put back, and nobody has decided yet how it goes on.
    #[error(
        "the data directory {dir} was put back from a copy that ends before tick {next_tick}: what ran since then is not in \
         it and would run again; `evenkeel journal adopt --data-dir {dir}` (with --redis URL, where the journal is handed \
         out through Redis) lets it go on behind a gap",
        dir = dir.display()
    )]
    Copy {
        /// The data directory.
        dir: PathBuf,
        /// The first tick that it does not tell of.
        next_tick: Tick,
    },
    /// A part is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// Why this writer must not go on, whatever it tries: nothing more is recorded or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Another one has begun.
    #[error(
        "another evenkeel has begun to write this journal, as writer {theirs}; this one, writer {ours}, records and runs \
         nothing more: the lock file was removed or replaced while it lived (`evenkeel journal verify` says what may have \
         run twice)"
    )]
    Replaced {
        /// This writer's epoch.
        ours: u64,
        /// The other's.
        theirs: u64,
    },
    /// What is written has no name any more, so nobody would find it.
    #[error(
        "{} was removed or replaced while it was written: nothing more is recorded or run; put the data directory back from \
         where it was moved to, or from a backup, and start again", file.display()
    )]
    Gone {
        /// Which file.
        file: PathBuf,
    },
}

/// A commit did not become durable, or (only [`CommitError::Stopped`]) it is not known whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It was decided on another state than the one that is durable. Recover, then decide anew.
    #[error("commit {got} is out of order: the outbox stands at revision {at} and takes only the next one")]
    OutOfOrder {
        /// The store's revision.
        at: u64,
        /// The commit's.
        got: u64,
    },
    /// It changes the queue in a way that its rows do not allow.
    #[error("commit {revision} cannot change the queue's row of {execution}: {what}")]
    Illegal {
        /// The commit.
        revision: u64,
        /// Whose row.
        execution: ExecutionId,
        /// What is wrong.
        what: &'static str,
    },
    /// No room: on the disk, or below the limit for what has not been shipped. Goes on when there is.
    #[error("the outbox is full: {0}; nothing was recorded, and nothing may run until there is room")]
    Full(String),
    /// The disk failed. Nothing was recorded.
    #[error("the outbox cannot write: {0}; nothing was recorded")]
    Io(String),
    /// The database is not whole. Nothing was recorded.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// This writer has been replaced, or its files have. Nothing was recorded.
    #[error(transparent)]
    Over(#[from] Over),
    /// A position was noted that is none of ours: somebody else writes the stream.
    #[error("{stream} has no entry {id}: another writer's, or another journal's")]
    UnknownPosition {
        /// Which stream.
        stream: Stream,
        /// The id.
        id: EntryId,
    },
    /// The writer's queue is full. Nothing was recorded.
    #[error("the outbox's writer is behind by {limit} requests: wait for answers before sending more")]
    Busy {
        /// How many it takes.
        limit: usize,
    },
    /// The writer has ended; a request that was under way may be durable or not: recover.
    #[error("the outbox's writer has stopped: whether the last commit is durable shows at the next start")]
    Stopped,
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

/// What every access to the database can meet, before it becomes one of the public errors.
#[derive(Debug)]
pub(super) enum StoreError {
    Sqlite(rusqlite::Error),
    Damaged { record: String, what: String },
    Over(Over),
}

impl From<Over> for StoreError {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl StoreError {
    pub(super) fn damaged(record: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged { record: record.into(), what: what.into() }
    }

    pub(super) fn open(self, file: &Path) -> OpenError {
        match self.sort(file) {
            Trouble::Damaged(damage) => OpenError::Damaged(damage),
            Trouble::Over(over) => OpenError::Io { path: file.to_owned(), reason: over.to_string() },
            Trouble::Full(reason) | Trouble::Io(reason) => OpenError::Io { path: file.to_owned(), reason },
        }
    }

    pub(super) fn commit(self, file: &Path) -> CommitError {
        match self.sort(file) {
            Trouble::Damaged(damage) => CommitError::Damaged(damage),
            Trouble::Over(over) => CommitError::Over(over),
            Trouble::Full(reason) => CommitError::Full(reason),
            Trouble::Io(reason) => CommitError::Io(format!("{}: {reason}", file.display())),
        }
    }

    pub(super) fn read(self, file: &Path) -> ReadError {
        match self.sort(file) {
            Trouble::Damaged(damage) => ReadError::Damaged(damage),
            Trouble::Over(over) => ReadError::Over(over),
            Trouble::Full(reason) | Trouble::Io(reason) => {
                ReadError::Unreadable { file: file.to_owned(), reason }
            }
        }
    }

    fn sort(self, file: &Path) -> Trouble {
        let error = match self {
            Self::Damaged { record, what } => return Trouble::Damaged(Damage::new(file, record, what)),
            Self::Over(over) => return Trouble::Over(over),
            Self::Sqlite(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                Trouble::Full(format!("there is no room on the disk of {}", file.display()))
            }
            Some(
                ErrorCode::PermissionDenied
                | ErrorCode::OperationAborted
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::OperationInterrupted
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed,
            ) => Trouble::Io(error.to_string()),
            // The statements are ours and have been tested: what does not fit them, or a value of a type
            // that was never written, is not our database any more.
            _ => Trouble::Damaged(Damage::new(file, "the database", error.to_string())),
        }
    }
}

enum Trouble {
    Damaged(Damage),
    Over(Over),
    Full(String),
    Io(String),
}

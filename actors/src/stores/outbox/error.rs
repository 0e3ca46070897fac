//! What can go wrong with the outbox, sorted by what one can do about it.

use std::path::{Path, PathBuf};

use evenkeel_core::{journal::NumberingError, units::tick::Tick};
use rusqlite::ErrorCode;

use crate::ports::{
    history::{Damage, ReadError},
    ledger::CommitError,
    over::Over,
};

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

//! The client's snapshot file: one value, two generations.

use std::path::{Path, PathBuf};

/// Largest value that is stored, in bytes: 10,000 queries' estimates and pending executions.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;

/// The snapshot cannot be stored or looked for.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory or a file in it cannot be used.
    #[error("the snapshot {} cannot be used: {reason}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is too large.
    #[error("a snapshot of {0} bytes is too large: at most {SNAPSHOT_BYTES_MAX}")]
    TooLarge(usize),
}

/// Which generation was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The one stored last.
    Newest,
    /// The one before it, since the newest is damaged.
    Older,
}

/// What [`SnapshotStore::load`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The value and where it came from; none when nothing was stored or nothing is whole.
    pub snapshot: Option<(Generation, Vec<u8>)>,
    /// What was not whole, to be told.
    pub warnings: Vec<String>,
}

/// The snapshot's files in a data directory.
#[derive(Debug)]
pub struct SnapshotStore {}

impl SnapshotStore {
    /// Looks for generations in `dir`, which is created when it is not there.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn open(dir: &Path) -> Result<Self, SnapshotError> {
        let _ = dir;
        unimplemented!()
    }

    /// Stores `bytes` as the newest generation; durable when it returns. The one before stays.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was stored before is untouched.
    pub fn store(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let _ = bytes;
        unimplemented!()
    }

    /// The newest generation that is whole.
    ///
    /// # Errors
    /// [`SnapshotError`] when a file is there and cannot be read.
    pub fn load(&self) -> Result<Loaded, SnapshotError> {
        unimplemented!()
    }
}

//! The end of a writer that somebody has replaced, or whose files have gone.

use std::path::PathBuf;

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

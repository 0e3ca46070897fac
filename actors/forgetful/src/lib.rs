//! For tests: a disk under SQLite that forgets what was not synced when its process is killed.
//!
//! ```text
//! SQLite ─write, truncate─▶ Contents, in memory, one a path ─xSync─▶ SQLite's own VFS ─▶ the file
//!        ─read────────────▶ what is in memory, over the file
//!        ─locks, shared memory──────────────────────────────────▶ SQLite's own VFS
//! ```
//! kill -9 ends a process and leaves what it has written to the system, which writes it to the disk. A power cut takes
//! what was not synced. With this VFS a kill takes that, too.
//!
//! - All connections of the process see what was written. Other processes see what was synced: they read the files once
//!   this process has ended, and not beside it.
//! - A file is created at once. A deletion that was not synced is done with the next sync of any file, as a file system
//!   with a journal has it; before that, a kill brings the file back.
//! - Files that SQLite deletes by itself (temporary ones) are passed on.
//! - The end of the process forgets, too, whatever it ends by.

mod contents;
mod vfs;

use std::str::FromStr;

pub use vfs::{InstallError, install};

/// What a kill takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// All that was not synced.
    Forgets,
    /// Any part of what was not synced, in blocks: some of what is written is on the disk at once, in no order.
    Tears,
    /// Everything: it says that it has synced, and has not. A known fault, for tests of the tests.
    Lies,
}

impl FromStr for Disk {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "forgets" => Ok(Self::Forgets),
            "tears" => Ok(Self::Tears),
            "lies" => Ok(Self::Lies),
            other => Err(format!("a disk is `{other}`: expected forgets, tears or lies")),
        }
    }
}

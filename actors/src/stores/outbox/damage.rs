//! Damage: what is not whole, where it is, and what to do.

use std::path::{Path, PathBuf};

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
    pub(super) fn new(file: &Path, record: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), record: record.into(), what: what.into() }
    }
}

//! Exit codes, and the errors that choose them.

use std::process::ExitCode;

/// How the program ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// Something failed.
    Failure = 1,
    /// The command line or the configuration cannot be.
    Usage = 2,
    /// A check found something.
    CheckFailed = 3,
    /// Something that is needed at start cannot be reached.
    Unreachable = 4,
    /// An actor failed too often.
    GaveUp = 70,
    /// Whoever read standard output has gone, as when SIGPIPE ends a program.
    Closed = 141,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that chooses its exit code; others are [`Exit::Failure`].
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExitError {
    /// The code.
    pub exit: Exit,
    /// What was wrong, and what would be right.
    pub message: String,
}

impl ExitError {
    /// A command line or configuration that cannot be.
    pub fn usage(message: impl std::fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }
}

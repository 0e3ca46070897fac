//! Between two ticks: outcomes of a database that tells them late, executions that nobody defers, and what is given up.

use actix::Message;
use evenkeel_core::{
    journal::{QueryText, Released},
    server::queue::{Arrival, DelayError, Finished},
    units::ids::ExecutionId,
};

use crate::messages::{AppendError, Lost};

/// Daemon → Queue: these have ended. Answered once durable, with how many were recorded: an execution has one outcome,
/// however often it is told.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<u64, NotRecorded>")]
pub struct Ended {
    /// When, Unix ms.
    pub at_ms: u64,
    /// What has ended, and how.
    pub finished: Vec<Finished>,
}

/// Front → Queue: these are to run at once, whether they wait or not. Answered once their release is durable; they may be
/// sent then, and only then. What has been released already is not in the answer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<Released>, NotRecorded>")]
pub struct Admit {
    /// When, Unix ms.
    pub at_ms: u64,
    /// What is to run.
    pub arrivals: Vec<Arrival>,
    /// Texts of queries that may be new.
    pub texts: Vec<QueryText>,
}

/// Front → Queue: its client is gone, or has cancelled it; it will never be sent. Answered once durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), DropRefused>")]
pub struct DropWaiting {
    /// When, Unix ms.
    pub at_ms: u64,
    /// Which one.
    pub execution: ExecutionId,
}

/// Why something was not recorded between two ticks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotRecorded {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It could not be made durable.
    #[error("nothing was recorded: {0}")]
    Refused(#[from] AppendError),
}

/// Why an execution was not given up.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DropRefused {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It does not wait.
    #[error(transparent)]
    Invalid(#[from] DelayError),
    /// It could not be made durable.
    #[error("that it was dropped could not be recorded: {0}")]
    NotRecorded(#[from] AppendError),
}

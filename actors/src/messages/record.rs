//! What becomes durable, and what begins again from that.

use std::sync::Arc;

use actix::Message;
use evenkeel_core::{
    journal::{Commit, Entry, Positions, Recovered},
    units::{ids::ExecutionId, tick::Tick},
};

use crate::ports::{database::Sending, history::ReadError, ledger::CommitError};

/// Queue → Journal: make this durable. Answered once it is.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), AppendError>")]
pub struct Append(pub Commit);

/// Why something is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The ledger refused it. Unless its writer has stopped, nothing of it is durable.
    #[error(transparent)]
    Refused(#[from] Arc<CommitError>),
    /// What is durable cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The journal failed on it: it may be durable or not, and recovery will tell.
    #[error("the journal failed, and whether this was recorded is unknown")]
    Unknown,
}

/// Daemon → Journal: what is durable? Answered after all that was sent before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Arc<Recovered>, AppendError>")]
pub struct Recover;

/// Daemon → Queue, Monitor: start again from what is durable. The answer is what waited and has been given up.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<ExecutionId>")]
pub struct Restore {
    /// What is durable.
    pub recovered: Arc<Recovered>,
    /// How the database takes what is sent.
    pub sending: Sending,
}

/// Consumer → Journal: entries up to here stand in a durable snapshot and may be trimmed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Applied(pub Positions);

/// Journal → Observer: this is durable. It may be lost: then a picture lacks it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Recorded {
    /// What was recorded, in order.
    pub entries: Vec<Entry>,
    /// The last tick that is durable.
    pub last_tick: Tick,
}

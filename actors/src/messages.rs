//! Messages that cross actors. Commands are imperative, facts past tense.
//!
//! All are sent with `send`, which waits for room in the mailbox, and all are answered. A sender whose
//! answer is `MailboxError::Closed` knows nothing about the outcome: the receiver failed on it.

use std::sync::Arc;

use actix::Message;
use evenkeel_core::{
    estimator::{Estimates, Estimator, Observation},
    insight::{recap::Step, report::Report},
    journal::{Commit, Entry, Executed, Mode, Positions, Recovered},
    scheduler::{SchedulerSnapshot, SnapshotError},
    server::{
        control::{ControlError, ControlRequest, ControlResponse},
        queue::{DelayError, OutOfStep},
        steps::TickUsage,
    },
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
        window::{Measured, OutOfTurn},
    },
};

use crate::ports::{history::ReadError, ledger::CommitError};

/// The receiver has lost its state and waits to be restored: try again in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recovering: the state is being read from the journal, try again in a moment")]
pub struct Lost;

/// Daemon → Monitor: the usage of the last tick; none before the first.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Measured, MeasureError>")]
pub struct Measure(pub Option<TickUsage>);

/// Why usage was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The tick is not the one that was waited for.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
}

/// Daemon → Queue: a tick begins. The answer, what runs in it, comes once it is durable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<Executed>, AdvanceError>")]
pub struct Advance {
    /// Which tick.
    pub tick: Tick,
    /// When, Unix ms.
    pub at_ms: u64,
    /// What arrives in it.
    pub arrivals: Vec<(ExecutionId, QueryId)>,
    /// What the monitor answered to the last tick's usage.
    pub measured: Measured,
}

/// Why a tick did not happen. Nothing runs then.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdvanceError {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The tick is not the one that was waited for.
    #[error(transparent)]
    OutOfStep(#[from] OutOfStep),
    /// It could not be made durable.
    #[error("the tick could not be recorded: {0}")]
    NotRecorded(#[from] AppendError),
}

/// HTTP → Queue: `POST /delay`. Answered once durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), DelayRefused>")]
pub struct Delay {
    /// Which execution.
    pub execution: ExecutionId,
    /// How much later.
    pub ticks: u64,
}

/// Why a delay was not added.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DelayRefused {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It cannot be.
    #[error(transparent)]
    Invalid(#[from] DelayError),
    /// It could not be made durable.
    #[error("the delay could not be recorded: {0}")]
    NotRecorded(#[from] AppendError),
}

/// Scheduler or HTTP → Queue: renew the lease, place slots. Sent once a tick; a lost one costs nothing,
/// because the next one says everything again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<ControlResponse, ControlRefused>")]
pub struct Control(pub ControlRequest);

/// Why a client was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlRefused {
    /// A server in another process does not answer, or not with what was asked for.
    #[error("the server did not take the slots: {0}")]
    Unreachable(String),
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It cannot be.
    #[error(transparent)]
    Invalid(#[from] ControlError),
}

/// Command line or HTTP → Queue: who decides from now on. Answered once durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), SetModeRefused>")]
pub struct SetMode(pub Mode);

/// Why the mode was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetModeRefused {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// It could not be made durable.
    #[error("the mode could not be recorded: {0}")]
    NotRecorded(#[from] AppendError),
}

/// Queue → Journal: make this durable. Answered once it is.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), AppendError>")]
pub struct Append(pub Commit);

/// Why something is not durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The outbox refused it. Unless its writer has stopped, nothing of it is durable.
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

/// Daemon → Queue, Monitor: start again from what is durable.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Restore(pub Arc<Recovered>);

/// Consumer → Estimator: entries of the journal, each stream in its own order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), LearnError>")]
pub struct Batch {
    /// What was read.
    pub entries: Arc<Vec<Entry>>,
    /// Windows of a server that is watched from outside: what runs in them is known only so well, and costs
    /// are learned from these instead of from `entries`. None for a journal.
    pub observed: Option<Arc<Vec<Observation>>>,
    /// The last tick that they tell about, when nothing younger was there to be read: time to decide.
    pub caught_up: Option<Tick>,
}

/// Estimator → Scheduler: the same entries, and what is known of costs after them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), LearnError>")]
pub struct Learned {
    /// What was read.
    pub batch: Batch,
    /// Learned costs.
    pub estimates: Arc<Estimates>,
}

/// Why a batch was not applied: the consumer starts again from its snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// An actor failed on it.
    #[error("the {0} failed on it")]
    Failed(&'static str),
}

/// Consumer → Estimator: a copy of your state, as of the last batch.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Estimator, Lost>")]
pub struct GetEstimator;

/// Consumer → Scheduler: a copy of your state, as of the last batch.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<SchedulerSnapshot, Lost>")]
pub struct GetScheduler;

/// Consumer → Estimator: start again from this.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RestoreEstimator(pub Estimator);

/// Consumer → Scheduler: start again from this, or from nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), SnapshotError>")]
pub struct RestoreScheduler(pub Option<SchedulerSnapshot>);

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

/// Program → Observer: what the client tells. It may be lost: the next one tells it again.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reported(pub Arc<Report>);

/// HTTP → Observer: the windows that begin in `from..=to`, as far as they are remembered.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Step>")]
pub struct GetSteps {
    /// The earliest first tick.
    pub from: Tick,
    /// The latest first tick.
    pub to: Tick,
}

/// Program → Daemon: begin no further tick. Answered when none is under way.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopTicking;

/// Program → Consumer: write the client's state now. Answered when it is durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SaveState;

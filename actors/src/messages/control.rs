//! Who says when executions run: people, and the client that levels.

use actix::Message;
use evenkeel_core::{
    journal::Mode,
    server::{
        control::{ControlError, ControlRequest, ControlResponse},
        queue::DelayError,
    },
    units::ids::ExecutionId,
};

use crate::messages::{AppendError, Lost};

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

/// Consumer → Scheduler: this process levels no more, so leave slots for what waits to the server. Answered once the
/// server has answered, or cannot be reached. A lost one leaves what waits to the server without slots.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct HandOver;

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

//! The tick: the daemon leads, the monitor and the queue follow.

use actix::Message;
use evenkeel_core::{
    journal::{Executed, QueryText},
    server::{
        queue::{Arrival, OutOfStep},
        steps::TickUsage,
    },
    units::{
        tick::Tick,
        window::{Measured, OutOfTurn},
    },
};

use crate::{
    messages::{AppendError, Lost},
    ports::database::TickUsed,
};

/// Daemon → Monitor: what ticks used.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Measured, MeasureError>")]
pub enum Measure {
    /// The usage of the last tick; none before the first.
    Exact(Option<TickUsage>),
    /// Of a database that tells its usage late.
    Late {
        /// The tick that begins.
        begins: Tick,
        /// What has been told since the last one.
        told: Vec<TickUsed>,
    },
}

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
    pub arrivals: Vec<Arrival>,
    /// Texts of queries that may be new.
    pub texts: Vec<QueryText>,
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

/// Program → Daemon: begin no further tick. Answered when none is under way.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopTicking;

//! What people are told.

use std::sync::Arc;

use actix::Message;
use evenkeel_core::{
    insight::{minutes::Minute, recap::Step, report::Report},
    units::tick::Tick,
};

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

/// HTTP → Observer: the last minutes, at most so many, oldest first.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Minute>")]
pub struct GetMinutes {
    /// A day's at the most.
    pub last: usize,
}

/// Program → Observer: keep the minutes now, the process is about to end. It may be lost: what is older than half a minute
/// has been kept before.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SaveMinutes;

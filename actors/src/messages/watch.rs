//! What people are told.

use std::sync::Arc;

use actix::Message;
use evenkeel_core::{
    insight::{recap::Step, report::Report},
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

//! The client's durable state, one value: how far it has read, and what it made of that; and how it gets from one
//! such value to the next.

mod progress;
mod standing;
mod suspects;

use serde::{Deserialize, Serialize};

pub use self::{progress::Progress, standing::Standing};
use crate::{estimator::Estimator, journal::Positions, scheduler::SchedulerSnapshot};

/// State and positions belong together: what is folded is exactly what lies up to the positions.
///
/// As it is stored, format 2 adds one list to format 1, at the very end: what has been released and has no outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientState {
    /// The last applied id of each stream.
    pub positions: Positions,
    /// What was learned.
    pub estimator: Estimator,
    /// What waits, and how much arrives; none before the first entry.
    pub scheduler: Option<SchedulerSnapshot>,
}

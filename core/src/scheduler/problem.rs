//! What a plan is made from, and what it says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    control::SetSlot,
    estimator::Estimates,
    ids::{ExecutionId, QueryId},
    tick::Tick,
};

/// A waiting execution, as the journal tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which one.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it arrived.
    pub queued_tick: Tick,
    /// Its base due tick: it cannot run earlier.
    pub due_tick: Tick,
    /// Its maximum delay as a tick: it cannot be held longer.
    pub deadline: Tick,
    /// The slot that the last plan gave it.
    pub slot: Option<Tick>,
}

/// Everything that a plan may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The last tick that has begun: every slot is later.
    pub tick: Tick,
    /// What waits, by (queued tick, id).
    pub pending: &'a [Pending],
    /// What each query costs.
    pub estimates: &'a Estimates,
}

/// What keeps the load out of the corridor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Too few executions arrive to fill every tick.
    Arrivals,
    /// The delay budget is too small to hold what would be needed.
    Budget,
    /// Costs are not known well enough.
    Estimates,
    /// Maximum delays force executions to run.
    Deadlines,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrivals => "arrivals",
            Self::Budget => "budget",
            Self::Estimates => "estimates",
            Self::Deadlines => "deadlines",
        })
    }
}

/// Whether the corridor can be reached, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feasibility {
    /// Whether the next window is expected to stay in the corridor.
    pub feasible: bool,
    /// What binds when it is not.
    pub binding: Option<Binding>,
}

/// When executions should run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Slots, with reasons.
    pub set: Vec<SetSlot>,
    /// Whether the corridor can be reached.
    pub feasibility: Feasibility,
}

//! What waits, as the queue's rows keep it.

use serde::{Deserialize, Serialize};

use crate::units::{
    ids::{ExecutionId, QueryId},
    tick::Tick,
};

/// A waiting execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Which one.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it arrived.
    pub queued_tick: Tick,
    /// Its base due tick.
    pub due_tick: Tick,
}

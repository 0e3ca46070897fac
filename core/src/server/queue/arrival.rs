//! What comes to the queue.

use std::sync::Arc;

use crate::{
    journal::Statement,
    units::ids::{ExecutionId, QueryId},
};

/// An execution that comes: to wait, or to be released at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which run; an id that the queue has not seen, or that of what waits and is to be released now.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// Whose statement it is, in a real database.
    pub statement: Option<Arc<Statement>>,
    /// Why it is released now, where it has waited: `released at once: …`.
    pub reason: Option<String>,
}

impl From<(ExecutionId, QueryId)> for Arrival {
    /// One of a simulated database.
    fn from((execution, query): (ExecutionId, QueryId)) -> Self {
        Self { execution, query, statement: None, reason: None }
    }
}

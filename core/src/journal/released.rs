//! What has been released: recorded before it is sent, and with its outcome when that is known.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    record::{Executed, Outcome},
    statement::{Answer, Statement},
};
use crate::units::{
    ids::{ExecutionId, QueryId},
    tick::Tick,
};

/// An execution that was released to a database whose outcome is uncertain, and has none yet. It may have been sent or
/// not, and is never sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which run.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it was queued; when it was released, where it never was.
    pub queued_tick: Tick,
    /// Its base due tick.
    pub due_tick: Tick,
    /// When it was released.
    pub tick: Tick,
    /// The same, Unix ms.
    pub at_ms: u64,
    /// Why it runs when it does; empty when not delayed.
    pub reason: String,
    /// Whose it is, where several share the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Whose statement it is, in a real database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Arc<Statement>>,
}

impl Released {
    /// What the queue let run, before it is sent.
    pub fn of(executed: &Executed) -> Self {
        let Executed { execution, query, queued_tick, due_tick, tick, executed_at_ms, .. } = *executed;
        let (reason, tenant, trace) =
            (executed.reason.clone(), executed.tenant.clone(), executed.trace.clone());
        let statement = executed.statement.clone();
        Self {
            execution,
            query,
            queued_tick,
            due_tick,
            tick,
            at_ms: executed_at_ms,
            reason,
            tenant,
            trace,
            statement,
        }
    }

    /// Whether it waited in the queue before. What nobody defers is due when it comes.
    pub fn waited(&self) -> bool {
        self.queued_tick < self.tick || !self.reason.is_empty()
    }

    /// How it ended, when, and what the database answered.
    pub fn ended(self, outcome: Outcome, finished_tick: Tick, answer: Option<Answer>) -> Executed {
        let Self { execution, query, queued_tick, due_tick, tick, at_ms, reason, tenant, trace, statement } =
            self;
        Executed {
            execution,
            query,
            queued_tick,
            due_tick,
            tick,
            finished_tick: finished_tick.max(tick),
            reason,
            outcome,
            executed_at_ms: at_ms,
            tenant,
            trace,
            statement,
            answer: answer.map(Box::new),
        }
    }
}

//! Times what is held by its learned cost, so that the database's CPU use is level for those who wait.
//!
//! ```text
//! sessions ─Told─▶ costs: what each query uses ─▶ target: CPU a second ─▶ pacer: what may leave now
//! probe, clocks ─▶ used ─────────▶ │ ────────────────────────────────────▶ │
//!                                                      Admit ─▶ Queue, journal ─▶ desk ─▶ session sends
//! ```
//! Every 10 ms, between ticks. Where nobody knows what the database uses, what is held leaves oldest first under a cap.
//!
//! Invariant: what is known here is a copy. A session's own alarm lets its statement go at its longest hold, whatever
//! happens here.

mod costs;
mod work;

use std::sync::Arc;

use evenkeel_core::{
    journal::Statement,
    server::pacer::Pace,
    units::ids::{ExecutionId, QueryId},
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::desk::Held;

pub use self::work::{Pacing, PacingSettings, Ports};

/// What sessions tell, each in its order.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A statement waits, at most so many ms; of a transaction that is held, its BEGIN.
    Held {
        /// What waits.
        run: Run,
        /// How long at most.
        hold_ms: u64,
    },
    /// It will not be sent: its client has given up, or is gone.
    Gone(ExecutionId),
    /// A statement is about to be sent.
    Began(Run),
    /// It has ended, having used so much CPU time, µs, where its backend's clock tells.
    Ended(ExecutionId, Option<u64>),
    /// The session is over, and with it what it had under way.
    Over(Uuid),
}

/// A statement's run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) execution: ExecutionId,
    pub(super) query: QueryId,
    /// What kind of statement it is, as [`evenkeel_core::postgres::understood::Kind::name`] has it.
    pub(super) kind: &'static str,
    pub(super) statement: Arc<Statement>,
}

impl Run {
    /// Of what is held.
    pub(super) fn of(held: &Held) -> Self {
        let Held { execution, query, kind, statement } = held;
        Self { execution: *execution, query: *query, kind, statement: Arc::clone(statement) }
    }

    /// A held transaction is one unit, whose cost is known by who begins it.
    fn unit(&self) -> Option<(Uuid, u64)> {
        Some((self.statement.session, self.statement.transaction?))
    }

    fn query_of_unit(&self) -> QueryId {
        let Statement { user, database, application, .. } = &*self.statement;
        QueryId::of_statement(database, "transaction", &format!("{user}\0{application}"))
    }

    fn begins(&self) -> bool {
        self.kind == "begin"
    }

    fn ends(&self) -> bool {
        matches!(self.kind, "commit" | "rollback" | "prepare transaction")
    }
}

/// How the pacing goes, for people.
#[derive(Clone, Debug, Default)]
pub struct PacingView {
    /// What the database is to use; none while nobody knows what it uses.
    pub pace: Option<Pace>,
    /// CPU time that others than held statements use, µs a second.
    pub others_us_per_s: f64,
    /// Statements that wait, and CPU time that they and those that run are expected to use yet, µs.
    pub waiting: (usize, u64),
    /// Held statements that run now.
    pub running: usize,
}

/// The way to the pacing; without one nobody listens.
#[derive(Clone, Debug, Default)]
pub struct Tells(Option<mpsc::UnboundedSender<Told>>);

impl Tells {
    /// A way, and where it leads.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    /// Whether what is held leaves by the pacing, where there is to be one.
    pub(super) fn works(&self) -> bool {
        self.0.as_ref().is_none_or(|listener| !listener.is_closed())
    }

    /// Tells, where somebody listens.
    pub(super) fn tell(&self, told: impl FnOnce() -> Told) {
        if let Some(listener) = &self.0 {
            let _ = listener.send(told());
        }
    }
}

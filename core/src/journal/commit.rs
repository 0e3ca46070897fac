//! One durable step of the server, and what is found again after a stop.

use serde::{Deserialize, Serialize};

use super::record::{Executed, Record};
use crate::{
    journal::{Lease, Mode, QueryText, Queued, Released},
    units::{
        ids::ExecutionId,
        tick::Tick,
        window::{OpenWindow, Window},
    },
};

/// Everything that one step changes: durable together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// The recovery that its queue began with: see [`Recovered::recovery`].
    pub recovery: u64,
    /// Counts commits from 1. The store takes only the successor of its own revision, so what was
    /// decided on a state that never became durable is refused.
    pub revision: u64,
    /// When it was decided, Unix ms.
    pub at_ms: u64,
    /// What is recorded, in order.
    pub records: Vec<Record>,
    /// What changes in the queue's rows, in order.
    pub queue: Vec<QueueChange>,
    /// What changes in the rows of what has been released and has no outcome.
    pub released: Vec<ReleasedChange>,
    /// Texts of queries that may be new; one that is known stays as it is.
    pub texts: Vec<QueryText>,
    /// The other state rows, as they are afterwards.
    pub state: ServerState,
    /// Whether nobody waits until it is durable: the store may take it together with what comes soon.
    pub patient: bool,
}

/// A change of the queue's rows.
#[derive(Clone, Debug, PartialEq)]
pub enum QueueChange {
    /// A new execution, or one whose due tick changed.
    Put(Queued),
    /// It ran.
    Remove(ExecutionId),
}

/// A change of the rows of what has been released.
#[derive(Clone, Debug, PartialEq)]
pub enum ReleasedChange {
    /// It is about to be sent.
    Put(Released),
    /// Its outcome is recorded.
    Remove(ExecutionId),
}

/// The server's durable state besides the queue's rows. Slots are soft and not in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerState {
    /// The first tick that has not been committed.
    pub next_tick: Tick,
    /// The window that is being filled; it lacks the usage of the last committed tick.
    pub open_window: OpenWindow,
    /// The last closed window.
    pub last_window: Option<Window>,
    /// Executions of the windows of the last minute: see [`Queue::executed_by_window`](crate::server::queue::Queue).
    pub executed_by_window: Vec<u64>,
    /// Who decides when executions run.
    pub mode: Mode,
    /// The last lease, living or not.
    pub lease: Option<Lease>,
    /// What windows that are not closed yet have to count. Nothing, and not written, where outcomes are certain.
    #[serde(default, skip_serializing_if = "Ended::is_nothing")]
    pub ended: Ended,
}

/// Outcomes of a database that tells them late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When the last one ended, as it is recorded: the next one is no earlier.
    pub last: Tick,
    /// What each window counts so far, from the one that is being filled on.
    pub windows: Vec<EndedIn>,
}

/// What a window that is not closed yet counts of the outcomes that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedIn {
    /// Executions that ended in it.
    pub executed: u64,
    /// Executions that had begun by its end and ended in a later one.
    pub running: u64,
}

impl Ended {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What the store found when it was opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Counts the recoveries since the store was opened. Who goes on from this one says so in each commit, and what was
    /// decided before is refused from then on: a revision alone does not tell two queues apart.
    pub recovery: u64,
    /// Revision of the last commit; 0 in a new journal.
    pub revision: u64,
    /// The state rows.
    pub state: ServerState,
    /// The queue's rows, in the order of their ids.
    pub queue: Vec<Queued>,
    /// What was released and has no outcome, in the order of the ids: it was sent or not, and is never sent again.
    pub released: Vec<Released>,
    /// Executions of the last committed tick: whether they reached the database is unknown, so their
    /// effect is done again, keyed by execution id.
    pub last_batch: Vec<Executed>,
}

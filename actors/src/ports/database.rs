//! The database that runs what the queue lets go, its clients, and whoever says what it uses: sources of events.

use std::{io, sync::Arc};

use evenkeel_core::{
    journal::{Executed, Outcome, QueryText, Released, Statement},
    server::queue::Finished,
    units::{
        ids::{ExecutionId, QueryId},
        resource::Usage,
        tick::Tick,
    },
};

/// What runs executions. Starting them answers nothing: how each ended is told later.
pub trait Database: Send {
    /// Whether what may have been sent is sent again.
    fn sending(&self) -> Sending;

    /// Whether its outcomes are uncertain: see [`Sending::Once`].
    fn is_uncertain(&self) -> bool {
        self.sending() != Sending::Again
    }

    /// Sends a tick's batch, all of which is durable.
    ///
    /// # Errors
    /// It may have been sent in part. Where outcomes are certain, it comes again.
    fn start(&mut self, tick: Tick, batch: &[Executed]) -> io::Result<()>;

    /// What has ended since the last call, in any order, late, and perhaps more than once. It waits for nobody.
    ///
    /// # Errors
    /// It cannot be asked now.
    fn finished(&mut self) -> io::Result<Vec<Finished>>;

    /// What became of an execution that was released before this process began, or whose sending failed.
    ///
    /// # Errors
    /// It cannot be asked now.
    fn resolve(&mut self, released: &Released) -> io::Result<Resolution>;
}

/// How a database takes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// A batch may come again after a restart and has its effect once, because executions are told apart by their ids: its
    /// outcomes are certain.
    Again,
    /// Its outcomes are uncertain: a batch that may have been sent is never sent again, each execution is recorded as
    /// released before it is sent, and with its outcome when that is told.
    Once {
        /// How many of those that have waited may run at once; no limit without one.
        at_once: Option<usize>,
        /// Whether what waits does so for clients of this process: a start then gives up what an earlier one left waiting.
        clients: bool,
    },
}

/// What is found out of an execution whose outcome nobody has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It ended so, at that tick.
    Ended(Outcome, Tick),
    /// It still runs: ask again, or wait until its end is told.
    Running,
    /// Nobody will ever know. It may have run, or never have been sent.
    Unknown,
}

impl Resolution {
    /// The outcome of `execution` at `now`; none while it runs.
    pub fn finished(self, execution: ExecutionId, now: Tick) -> Option<Finished> {
        match self {
            Self::Ended(outcome, tick) => Some(Finished { execution, tick, outcome, answer: None }),
            Self::Running => None,
            Self::Unknown => Some(Finished { execution, tick: now, outcome: Outcome::Unknown, answer: None }),
        }
    }
}

/// What a tick used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickUsed {
    /// Which one.
    pub tick: Tick,
    /// Resource units.
    pub usage: Usage,
}

/// A database, and whoever measures it, in one hand.
pub trait Measured: Database + UsageProbe {}

impl<T: Database + UsageProbe> Measured for T {}

/// Who says what the database uses. A simulated one is both.
pub trait UsageProbe: Send {
    /// What has been measured since the last call. Where outcomes are certain, that is each tick once, in their order, and
    /// the tick waits for it; elsewhere ticks come late, in any order, perhaps twice or never: see
    /// [`evenkeel_core::server::meter`].
    ///
    /// # Errors
    /// It cannot be asked now.
    fn used(&mut self) -> io::Result<Vec<TickUsed>>;
}

/// A query that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which one.
    pub query: QueryId,
    /// The id of its execution, where it has one already; one that the queue has not seen.
    pub execution: Option<ExecutionId>,
    /// Whose statement it is, in a real database.
    pub statement: Option<Arc<Statement>>,
}

impl From<QueryId> for Arrived {
    /// One of a simulated database.
    fn from(query: QueryId) -> Self {
        Self { query, execution: None, statement: None }
    }
}

/// Who sends queries.
pub trait Workload: Send {
    /// The queries that arrive in `tick`.
    fn arrivals(&mut self, tick: Tick) -> Vec<Arrived>;

    /// Texts of queries that are new; they become durable with the tick's arrivals.
    fn texts(&mut self) -> Vec<QueryText> {
        Vec::new()
    }

    /// These wait no more and will never be sent: there was no room for them, what recorded them failed, or a start gave
    /// them up. Ids that the workload does not know are none of its own.
    fn refused(&mut self, executions: &[ExecutionId]) {
        let _ = executions;
    }
}

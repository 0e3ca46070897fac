//! What the journal says: executions, queue events, windows.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::statement::{Answer, Statement};
use crate::units::{
    ids::{ExecutionId, QueryId},
    tick::Tick,
    window::Window,
};

/// One of the journal's three streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// An entry for each executed query.
    Executions,
    /// An entry for whatever happens to a waiting execution: see [`QueueEvent`].
    Queue,
    /// An entry for each closed window.
    Windows,
}

impl Stream {
    /// All of them, in the order in which a commit's entries are numbered.
    pub const ALL: [Self; 3] = [Self::Executions, Self::Queue, Self::Windows];

    /// The last part of its key: `evenkeel:{main}:<name>`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Executions => "executions",
            Self::Queue => "queue",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|stream| stream.name() == text)
            .ok_or_else(|| format!("unknown stream `{text}`: one of executions, queue, windows"))
    }
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The database said that it succeeded.
    Ok,
    /// The database said that it failed.
    Failed,
    /// It was sent, and no answer came.
    Unknown,
}

impl Outcome {
    /// As it stands in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// An executed query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// Which run.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it was queued.
    pub queued_tick: Tick,
    /// Its base due tick: when it would have run if nobody levelled.
    pub due_tick: Tick,
    /// When it ran.
    pub tick: Tick,
    /// The last tick in which it used resources; `tick` itself in the simulated database.
    pub finished_tick: Tick,
    /// One sentence that says why it ran when it did; empty when not delayed.
    pub reason: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ran, Unix ms.
    pub executed_at_ms: u64,
    /// Whose it was, where several share the database.
    pub tenant: Option<String>,
    /// The trace that it belongs to, as its sender named it.
    pub trace: Option<String>,
    /// Whose statement it was, in a real database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Arc<Statement>>,
    /// What the database answered, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<Answer>>,
}

impl Executed {
    /// Executed tick − queued tick; 1 = none added.
    pub fn delay_ticks(&self) -> u64 {
        self.tick.since(self.queued_tick)
    }
}

/// What happened to a queued execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueEvent {
    /// It arrived.
    Queued,
    /// `/delay` moved its base due tick.
    Delayed,
    /// It is about to be sent to a database whose outcome is uncertain; whether it was queued before or not.
    Released,
    /// It was held and will never be sent.
    Dropped,
}

impl QueueEvent {
    /// Those of format 1.
    pub(super) const FIRST: [Self; 3] = [Self::Queued, Self::Delayed, Self::Released];
    /// Those of the latest format.
    pub(super) const ALL: [Self; 4] = [Self::Queued, Self::Delayed, Self::Released, Self::Dropped];

    /// As it stands in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::Released => "released",
            Self::Dropped => "dropped",
        }
    }
}

/// An event of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRecord {
    /// What happened.
    pub event: QueueEvent,
    /// To which run.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it happened; for `delayed` the last tick that had begun.
    pub tick: Tick,
    /// The base due tick after the event.
    pub due_tick: Tick,
    /// Ticks that the event added to the base due tick.
    pub added_ticks: u64,
    /// Whose statement it is, in a real database: of what is queued, released or dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Arc<Statement>>,
}

/// One thing to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Goes to [`Stream::Executions`].
    Executed(Executed),
    /// Goes to [`Stream::Queue`].
    Queue(QueueRecord),
    /// Goes to [`Stream::Windows`].
    Window(Window),
}

impl Record {
    /// Where it is recorded.
    pub fn stream(&self) -> Stream {
        match self {
            Self::Executed(_) => Stream::Executions,
            Self::Queue(_) => Stream::Queue,
            Self::Window(_) => Stream::Windows,
        }
    }

    /// When it happened, which never goes back within a stream; for a window its last tick.
    pub fn tick(&self) -> Tick {
        match self {
            // It is recorded when it has ended: others may have begun later and ended before.
            Self::Executed(executed) => executed.finished_tick,
            Self::Queue(event) => event.tick,
            Self::Window(window) => window.last_tick,
        }
    }

    /// The tick whose commit recorded it, which is a later one for a window: the tick after its last closes it.
    pub fn committed(&self) -> Tick {
        match self {
            Self::Window(window) => window.last_tick.next(),
            record => record.tick(),
        }
    }
}

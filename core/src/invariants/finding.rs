//! What an audit finds.

use crate::{
    journal::{EntryId, QueueEvent, Stream},
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};
use uuid::Uuid;

/// Findings that are kept; more are only counted. A thousand say what is wrong as well as a million.
pub const FINDINGS_MAX: usize = 1_000;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// An entry is missing, or there twice.
    #[error("{stream}: entry {found} came where entry {expected} was expected")]
    Sequence {
        /// Which stream.
        stream: Stream,
        /// The successor of the entry before.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// An id does not grow.
    #[error("{stream} entry {seq}: its id {id} does not come after {before}")]
    IdOrder {
        /// Which stream.
        stream: Stream,
        /// Which entry.
        seq: u64,
        /// Its id.
        id: EntryId,
        /// The id before it.
        before: EntryId,
    },
    /// Ticks go back.
    #[error("{stream} entry {seq}: tick {tick} comes after tick {before}")]
    TickOrder {
        /// Which stream.
        stream: Stream,
        /// Which entry.
        seq: u64,
        /// Its tick.
        tick: Tick,
        /// The tick before it.
        before: Tick,
    },
    /// An entry says something that cannot be.
    #[error("{stream} entry {seq}: {what}")]
    Impossible {
        /// Which stream.
        stream: Stream,
        /// Which entry.
        seq: u64,
        /// What it says.
        what: &'static str,
    },
    /// An execution is queued while it waits.
    #[error("execution {execution} is queued again at tick {tick} while it waits")]
    QueuedTwice {
        /// Which one.
        execution: ExecutionId,
        /// The second time.
        tick: Tick,
    },
    /// An execution is queued after it ran.
    #[error("execution {0} ran and is queued again")]
    QueuedAfterItRan(ExecutionId),
    /// Something happened to an execution that does not wait.
    #[error("execution {execution} is {event} at tick {tick} and does not wait: it was never queued, or has run", event = event.name())]
    NotWaiting {
        /// Which one.
        execution: ExecutionId,
        /// What happened.
        event: QueueEvent,
        /// When.
        tick: Tick,
    },
    /// An execution ran without being queued before.
    #[error("execution {execution} ran at tick {tick} and does not wait: it was never queued, or has run")]
    NotQueued {
        /// Which one.
        execution: ExecutionId,
        /// When it ran.
        tick: Tick,
    },
    /// An execution ran more than once.
    #[error("execution {0} is executed more than once")]
    ExecutedTwice(ExecutionId),
    /// An execution is released while it has been released.
    #[error("execution {execution} is released again at tick {tick}: it may have been sent twice")]
    ReleasedTwice {
        /// Which one.
        execution: ExecutionId,
        /// The second time.
        tick: Tick,
    },
    /// An execution is released after it ran.
    #[error("execution {0} has an outcome and is released again")]
    ReleasedAfterItRan(ExecutionId),
    /// An execution that was given up has been released, or has run.
    #[error("execution {0} was dropped and is released or executed")]
    DroppedAndRan(ExecutionId),
    /// A statement of a real database has an outcome and no release.
    #[error(
        "execution {0} is a statement that has an outcome and was never released: it may have been sent before that was durable"
    )]
    NeverReleased(ExecutionId),
    /// An outcome tells of another statement than its release.
    #[error("execution {0} is another statement in its outcome than in its release")]
    OtherStatement(ExecutionId),
    /// A session is another one's.
    #[error("execution {execution}: session {session} was another user's, client's or backend's before")]
    OtherSession {
        /// Which one.
        execution: ExecutionId,
        /// Whose.
        session: Uuid,
    },
    /// A session goes back to a transaction.
    #[error("queue entry {seq}: execution {execution} is of a transaction that session {session} had left")]
    TransactionOrder {
        /// Which entry.
        seq: u64,
        /// Which one.
        execution: ExecutionId,
        /// Whose.
        session: Uuid,
    },
    /// The rows of what was released and the entries differ.
    #[error("execution {execution} {}", if *.row { "stands in the rows of what was released and not in the entries, or differently" } else { "was released by the queue's entries, has no outcome and no row" })]
    ReleasedRow {
        /// Which one.
        execution: ExecutionId,
        /// Whether it is the row that is too much.
        row: bool,
    },
    /// The execution's entry contradicts its queue entries.
    #[error("execution {execution}: {field} is {executed} where the queue's entries say {queued}")]
    Contradiction {
        /// Which one.
        execution: ExecutionId,
        /// In what.
        field: &'static str,
        /// What its entry says.
        executed: String,
        /// What the queue's entries say.
        queued: String,
    },
    /// Ticks without a window, or with two.
    #[error("windows: one begins at tick {found} where tick {expected} was expected")]
    WindowHole {
        /// The tick after the window before.
        expected: Tick,
        /// What came.
        found: Tick,
    },
    /// A window counts other executions than ran in it.
    #[error("the window from tick {first_tick} counts {recorded} executions, {counted} are journalled")]
    WindowCount {
        /// Which one.
        first_tick: Tick,
        /// What it says.
        recorded: u64,
        /// What the executions say.
        counted: u64,
    },
    /// A window counts other executions than went on after it.
    #[error(
        "the window from tick {first_tick} counts {recorded} executions that went on after it, {counted} are journalled"
    )]
    WindowRunning {
        /// Which one.
        first_tick: Tick,
        /// What it says.
        recorded: u64,
        /// What the executions say.
        counted: u64,
    },
    /// A closed window's entry is not there.
    #[error("windows: entries reach tick {reached}, and no window closed after tick {closed}")]
    WindowMissing {
        /// The last tick of the other streams.
        reached: Tick,
        /// The last tick of the last window.
        closed: Tick,
    },
    /// The queue's rows and its entries differ.
    #[error("execution {execution} {}", if *.row { "stands in the queue's rows and not in its entries" } else { "waits by the queue's entries and has no row, or another one" })]
    QueueRow {
        /// Which one.
        execution: ExecutionId,
        /// Whether it is the row that is too much.
        row: bool,
    },
    /// A writer began while another one lived.
    #[error(
        "a writer began while writer {writer_epoch} still lived: what ran at tick {tick} may have run twice, once for each"
    )]
    TwoWriters {
        /// The one that was replaced.
        writer_epoch: u64,
        /// Its last durable tick, whose batch both started.
        tick: Tick,
    },
    /// The database ran what is not journalled.
    #[error("execution {execution} of query {query} really ran at tick {tick} and is not journalled")]
    NotJournalled {
        /// Which one.
        execution: ExecutionId,
        /// Of which query.
        query: QueryId,
        /// When.
        tick: Tick,
    },
    /// The database ran something twice.
    #[error("execution {0} really ran more than once")]
    RanTwice(ExecutionId),
    /// The journal has what never ran.
    #[error("execution {execution} is journalled at tick {tick} and never really ran")]
    NeverRan {
        /// Which one.
        execution: ExecutionId,
        /// When it should have.
        tick: Tick,
    },
    /// The journal and the truth differ on an execution.
    #[error("execution {execution}: {field} is {journalled} in the journal and was {really}")]
    NotTrue {
        /// Which one.
        execution: ExecutionId,
        /// In what.
        field: &'static str,
        /// What the journal says.
        journalled: String,
        /// What was.
        really: String,
    },
}

/// Findings, the first [`FINDINGS_MAX`] of them in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    first: Vec<Finding>,
    count: u64,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        self.count += 1;
        if self.first.len() < FINDINGS_MAX {
            self.first.push(finding);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first ones.
    pub fn first(&self) -> &[Finding] {
        &self.first
    }
}

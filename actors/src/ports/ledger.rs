//! Where what happens becomes durable, in order.

use std::pin::Pin;

use evenkeel_core::{
    journal::{Commit, Entry, EntryId, PerStream, Positions, Recovered, Stream},
    units::{ids::ExecutionId, tick::Tick},
};
use tokio::{sync::watch, time::Instant};

use super::{
    history::{Damage, ReadError},
    over::Over,
};

/// An answer that comes; the request takes effect though nobody waits for it.
pub type Answer<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Makes commits durable. Requests take effect in the order of the calls, whenever their answers are awaited.
pub trait Ledger: Send + Sync {
    /// Makes `commit` durable.
    fn commit(&self, commit: Commit) -> Answer<Committed, CommitError>;

    /// What a start would find, after the commits sent before. Commits that were decided before are refused from then on,
    /// however late they come: who recovers goes on alone.
    fn recover(&self) -> Answer<Recovered, ReadError>;

    /// Notes what has been handed out to other processes.
    fn mark_shipped(&self, up_to: PerStream<Option<EntryId>>) -> Answer<(), CommitError>;

    /// Removes what is old enough, has been handed out where entries are, and lies up to `applied` in the reader's durable
    /// state.
    fn trim(&self, applied: Positions) -> Answer<(), CommitError>;

    /// What is published after every request that changes something.
    fn published(&self) -> watch::Receiver<Published>;
}

/// What a commit made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its revision.
    pub revision: u64,
    /// Its records with their ids, in the order of the records.
    pub entries: Vec<Entry>,
}

/// What everybody may know of the ledger without asking it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The last durable commit.
    pub revision: u64,
    /// The first tick that is not durable.
    pub next_tick: Tick,
    /// Last id of each stream.
    pub last: PerStream<EntryId>,
    /// Last sequence number of each stream.
    pub last_seq: PerStream<u64>,
    /// Whether there is room.
    pub pressure: Pressure,
    /// Why the last commit failed, until one succeeds.
    pub trouble: Option<CommitError>,
    /// The write-ahead log, as the last checkpoint found it.
    pub log: LogState,
}

/// Whether there is room for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Yes.
    #[default]
    None,
    /// Arrivals are to be refused; what is queued can still run and be recorded.
    RefuseArrivals,
    /// The reserve is used up: every commit is refused.
    Full,
}

/// The write-ahead log, as the last checkpoint found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// What it holds, in bytes.
    pub bytes: u64,
    /// Since when somebody's open read transaction keeps it from being copied and emptied.
    pub held_since: Option<Instant>,
}

/// A commit did not become durable, or (only [`CommitError::Stopped`]) it is not known whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It was decided on another state than the one that is durable. Recover, then decide anew.
    #[error("commit {got} is out of order: the journal stands at revision {at} and takes only the next one")]
    OutOfOrder {
        /// The store's revision.
        at: u64,
        /// The commit's.
        got: u64,
    },
    /// It was decided before the journal was read anew: what came of that goes on.
    #[error("commit {revision} was decided before the journal was read anew, and comes too late")]
    Superseded {
        /// The commit.
        revision: u64,
    },
    /// It changes the queue in a way that its rows do not allow.
    #[error("commit {revision} cannot change the queue's row of {execution}: {what}")]
    Illegal {
        /// The commit.
        revision: u64,
        /// Whose row.
        execution: ExecutionId,
        /// What is wrong.
        what: &'static str,
    },
    /// No room: on the disk, or below the limit for what has not been shipped. Goes on when there is.
    #[error("the journal is full: {0}; nothing was recorded, and nothing may run until there is room")]
    Full(String),
    /// The disk failed. Nothing was recorded.
    #[error("the journal cannot write: {0}; nothing was recorded")]
    Io(String),
    /// The database is not whole. Nothing was recorded.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// This writer has been replaced, or its files have. Nothing was recorded.
    #[error(transparent)]
    Over(#[from] Over),
    /// A position was noted that is none of ours: somebody else writes the stream.
    #[error("{stream} has no entry {id}: another writer's, or another journal's")]
    UnknownPosition {
        /// Which stream.
        stream: Stream,
        /// The id.
        id: EntryId,
    },
    /// The writer's queue is full. Nothing was recorded.
    #[error("the journal's writer is behind by {limit} requests: wait for answers before sending more")]
    Busy {
        /// How many it takes.
        limit: usize,
    },
    /// The writer has ended; a request that was under way may be durable or not: recover.
    #[error("the journal's writer has stopped: whether the last commit is durable shows at the next start")]
    Stopped,
}

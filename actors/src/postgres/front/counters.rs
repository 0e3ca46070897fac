//! How the front goes, in numbers: counted by its threads and its recorder, read by whoever tells people.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::postgres::recorder;

/// What the threads count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Connections, those included that have no session yet.
    pub(super) connections: AtomicUsize,
    /// Connections that were refused, because there were too many.
    pub(super) refused: AtomicU64,
    /// Statements that nobody was asked to record.
    pub(super) unrecorded: AtomicU64,
    /// Batches that might have been held, and were too long for that.
    pub(super) too_long: AtomicU64,
}

/// Reads the counts of all threads. Its clones read the same.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    front: Arc<Counts>,
    recorder: Arc<recorder::Counts>,
}

/// Counts as they stand; those that only grow begin with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Connections, those included that have no session yet.
    pub connections: usize,
    /// Connections that were refused, because there were too many.
    pub refused: u64,
    /// Statements that passed without a record because `--record off` says so.
    pub unrecorded_off: u64,
    /// Statements that passed without a record because the journal had no room, and `--when-full pass` says so.
    pub unrecorded_full: u64,
    /// Batches that might have been held, and were too long for that.
    pub too_long: u64,
    /// Statements and outcomes that are not recorded yet.
    pub behind: usize,
}

impl Counters {
    pub(super) fn new(front: Arc<Counts>, recorder: Arc<recorder::Counts>) -> Self {
        Self { front, recorder }
    }

    /// As they stand.
    pub fn now(&self) -> Numbers {
        let Self { front, recorder } = self;
        Numbers {
            connections: front.connections.load(Relaxed),
            refused: front.refused.load(Relaxed),
            unrecorded_off: front.unrecorded.load(Relaxed),
            unrecorded_full: recorder.gap.load(Relaxed),
            too_long: front.too_long.load(Relaxed),
            behind: recorder.behind.load(Relaxed),
        }
    }
}

/// With more that is not recorded yet, sessions wait.
pub const BEHIND_MAX: usize = recorder::BEHIND_MAX;

//! The store: opened once, then one commit after the other.

use std::path::Path;

use evenkeel_core::journal::{Commit, Entry, PerStream, Recovered, Stream};
use uuid::Uuid;

use super::{
    error::{CommitError, OpenError, ReadError},
    head::{Identity, Meta},
    limits::{Limits, Pressure},
    retention::{Trim, Trimmed},
};

/// What a commit made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its revision.
    pub revision: u64,
    /// Its records with their ids, in the order of the records.
    pub entries: Vec<Entry>,
}

/// The outbox, open for writing. Blocking: it belongs on [`super::OutboxWriter`]'s thread.
#[derive(Debug)]
pub struct Outbox {}

impl Outbox {
    /// Opens the journal in `dir`, or creates one that is named `journal`.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is changed then.
    pub fn open(
        dir: &Path,
        identity: &Identity,
        journal: Uuid,
        now_ms: u64,
        limits: Limits,
    ) -> Result<(Self, Recovered), OpenError> {
        let _ = (dir, identity, journal, now_ms, limits);
        unimplemented!()
    }

    /// Makes `commits` durable with one transaction and one fsync, each one whole or not at all. The
    /// answers are in the order of the commits; one that is refused does not hinder those before it.
    pub fn commit(&mut self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let _ = commits;
        unimplemented!()
    }

    /// What a start would find: read from the database, not from memory.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recover(&self) -> Result<Recovered, ReadError> {
        unimplemented!()
    }

    /// What the journal is.
    pub fn meta(&self) -> &Meta {
        unimplemented!()
    }

    /// How many ms the clock was behind the last entry when the outbox was opened; ids go on from there.
    pub fn clock_behind_ms(&self) -> u64 {
        unimplemented!()
    }

    /// Whether there is room.
    pub fn pressure(&self) -> Pressure {
        unimplemented!()
    }

    /// Removes what retention no longer keeps, at most 5,000 entries a stream at a time.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is changed then.
    pub fn trim(&mut self, trim: &Trim) -> Result<Trimmed, CommitError> {
        let _ = trim;
        unimplemented!()
    }

    /// The oldest entries that have not been shipped, in id order, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unshipped(&self, stream: Stream, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let _ = (stream, limit);
        unimplemented!()
    }

    /// Notes up to which id each stream has been shipped; `None` leaves a stream as it is. May go back,
    /// when Redis has lost a suffix.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is changed then.
    pub fn mark_shipped(
        &mut self,
        up_to: PerStream<Option<evenkeel_core::journal::EntryId>>,
    ) -> Result<(), CommitError> {
        let _ = up_to;
        unimplemented!()
    }
}

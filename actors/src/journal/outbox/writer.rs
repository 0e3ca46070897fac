//! The writer's thread: commits in order, several at once when several wait.

use std::io;

use evenkeel_core::{
    journal::{Commit, Entry, EntryId, PerStream, Recovered, Stream},
    tick::Tick,
};
use tokio::sync::watch;

use super::{
    error::{CommitError, ReadError},
    head::Meta,
    limits::Pressure,
    retention::{Trim, Trimmed},
    store::{Committed, Outbox},
};

/// Requests that wait for the writer: a commit takes some milliseconds and a tick makes one, so this
/// many mean that the disk has stood still for minutes.
pub const COMMITS_QUEUED_MAX: usize = 1_024;

/// What everybody may know of the outbox without asking it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The last durable commit.
    pub revision: u64,
    /// The first tick that is not durable.
    pub next_tick: Tick,
    /// Last id of each stream.
    pub last: PerStream<EntryId>,
    /// Whether there is room.
    pub pressure: Pressure,
    /// Why the last commit failed, until one succeeds.
    pub trouble: Option<CommitError>,
}

/// Starts the writer's thread.
#[derive(Debug)]
pub struct OutboxWriter;

impl OutboxWriter {
    /// Gives `outbox` to a thread of its own.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn spawn(outbox: Outbox) -> io::Result<OutboxHandle> {
        let _ = outbox;
        unimplemented!()
    }
}

/// The way to the writer's thread. Requests take effect in the order of the calls, whenever their futures
/// are awaited, and also when those are dropped. When the last handle is dropped the thread finishes what waits and ends.
#[derive(Clone, Debug)]
pub struct OutboxHandle {}

impl OutboxHandle {
    /// Makes `commit` durable.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send + 'static + use<> {
        let _ = commit;
        async { unimplemented!() }
    }

    /// What a start would find, after the commits sent before.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recover(&self) -> impl Future<Output = Result<Recovered, ReadError>> + Send + 'static + use<> {
        async { unimplemented!() }
    }

    /// See [`Outbox::trim`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn trim(
        &self,
        trim: Trim,
    ) -> impl Future<Output = Result<Trimmed, CommitError>> + Send + 'static + use<> {
        let _ = trim;
        async { unimplemented!() }
    }

    /// See [`Outbox::unshipped`].
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn unshipped(
        &self,
        stream: Stream,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, ReadError>> + Send + 'static + use<> {
        let _ = (stream, limit);
        async { unimplemented!() }
    }

    /// See [`Outbox::mark_shipped`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn mark_shipped(
        &self,
        up_to: PerStream<Option<EntryId>>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + 'static + use<> {
        let _ = up_to;
        async { unimplemented!() }
    }

    /// What is published after every request.
    pub fn published(&self) -> watch::Receiver<Published> {
        unimplemented!()
    }

    /// What the journal is.
    pub fn meta(&self) -> &Meta {
        unimplemented!()
    }

    /// Finishes what waits, closes the outbox and ends the thread. Later requests fail with `Stopped`.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        async { unimplemented!() }
    }
}

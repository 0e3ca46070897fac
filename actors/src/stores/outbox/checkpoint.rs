//! Checkpoints: what the log holds is copied into the database on a connection and thread of its own,
//! so that no commit waits for it.
//!
//! Each of them waits for nobody. The kinds of checkpoint that wait for readers hold the write lock meanwhile: somebody who
//! leaves a read transaction open would stop the commits, and with them the ticks. So the thread only copies, and a log
//! that has to be emptied is emptied between two commits by whoever commits, on a connection that gives up at once.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::{sync::watch, time::Instant};

use super::{error::StoreError, schema};
use crate::ports::ledger::LogState;

/// Commits between two checkpoints: at about 40 kB of log each (ten pages) the log stays near 4 MB.
const COMMITS: u32 = 100;
/// Log pages (64 MB) from which a checkpoint may hold up a commit to empty the log: under a load that
/// never pauses it would grow for ever.
const LOG_PAGES_MAX: i64 = 16_384;
/// A page, and its header in the log.
const LOG_PAGE_BYTES: u64 = 4_096 + 24;

/// The thread, and what it is owed.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    commits: u32,
    /// Empties the log, on the thread that commits.
    pub(super) emptying: Connection,
    seen: watch::Receiver<Seen>,
}

/// What the thread has seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    log: LogState,
    /// All of a long log is in the database, but for what has been committed just now.
    overgrown: bool,
}

impl Checkpointer {
    /// Starts the thread for the database `file`.
    pub(super) fn spawn(file: &Path) -> Result<Self, SpawnError> {
        let copying = schema::connect_checkpoints(file)?;
        let emptying = schema::connect_checkpoints(file)?;
        let (wake, woken) = sync_channel(1);
        let (see, seen) = watch::channel(Seen::default());
        let file = file.to_owned();
        let thread = thread::Builder::new()
            .name("outbox-checkpoint".to_owned())
            .spawn(move || run(&copying, &woken, &see, &file))?;
        Ok(Self { wake: Some(wake), thread: Some(thread), commits: 0, emptying, seen })
    }

    /// Counts durable commits. No transaction of this thread is open.
    pub(super) fn committed(&mut self, commits: usize) {
        if self.seen.has_changed().unwrap_or(false) && self.seen.borrow_and_update().overgrown {
            self.empty();
        }
        self.commits = self.commits.saturating_add(commits as u32);
        if self.commits >= COMMITS {
            self.commits = 0;
            // A full channel means that one is due already.
            if let Some(wake) = &self.wake {
                let _ = wake.try_send(());
            }
        }
    }

    /// The log, as the last checkpoint found it.
    pub(super) fn log(&self) -> LogState {
        self.seen.borrow().log
    }

    /// Where somebody reads the log, it stays as it is, and is tried again with the next checkpoint.
    pub(super) fn empty(&self) {
        if let Err(error) = checkpoint(&self.emptying, "PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the outbox's log could not be emptied");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Checkpoints cannot begin.
#[derive(Debug)]
pub(super) enum SpawnError {
    Store(StoreError),
    Thread(io::Error),
}

impl From<StoreError> for SpawnError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for SpawnError {
    fn from(error: io::Error) -> Self {
        Self::Thread(error)
    }
}

fn run(connection: &Connection, woken: &Receiver<()>, see: &watch::Sender<Seen>, file: &Path) {
    let mut holder = Holder::default();
    while woken.recv().is_ok() {
        match copy(connection) {
            Ok(found) => {
                let held_since = holder.see(found, Instant::now());
                // Once more for what came during the first time, so that little is left to whoever commits.
                let overgrown =
                    found.log > LOG_PAGES_MAX && found.whole() && copy(connection).is_ok_and(Found::whole);
                let bytes = found.log.max(0).cast_unsigned() * LOG_PAGE_BYTES;
                see.send_replace(Seen { log: LogState { bytes, held_since }, overgrown });
            }
            // The log keeps what was committed: a later checkpoint gets it.
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the outbox could not be checkpointed, its log grows");
            }
        }
    }
}

/// What a checkpoint found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    /// Pages that the log holds.
    log: i64,
    /// How many of them, from the first, are in the database now.
    copied: i64,
}

impl Found {
    fn whole(self) -> bool {
        self.copied >= self.log
    }
}

/// Whether somebody holds the log: two checkpoints in a row that come to the same page and not to the end.
#[derive(Debug, Default)]
struct Holder(Option<(Found, Instant)>);

impl Holder {
    /// Since when, after this checkpoint.
    fn see(&mut self, found: Found, now: Instant) -> Option<Instant> {
        let before = self.0.take();
        if found.whole() {
            return None;
        }
        match before {
            Some((before, since)) if before.copied == found.copied && before.log <= found.log => {
                self.0 = Some((found, since));
                Some(since)
            }
            _ => {
                self.0 = Some((found, now));
                None
            }
        }
    }
}

/// Copies what no reader still needs as it is in the database, and waits for nobody.
fn copy(connection: &Connection) -> rusqlite::Result<Found> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<Found> {
    connection.query_row(sql, [], |row| Ok(Found { log: row.get(1)?, copied: row.get(2)? }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reader_holds_the_log_when_two_checkpoints_end_at_the_same_page() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut holder = Holder::default();
        let mut see = |log, copied, seconds| holder.see(Found { log, copied }, at(seconds));
        assert_eq!(see(1_000, 1_000, 0), None);
        assert_eq!(see(2_000, 1_500, 10), None, "somebody has just read");
        assert_eq!(see(3_000, 2_500, 20), None, "and somebody else");
        assert_eq!(see(4_000, 2_500, 30), Some(at(20)), "the same one");
        assert_eq!(see(5_000, 2_500, 40), Some(at(20)));
        assert_eq!(see(6_000, 6_000, 50), None, "gone");
        assert_eq!(see(7_000, 6_500, 60), None);
        assert_eq!(see(1_000, 500, 70), None, "a log that has begun anew");
    }
}

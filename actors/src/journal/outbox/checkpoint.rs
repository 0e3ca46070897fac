//! Checkpoints: what the log holds is copied into the database on a connection and thread of its own,
//! so that no commit waits for it.

use std::{
    io,
    path::Path,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

/// Commits between two checkpoints: at about 40 kB of log each (ten pages) the log stays near 4 MB.
const COMMITS: u32 = 100;
/// Log pages (64 MB) from which a checkpoint may hold up a commit to empty the log: under a load that
/// never pauses it would grow for ever.
const LOG_PAGES_MAX: i64 = 16_384;

/// The thread, and what it is owed.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    commits: u32,
}

impl Checkpointer {
    /// Starts a thread on `connection`, which is only used for checkpoints.
    pub(super) fn spawn(connection: Connection, file: &Path) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let file = file.to_owned();
        let thread = thread::Builder::new()
            .name("outbox-checkpoint".to_owned())
            .spawn(move || run(&connection, &woken, &file))?;
        Ok(Self { wake: Some(wake), thread: Some(thread), commits: 0 })
    }

    /// Counts durable commits.
    pub(super) fn committed(&mut self, commits: usize) {
        self.commits = self.commits.saturating_add(commits as u32);
        if self.commits >= COMMITS {
            self.commits = 0;
            // A full channel means that one is due already.
            if let Some(wake) = &self.wake {
                let _ = wake.try_send(());
            }
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

fn run(connection: &Connection, woken: &Receiver<()>, file: &Path) {
    while woken.recv().is_ok() {
        let pages = match checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)") {
            Ok(pages) if pages > LOG_PAGES_MAX => checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)"),
            pages => pages,
        };
        // The log keeps what was committed: a later checkpoint gets it.
        if let Err(error) = pages {
            tracing::warn!(file = %file.display(), %error, "the outbox could not be checkpointed, its log grows");
        }
    }
}

/// Pages that the log holds afterwards.
fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(1))
}

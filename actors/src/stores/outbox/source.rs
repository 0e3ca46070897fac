//! The outbox as a [`Source`]: the embedded journal is read as Redis Streams would be.

use std::path::{Path, PathBuf};

use evenkeel_core::{
    journal::{Entry, PerStream, Positions},
    units::tick::Tick,
};
use tokio::sync::{mpsc, watch};

use crate::{
    ports::{
        ledger::Published,
        source::{Read, Source, SourceError},
    },
    stores::outbox::{OutboxReader, Since},
};

/// Entries of one stream in one read: a second at 1,000 executions a tick.
const READ_MAX: usize = 10_000;
/// Reads that wait for the consumer: the next one is read while one is applied.
const READS_AHEAD: usize = 2;

/// Reads the outbox in `dir`, woken by its writer.
pub struct OutboxSource {
    dir: PathBuf,
    published: watch::Receiver<Published>,
}

impl OutboxSource {
    /// A source for the outbox in `dir`, whose writer says through `published` when there is more.
    pub fn new(dir: &Path, published: watch::Receiver<Published>) -> Self {
        Self { dir: dir.to_owned(), published }
    }
}

impl Source for OutboxSource {
    fn follow(&self, after: Positions) -> mpsc::Receiver<Result<Read, SourceError>> {
        let (reads, receiver) = mpsc::channel(READS_AHEAD);
        let (dir, published) = (self.dir.clone(), self.published.clone());
        actix::spawn(async move {
            if let Err(cause) = follow(dir, published, after, &reads).await {
                // A consumer that is gone needs no cause.
                let _ = reads.send(Err(cause)).await;
            }
        });
        receiver
    }
}

async fn follow(
    dir: PathBuf,
    mut published: watch::Receiver<Published>,
    mut after: Positions,
    reads: &mpsc::Sender<Result<Read, SourceError>>,
) -> Result<(), SourceError> {
    let opened = blocking(move || OutboxReader::open(&dir)).await?;
    let mut reader = opened.map_err(unreadable)?;
    published.mark_changed();
    while published.changed().await.is_ok() {
        loop {
            published.mark_unchanged();
            let (returned, since) = blocking(move || {
                let since = reader.since(&after, READ_MAX);
                (reader, since)
            })
            .await?;
            reader = returned;
            let Since { entries, next_tick, more } = since.map_err(unreadable)?;
            let entries = in_order(entries);
            for entry in &entries {
                after.advance(entry.record.stream(), entry.id);
            }
            let caught_up = next_tick.0.checked_sub(1).map(Tick).filter(|_| !more);
            let idle = entries.is_empty() && caught_up.is_none();
            if !idle && reads.send(Ok(Read { entries, caught_up, ..Read::default() })).await.is_err() {
                return Ok(());
            }
            if !more {
                break;
            }
        }
    }
    Err(SourceError::Failed("the journal's writer has ended".to_owned()))
}

/// The streams' entries, one stream after the other.
pub(in crate::stores) fn in_order(entries: PerStream<Vec<Entry>>) -> Vec<Entry> {
    let PerStream { executions, queue, windows } = entries;
    [executions, queue, windows].into_iter().flatten().collect()
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError::Failed(error.to_string())
}

/// Reads on a thread that may block.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(read).await.map_err(unreadable)
}

//! The outbox as a [`Source`]: the embedded journal is read as Redis Streams would be.

use std::path::{Path, PathBuf};

use evenkeel_core::{
    journal::{Entry, Positions, Stream},
    tick::Tick,
};
use tokio::sync::{mpsc, watch};

use super::outbox::{OutboxReader, Published, ReadError};
use crate::consumer::{Read, Source, SourceError};

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
            let begun = published.borrow_and_update().next_tick;
            let (returned, found) = blocking(move || {
                let found = read_all(&reader, after);
                (reader, found)
            })
            .await?;
            reader = returned;
            let Found { entries, positions, more } = found.map_err(unreadable)?;
            after = positions;
            // Entries and tick fit together only when nothing was committed in between.
            let settled = !more && !published.has_changed().unwrap_or(false);
            let caught_up = begun.0.checked_sub(1).map(Tick).filter(|_| settled);
            let idle = entries.is_empty() && caught_up.is_none();
            if !idle && reads.send(Ok(Read { entries, caught_up })).await.is_err() {
                return Ok(());
            }
            if !more {
                break;
            }
        }
    }
    Err(SourceError("the outbox's writer has ended".to_owned()))
}

struct Found {
    entries: Vec<Entry>,
    positions: Positions,
    /// Whether a stream had as many entries as one read may take.
    more: bool,
}

fn read_all(reader: &OutboxReader, after: Positions) -> Result<Found, ReadError> {
    let mut found = Found { entries: Vec::new(), positions: after, more: false };
    for stream in Stream::ALL {
        let entries = reader.after(stream, after.get(stream), READ_MAX)?;
        found.more |= entries.len() == READ_MAX;
        if let Some(last) = entries.last() {
            found.positions.advance(stream, last.id);
        }
        found.entries.extend(entries);
    }
    Ok(found)
}

fn unreadable(error: impl std::fmt::Display) -> SourceError {
    SourceError(error.to_string())
}

/// Reads on a thread that may block.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(read).await.map_err(unreadable)
}

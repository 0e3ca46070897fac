//! The outbox as a [`Source`]: the embedded journal is read as Redis Streams would be.

use std::path::{Path, PathBuf};

use evenkeel_core::journal::{Positions, Stream};
use tokio::sync::{mpsc, watch};

use super::outbox::{OutboxReader, Published};
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
    let mut reader = blocking(move || OutboxReader::open(&dir)).await?;
    published.mark_changed();
    loop {
        if published.changed().await.is_err() {
            return Err(SourceError("the outbox's writer has ended".to_owned()));
        }
        loop {
            let tick = published.borrow_and_update().last_tick();
            let (read, more);
            (reader, after, read, more) = blocking(move || read_all(reader, after)).await?;
            // Entries and tick fit together only when nothing was committed in between.
            let caught_up = tick.filter(|_| !more && !published.has_changed().unwrap_or(false));
            let read = Read { entries: read, caught_up };
            if (caught_up.is_some() || !read.entries.is_empty()) && reads.send(Ok(read)).await.is_err() {
                return Ok(());
            }
            if !more {
                break;
            }
        }
    }
}

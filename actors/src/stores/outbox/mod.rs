//! The outbox: the server's own durable copy of the journal, and the truth.
//!
//! ```text
//!  actor ──Commit──▶ OutboxHandle ──bounded queue──▶ writer thread ──one transaction, one fsync──▶ outbox.db-wal
//!        ◀──Committed {entries with their ids}──┘        │    ▲                                        │
//!                                       Published (watch)┘    └ checkpoints, on a connection of their own ▼
//!  evenkeel journal … ──▶ OutboxReader (another process, read-only) ◀──────────────────────────── outbox.db
//!
//!  outbox.db       SQLite, WAL, synchronous FULL; a CRC in every row
//!  outbox.witness  how far the journal has come: a lost or torn WAL shows, which SQLite would roll back silently
//!  outbox.lock     held by the one writer; should somebody remove it, the writer's epoch in each commit keeps a second one out
//! ```
//!
//! A commit is durable as a whole or not at all; ids and sequence numbers are fixed in it and never
//! recomputed. What is damaged is reported with file and record, never read as if it were whole.

mod adopt;
mod backup;
mod checkpoint;
mod error;
mod fence;
mod head;
mod history;
mod limits;
mod lock;
mod migrate;
mod open;
mod queue_rows;
mod reader;
mod released_rows;
mod restore;
mod retention;
mod schema;
pub mod source;
mod starts;
mod store;
mod stream_rows;
#[cfg(test)]
mod tests;
mod texts;
mod verify;
mod witness;
mod writer;

pub use self::{
    adopt::{Continuation, ContinueError, Continued},
    backup::{Copied, CopyError, back_up},
    error::{ClockError, OpenError},
    head::{Identity, Meta},
    limits::Limits,
    lock::LOCK_FILE,
    migrate::FIRST_FORMAT_FILE,
    open::{Opening, Purpose},
    reader::{Head, Moment, OutboxReader, Since},
    restore::restore,
    retention::{Trim, Trimmed},
    schema::DATABASE_FILE,
    store::Outbox,
    writer::{COMMITS_QUEUED_MAX, OutboxHandle, OutboxWriter},
};

/// What the body of a row says, whatever its checksum: for the fuzzer.
///
/// # Errors
/// What is wrong with it.
#[cfg(fuzzing)]
pub fn decode_record(
    stream: evenkeel_core::journal::Stream,
    id: evenkeel_core::journal::EntryId,
    body: &str,
) -> Result<evenkeel_core::journal::Entry, String> {
    stream_rows::decode(stream, id, body)
}

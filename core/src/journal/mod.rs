//! The journal: what is recorded, under which ids, and what one commit holds.
//!
//! ```text
//! Record ──Numbering──▶ Entry {id, seq, record} ──fields──▶ flat text, as `redis-cli XRANGE` shows it
//! Commit = the records of one step + the state rows that go with them, durable together or not at all
//! ```

mod commit;
mod entry;
mod format;
mod identity;
mod lease;
mod numbering;
mod per_stream;
mod positions;
mod queued;
mod record;
mod released;
mod start;
mod statement;
#[cfg(test)]
mod tests;

pub use commit::{Commit, Ended, EndedIn, QueueChange, Recovered, ReleasedChange, ServerState};
pub use entry::{DecodeError, Entry, EntryId, FIRST_FORMAT, FORMAT, ParseEntryIdError};
pub use format::NewerFormat;
pub use identity::{DifferentParameter, different_parameters, same_parameters};
pub use lease::{Lease, Mode};
pub use numbering::{Numbering, NumberingError};
pub use per_stream::PerStream;
pub use positions::Positions;
pub use queued::Queued;
pub use record::{Executed, Outcome, QueueEvent, QueueRecord, Record, Stream};
pub use released::Released;
pub use start::{Replaced, Start};
pub use statement::{Answer, QueryText, Statement, TEXT_BYTES_MAX, TEXTS_MAX};

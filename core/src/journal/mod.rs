//! The journal: what is recorded, under which ids, and what one commit holds.
//!
//! ```text
//! Record ──Numbering──▶ Entry {id, seq, record} ──fields──▶ flat text, as `redis-cli XRANGE` shows it
//! Commit = the records of one step + the state rows that go with them, durable together or not at all
//! ```

mod commit;
mod entry;
mod format;
mod lease;
mod numbering;
mod per_stream;
mod positions;
mod queued;
mod record;
mod start;
#[cfg(test)]
mod tests;

pub use commit::{Commit, MEAN_WINDOWS, QueueChange, Recovered, ServerState};
pub use entry::{DecodeError, Entry, EntryId, ParseEntryIdError};
pub use format::NewerFormat;
pub use lease::{Lease, Mode};
pub use numbering::{Numbering, NumberingError};
pub use per_stream::PerStream;
pub use positions::Positions;
pub use queued::Queued;
pub use record::{Executed, Outcome, QueueEvent, QueueRecord, Record, Stream};
pub use start::{Replaced, Start};

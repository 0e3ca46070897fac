//! Ids and sequence numbers: fixed once, before anything is written or sent, and never recomputed.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, EntryId, FORMAT},
    per_stream::PerStream,
    record::{Record, Stream},
};

/// How far the last id may lie ahead of the clock: with more, the clock or the journal is wrong.
const AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// The last id and sequence number of each stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Numbering(PerStream<Last>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    id: EntryId,
    seq: u64,
}

/// The clock is so far behind the journal that one of the two must be wrong, or have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock ({now_ms} ms) is {} h behind the last entry of `{stream}` ({last}): either it is wrong now, or it was wrong \
     when that was recorded",
    last.ms.saturating_sub(*now_ms) / 3_600_000
)]
pub struct NumberingError {
    /// The stream with the late entry.
    pub stream: Stream,
    /// Its last id.
    pub last: EntryId,
    /// What the clock says.
    pub now_ms: u64,
}

impl Numbering {
    /// Goes on after entries with these ids and sequence numbers.
    pub fn after(last: PerStream<(EntryId, u64)>) -> Self {
        Self(PerStream::from_fn(|stream| {
            let (id, seq) = last[stream];
            Last { id, seq }
        }))
    }

    /// Numbers `record`. The id is `max(now, last)` in milliseconds and counts on within one, so that a
    /// clock that jumps back keeps the order.
    pub fn number(&mut self, record: Record, now_ms: u64) -> Entry {
        let last = &mut self.0[record.stream()];
        last.id = if now_ms > last.id.ms {
            EntryId { ms: now_ms, n: 0 }
        } else {
            EntryId { ms: last.id.ms, n: last.id.n + u64::from(last.seq > 0) }
        };
        last.seq += 1;
        Entry { id: last.id, seq: last.seq, version: FORMAT, record }
    }

    /// Sequence number of the stream's last entry; 0 before the first.
    pub fn last_seq(&self, stream: Stream) -> u64 {
        self.0[stream].seq
    }

    /// Id of the stream's last entry; 0-0 before the first.
    pub fn last_id(&self, stream: Stream) -> EntryId {
        self.0[stream].id
    }

    /// The latest of the streams' last ids, in ms.
    pub fn last_ms(&self) -> u64 {
        Stream::ALL.iter().map(|&stream| self.0[stream].id.ms).max().unwrap_or(0)
    }

    /// How many ms the clock is behind the last entry; 0 when it is not.
    ///
    /// # Errors
    /// [`NumberingError`] above 24 h, but for ids up to `known_wrong_ms`: of those somebody has said that it was the clock
    /// that was wrong.
    pub fn clock_behind_ms(&self, now_ms: u64, known_wrong_ms: u64) -> Result<u64, NumberingError> {
        let mut behind_ms = 0;
        for stream in Stream::ALL {
            let last = self.0[stream].id;
            let behind = last.ms.saturating_sub(now_ms);
            if behind > AHEAD_MS_MAX && last.ms > known_wrong_ms {
                return Err(NumberingError { stream, last, now_ms });
            }
            behind_ms = behind.max(behind_ms);
        }
        Ok(behind_ms)
    }
}

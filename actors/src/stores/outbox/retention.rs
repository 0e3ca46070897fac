//! What is kept and for how long, and what has been shipped.

use std::ops::RangeInclusive;

use evenkeel_core::journal::{EntryId, PerStream, Positions, Stream};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    error::StoreError,
    fence,
    head::{self, HeadRow, KeptRow, Mark},
    limits::Limits,
    store::Outbox,
    stream_rows,
};
use crate::{ports::ledger::CommitError, supervise::fault};

/// Entries of a stream removed at a time: about 10 ms, so that no commit waits for longer.
const TRIM_MAX: u64 = 5_000;

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Entries after these are kept whatever their age: the client's snapshot has not applied them.
    pub applied: Positions,
}

/// What has been removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries removed.
    pub removed: PerStream<u64>,
    /// Whether there is more to remove: trim again, after the commits that wait.
    pub more: bool,
}

impl Outbox {
    /// Removes what retention no longer keeps, at most 5,000 entries a stream at a time.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is changed then.
    pub fn trim(&mut self, trim: &Trim) -> Result<Trimmed, CommitError> {
        self.unless_over()?;
        self.try_trim(trim).map_err(|error| self.failed(error))
    }

    fn try_trim(&mut self, trim: &Trim) -> Result<Trimmed, StoreError> {
        let mut kept = self.kept;
        let mut trimmed = Trimmed::default();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        for stream in Stream::ALL {
            let first = kept.first_seq[stream];
            let target = first_to_keep(&transaction, stream, &self.head, &kept, &self.limits, trim)?;
            let next = target.min(first + TRIM_MAX);
            if next > first {
                stream_rows::remove(&transaction, stream, first..=next - 1)?;
                kept.first_seq[stream] = next;
                trimmed.removed[stream] = next - first;
                trimmed.more |= next < target;
            }
        }
        if kept != self.kept {
            head::write(&transaction, &kept)?;
            transaction.commit()?;
            self.kept = kept;
        }
        Ok(trimmed)
    }

    /// Notes up to which id each stream has been shipped; `None` leaves a stream as it is. It may go
    /// back, when Redis has lost a suffix: then that is unshipped again, as far as it is still kept.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is changed then.
    pub fn mark_shipped(&mut self, up_to: PerStream<Option<EntryId>>) -> Result<(), CommitError> {
        self.unless_over()?;
        self.try_mark(up_to).map_err(|error| self.failed(error))?
    }

    fn try_mark(&mut self, up_to: PerStream<Option<EntryId>>) -> Result<Result<(), CommitError>, StoreError> {
        let mut kept = self.kept;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        for stream in Stream::ALL {
            if let Some(id) = up_to[stream] {
                let Some(mark) = mark(&transaction, stream, &self.head, &self.kept, id)? else {
                    return Ok(Err(CommitError::UnknownPosition { stream, id }));
                };
                kept.shipped[stream] = mark;
            }
        }
        head::write(&transaction, &kept)?;
        transaction.commit()?;
        fault::point!("after-outbox-mark");
        self.kept = kept;
        Ok(Ok(()))
    }
}

/// The first entry that has to stay.
fn first_to_keep(
    connection: &Connection,
    stream: Stream,
    head: &HeadRow,
    kept: &KeptRow,
    limits: &Limits,
    trim: &Trim,
) -> Result<u64, StoreError> {
    let (first, last) = (kept.first_seq[stream], head.numbering.last_seq(stream));
    let after = |id| stream_rows::seek(connection, stream, first..=last, id);
    let oldest = limits.oldest_tick(head.state.next_tick);
    let too_many = (last + 1).saturating_sub(limits.entries_max);
    let young = stream_rows::seek_tick(connection, stream, first..=last, oldest)?;
    let mut target = young.max(too_many).max(beyond_bytes(connection, stream, first..=last, limits)?);
    target = target.min(after(trim.applied.get(stream))?);
    if limits.ships {
        target = target.min(kept.shipped[stream].seq + 1);
    }
    if stream == Stream::Executions {
        // A start does the last tick's effect again.
        target = target.min(head.batch_first_seq);
    }
    // The last entry stays, as the proof of where the stream ends.
    Ok(target.min(last).max(first))
}

/// The first of the entries that fit into this stream's share of `shipped_bytes_max`.
fn beyond_bytes(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
    limits: &Limits,
) -> Result<u64, StoreError> {
    let (first, last) = (*seqs.start(), *seqs.end());
    if limits.shipped_bytes_max == u64::MAX || first > last {
        return Ok(first);
    }
    let share = limits.shipped_bytes_max / Stream::ALL.len() as u64;
    let total = stream_rows::read_one(connection, stream, last)?.bytes;
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = low + (high - low) / 2;
        if total - stream_rows::read_one(connection, stream, middle)?.bytes_before > share {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The position of `id`, which must be an entry's or lie before the first one that is kept.
fn mark(
    connection: &Connection,
    stream: Stream,
    head: &HeadRow,
    kept: &KeptRow,
    id: EntryId,
) -> Result<Option<Mark>, StoreError> {
    let (first, last) = (kept.first_seq[stream], head.numbering.last_seq(stream));
    let seq = stream_rows::seek(connection, stream, first..=last, id)? - 1;
    if seq >= first {
        let row = stream_rows::read_one(connection, stream, seq)?;
        return Ok((row.entry.id == id).then_some(Mark { id, seq, bytes: row.bytes }));
    }
    let bytes =
        if last >= first { stream_rows::read_one(connection, stream, first)?.bytes_before } else { 0 };
    // Nothing has been recorded yet: only the beginning is a position.
    Ok((last > 0 || id == EntryId::default()).then_some(Mark { id, seq, bytes }))
}

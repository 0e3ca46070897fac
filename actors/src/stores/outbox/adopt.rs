//! Going on behind a gap: a new journal where another one ends, or one that was put back from a copy.

use evenkeel_core::{
    journal::{Ended, EntryId, Numbering, PerStream, Stream},
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick, window::OpenWindow},
};
use rusqlite::TransactionBehavior;

use super::{
    error::{ClockError, StoreError},
    fence,
    head::{self, CopyRow, GapRow, HeadRow, KeptRow, Mark, Meta, QueueSum},
    open, queue_rows, released_rows,
    store::Outbox,
    stream_rows,
};
use crate::ports::ledger::CommitError;

/// Where the streams of another journal end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Last id and sequence number of each stream.
    pub last: PerStream<(EntryId, u64)>,
    /// The last tick that they tell about.
    pub tick: Tick,
    /// The clock, Unix ms.
    pub now_ms: u64,
}

/// Why a journal does not go on after another one. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ContinueError {
    /// Something has been recorded here.
    #[error(
        "the data directory is not new: {0}; only a journal in which nothing has been recorded can go on after another one"
    )]
    NotNew(CommitError),
    /// The other journal's entries are far ahead of the clock.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// It could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// How a journal that was put back goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continued {
    /// The last tick that the copy told of; none when it told of none.
    pub after: Option<Tick>,
    /// The first tick after the gap.
    pub begins: Tick,
    /// What waited in the copy. Whether it ran is not known, so it never does from here.
    pub given_up: Vec<ExecutionId>,
}

impl Outbox {
    /// Makes a journal in which nothing has been recorded go on after `end`: its ids, sequence numbers and ticks
    /// follow those. What waited in the other journal is not known here. The first tick of what this journal says: the
    /// gap before it belongs to nobody.
    ///
    /// # Errors
    /// [`ContinueError`].
    pub fn continue_after(&mut self, end: &Continuation) -> Result<Tick, ContinueError> {
        if self.head.revision > 0 {
            return Err(ContinueError::NotNew(CommitError::OutOfOrder { at: self.head.revision, got: 0 }));
        }
        // As at a start: what would keep the next one from starting is said now.
        let mut meta = self.meta.clone();
        open::accept_clock(&mut meta, &Numbering::after(end.last), end.now_ms, self.clock_was_wrong)?;
        let begins = self.try_continue(end, &meta).map_err(|error| self.failed(error))?;
        self.meta = meta;
        Ok(begins)
    }

    fn try_continue(&mut self, end: &Continuation, meta: &Meta) -> Result<Tick, StoreError> {
        let mut head = HeadRow { batch_first_seq: end.last.executions.1 + 1, ..HeadRow::default() };
        head.numbering = Numbering::after(end.last);
        let idle = go_on_after(self.meta.identity.lengths, end.tick, &mut head);
        let kept = kept_after(end);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        head::write(&transaction, meta)?;
        head::write(&transaction, &head)?;
        head::write(&transaction, &kept)?;
        transaction.commit()?;
        (self.head, self.kept) = (head, kept);
        Ok(idle)
    }

    /// The tick that is the next one, and whether this is a copy of which nobody has decided yet how it goes on.
    ///
    /// # Errors
    /// As for a commit.
    pub fn stands_at(&self) -> Result<(Tick, bool), CommitError> {
        let copy = head::find::<CopyRow>(&self.connection).map_err(|error| error.commit(&self.file))?;
        Ok((self.head.state.next_tick, copy.is_some()))
    }

    /// Makes a journal that was put back from a copy go on behind a gap, and notes that gap. `end` is where its streams
    /// end in Redis, if they are further there: their entries are then no longer kept here, or the numbers would have a
    /// hole. Otherwise what the copy holds stays. No tick that the lost original may have had comes again: it had at most
    /// one each `tick_ms` since the copy's last one.
    ///
    /// What waited is given up, because it may have run since.
    ///
    /// # Errors
    /// As for a commit; nothing is changed then.
    pub fn continue_copy(
        &mut self,
        end: Option<&Continuation>,
        writer_epoch_min: u64,
        tick_ms: u64,
        now_ms: u64,
    ) -> Result<Continued, CommitError> {
        self.try_continue_copy(end, writer_epoch_min, tick_ms, now_ms).map_err(|error| self.failed(error))
    }

    fn try_continue_copy(
        &mut self,
        end: Option<&Continuation>,
        writer_epoch_min: u64,
        tick_ms: u64,
        now_ms: u64,
    ) -> Result<Continued, StoreError> {
        let mut head = self.head.clone();
        let after = head.state.next_tick.0.checked_sub(1).map(Tick);
        let elapsed_ticks = now_ms.saturating_sub(head.at_ms) / tick_ms.max(1) + 1;
        let mut reached = after.unwrap_or_default().after(elapsed_ticks);
        let mut kept = self.kept;
        if let Some(end) = end {
            head.numbering = Numbering::after(end.last);
            head.bytes = PerStream::default();
            kept = kept_after(end);
            reached = reached.max(end.tick);
        }
        let begins = go_on_after(self.meta.identity.lengths, reached, &mut head);
        head.revision += 1;
        head.at_ms = now_ms;
        head.batch_first_seq = head.numbering.last_seq(Stream::Executions) + 1;
        let waiting = queue_rows::read_all(&self.connection, head.queue)?;
        let released = released_rows::read_all(&self.connection, head.released)?;
        let waiting = waiting.into_iter().map(|queued| queued.execution);
        // What had been released may have its outcome in what the copy lacks.
        let given_up: Vec<_> = waiting.chain(released.into_iter().map(|row| row.execution)).collect();
        (head.queue, head.released) = (QueueSum::default(), QueueSum::default());
        let gap = GapRow {
            after,
            begins,
            first_seq: PerStream::from_fn(|stream| head.numbering.last_seq(stream) + 1),
            given_up: given_up.len() as u64,
            adopted_at_ms: now_ms,
        };
        let writer_epoch = self.meta.writer_epoch.max(writer_epoch_min);
        let meta = Meta { writer_epoch, ..self.meta.clone() };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        if end.is_some() {
            for stream in Stream::ALL {
                stream_rows::remove_all(&transaction, stream)?;
            }
        }
        queue_rows::remove_all(&transaction)?;
        released_rows::remove_all(&transaction)?;
        head::is_no_copy_any_more(&transaction)?;
        head::write(&transaction, &meta)?;
        head::write(&transaction, &head)?;
        head::write(&transaction, &kept)?;
        head::write(&transaction, &gap)?;
        transaction.commit()?;
        (self.meta, self.head, self.kept) = (meta, head, kept);
        if let Err(error) = self.witness.write(self.head.revision) {
            tracing::warn!(%error, "the outbox's witness could not be written");
        }
        Ok(Continued { after, begins, given_up })
    }
}

/// The window that was being filled at tick `reached` stays a gap; the one after it, whose first tick is the answer, has
/// passed without a tick.
fn go_on_after(lengths: Lengths, reached: Tick, head: &mut HeadRow) -> Tick {
    let idle = lengths.first_of(lengths.window_of(reached) + 1);
    head.state.next_tick = idle.after(lengths.window_ticks);
    head.state.open_window = OpenWindow::idle(lengths, lengths.window_ticks - 1);
    head.state.ended = Ended::default();
    idle
}

/// Nothing is kept here of what lies before `end`, and all of it has been shipped.
fn kept_after(end: &Continuation) -> KeptRow {
    KeptRow {
        first_seq: PerStream::from_fn(|stream| end.last[stream].1 + 1),
        shipped: PerStream::from_fn(|stream| {
            let (id, seq) = end.last[stream];
            Mark { id, seq, bytes: 0 }
        }),
    }
}

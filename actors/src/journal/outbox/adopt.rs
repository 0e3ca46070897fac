//! Continuing somebody else's streams: a journal that begins where another one ends.

use evenkeel_core::{
    journal::{EntryId, Numbering, PerStream},
    tick::Tick,
    window::{OpenWindow, WINDOW_TICKS},
};
use rusqlite::TransactionBehavior;

use super::{
    error::{CommitError, StoreError},
    fence,
    head::{self, HeadRow, KeptRow, Mark},
    store::Outbox,
};

/// Where the streams of another journal end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Last id and sequence number of each stream.
    pub last: PerStream<(EntryId, u64)>,
    /// The last tick that they tell about.
    pub tick: Tick,
}

impl Outbox {
    /// Makes a journal in which nothing has been recorded go on after `end`: its ids, sequence numbers and ticks
    /// follow those. What waited in the other journal is not known here. The first tick of what this journal says: the
    /// gap before it belongs to nobody.
    ///
    /// # Errors
    /// [`CommitError::OutOfOrder`] when something has been recorded; otherwise as for a commit.
    pub fn continue_after(&mut self, end: &Continuation) -> Result<Tick, CommitError> {
        if self.head.revision > 0 {
            return Err(CommitError::OutOfOrder { at: self.head.revision, got: 0 });
        }
        self.try_continue(end).map_err(|error| self.failed(error))
    }

    fn try_continue(&mut self, end: &Continuation) -> Result<Tick, StoreError> {
        // The window that was being filled stays a gap; the one after it has passed without a tick.
        let idle = Tick((end.tick.0 / WINDOW_TICKS + 1) * WINDOW_TICKS);
        let mut head = HeadRow { batch_first_seq: end.last.executions.1 + 1, ..HeadRow::default() };
        head.numbering = Numbering::after(end.last);
        head.state.next_tick = idle.after(WINDOW_TICKS);
        head.state.open_window = OpenWindow::idle(WINDOW_TICKS - 1);
        let kept = KeptRow {
            first_seq: PerStream::from_fn(|stream| end.last[stream].1 + 1),
            shipped: PerStream::from_fn(|stream| {
                let (id, seq) = end.last[stream];
                Mark { id, seq, bytes: 0 }
            }),
        };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        head::write(&transaction, &head)?;
        head::write(&transaction, &kept)?;
        transaction.commit()?;
        (self.head, self.kept) = (head, kept);
        Ok(idle)
    }
}

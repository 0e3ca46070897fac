//! The backlog in whole ticks, read a batch ahead: while Redis takes one batch, the next is read.

use std::collections::VecDeque;

use evenkeel_core::{
    journal::{Entry, PerStream, Positions, Stream},
    units::tick::Tick,
};

use super::backlog::Backlog;
use crate::{
    ports::history::ReadError,
    stores::outbox::{Since, source::in_order},
};

/// What has been read of the backlog and not been taken.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    entries: PerStream<VecDeque<Entry>>,
    /// How far each stream has been read.
    read: Positions,
    /// Ticks before it are here as a whole.
    whole: Tick,
    /// Whether the last read left some.
    left: bool,
}

impl Ahead {
    /// Nothing read yet of what follows `position`.
    pub(super) fn of(position: &Positions) -> Self {
        Self { read: *position, ..Self::default() }
    }

    /// Entries of whole ticks, one stream after the other, and the tick up to which they tell: what has been read, or
    /// else what a read of `limit` entries of each stream gives, or as many as a tick's end needs.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn take(
        &mut self,
        backlog: &dyn Backlog,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<Tick>), ReadError> {
        while !self.holds_a_tick() {
            self.read(backlog, limit)?;
            if !self.left {
                break;
            }
        }
        let whole = self.whole;
        let taken = PerStream::from_fn(|stream| {
            let entries = &mut self.entries[stream];
            let count = entries.partition_point(|entry| entry.record.committed() < whole);
            entries.drain(..count).collect()
        });
        Ok((in_order(taken), whole.0.checked_sub(1).map(Tick)))
    }

    /// Reads what the next [`Ahead::take`] gives, if more is known to be there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn read_on(&mut self, backlog: &dyn Backlog, limit: usize) -> Result<(), ReadError> {
        if self.left && !self.holds_a_tick() { self.read(backlog, limit) } else { Ok(()) }
    }

    /// Whether there is more than has been taken.
    pub(super) fn more(&self) -> bool {
        self.left || self.holds_a_tick()
    }

    fn holds_a_tick(&self) -> bool {
        let first = Stream::ALL.iter().filter_map(|&stream| self.entries[stream].front());
        first.map(|entry| entry.record.committed()).any(|tick| tick < self.whole)
    }

    fn read(&mut self, backlog: &dyn Backlog, limit: usize) -> Result<(), ReadError> {
        let Since { mut entries, next_tick, more } = backlog.since(&self.read, limit)?;
        self.left = more;
        self.whole = next_tick;
        for stream in Stream::ALL {
            let entries = std::mem::take(&mut entries[stream]);
            if let Some(last) = entries.last() {
                self.read.advance(stream, last.id);
                if more && entries.len() == limit {
                    // Of the tick that the longest reads end in, some may be missing.
                    self.whole = self.whole.min(last.record.committed());
                }
            }
            self.entries[stream].extend(entries);
        }
        Ok(())
    }
}

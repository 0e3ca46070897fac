//! All entries of a journal from a tick on, in the order of their commits.

use std::collections::VecDeque;

use evenkeel_actors::ports::history::{History, Page, ReadError};
use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Stream},
    units::tick::Tick,
};

use crate::output;

/// Entries of a stream that are read at a time: some MB.
const CHUNK: usize = 5_000;

/// See the module.
pub(super) struct Entries {
    history: Box<dyn History>,
    read: PerStream<VecDeque<Entry>>,
    /// How far each stream has been read; none at its end.
    positions: PerStream<Option<EntryId>>,
}

impl Entries {
    /// Those that `from` and later ticks recorded.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn of(mut history: Box<dyn History>, from: Tick) -> Result<Self, ReadError> {
        let positions = PerStream::try_from_fn(|stream| history.before_tick(stream, from).map(Some))?;
        Ok(Self { history, read: PerStream::default(), positions })
    }

    /// The next one; none at the end.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        for stream in Stream::ALL {
            self.read_on(stream)?;
        }
        let first = |stream: &Stream| Some((self.read[*stream].front()?.record.committed(), *stream));
        let next = Stream::ALL.iter().filter_map(first).min();
        Ok(next.and_then(|(_, stream)| self.read[stream].pop_front()))
    }

    fn read_on(&mut self, stream: Stream) -> Result<(), ReadError> {
        while self.read[stream].is_empty()
            && let Some(after) = self.positions[stream]
        {
            let page = self.history.after(stream, after, CHUNK)?;
            self.positions[stream] = page.last_id();
            let Page { entries, unreadable } = page;
            unreadable.into_iter().for_each(output::note);
            self.read[stream].extend(entries);
        }
        Ok(())
    }
}

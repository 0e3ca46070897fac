//! The three streams as one, in the order of what happened.

use std::iter::Peekable;

use crate::{
    journal::{Entry, PerStream, Stream},
    units::tick::Tick,
};

/// Entries of the three streams by tick. Within one, what ran comes before what was queued or delayed
/// after it, and a window comes after the executions that it counts.
///
/// Each stream is taken in its own order, whatever its ticks say: the audit judges that.
pub struct Merge<I: Iterator> {
    streams: PerStream<Peekable<I>>,
}

impl<I: Iterator> Merge<I> {
    /// Each stream's entries in the order of their ids.
    pub fn new(streams: PerStream<I>) -> Self {
        let PerStream { executions, queue, windows } = streams;
        let streams = PerStream {
            executions: executions.peekable(),
            queue: queue.peekable(),
            windows: windows.peekable(),
        };
        Self { streams }
    }
}

impl<E, I: Iterator<Item = Result<Entry, E>>> Iterator for Merge<I> {
    type Item = Result<Entry, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut next: Option<(Tick, Stream)> = None;
        for stream in Stream::ALL {
            let Some(head) = self.streams[stream].peek() else { continue };
            let Ok(entry) = head else { return self.streams[stream].next() };
            let tick = entry.record.tick();
            // Streams come in the order in which they take turns within a tick.
            if next.is_none_or(|(earliest, _)| tick < earliest) {
                next = Some((tick, stream));
            }
        }
        next.and_then(|(_, stream)| self.streams[stream].next())
    }
}

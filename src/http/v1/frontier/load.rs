//! What is read of the journal for a frontier: the last recorded load, from its end backwards.

use std::collections::VecDeque;

use evenkeel_actors::ports::history::{Head, History, Page, ReadError};
use evenkeel_core::{
    journal::{QueueRecord, Record, Stream},
    server::queue::HoldLimits,
    simulate::Recorded,
    units::tick::Tick,
};

/// Most ticks of load: ten minutes at the default pace.
pub(super) const TICKS_MAX: u64 = 6_000;
/// Most events of load, some 20 MB; at 75 arrivals a tick that is four minutes at the default pace.
const EVENTS_MAX: usize = 200_000;
/// Entries read at a time.
const CHUNK: usize = 5_000;

/// The load of the last ticks, of which everything is kept.
///
/// # Errors
/// [`ReadError`].
pub(super) fn read(history: &mut dyn History, limits: HoldLimits) -> Result<Recorded, ReadError> {
    let Head { lengths, next_tick: end, streams, .. } = history.head()?;
    // Of the first tick that retention has left, a part may be gone.
    let kept = streams[Stream::Queue].first.filter(|first| first.seq > 1).map(|first| first.tick.next());
    let mut from = Tick(end.0.saturating_sub(TICKS_MAX)).max(kept.unwrap_or_default());
    let mut events: VecDeque<QueueRecord> = VecDeque::new();
    let mut page = history.tail(Stream::Queue, CHUNK)?;
    while let Some(first) = page.first_id() {
        let Page { entries, .. } = page;
        for entry in entries.into_iter().rev() {
            if let Record::Queue(event) = entry.record {
                events.push_front(event);
            }
        }
        if events.front().is_some_and(|event| event.tick < from) {
            break;
        }
        if let Some(too_many) = events.len().checked_sub(EVENTS_MAX + 1) {
            from = from.max(events[too_many].tick.next());
            break;
        }
        page = history.before(Stream::Queue, first, CHUNK)?;
    }
    Ok(Recorded::new(lengths, limits, (from, end), events))
}

#[cfg(test)]
mod tests {
    use evenkeel_actors::ports::{
        history::{End, StreamInfo, Verdict},
        state_store::DeadLetter,
    };
    use evenkeel_core::{
        invariants::TruthRow,
        journal::{Entry, EntryId, PerStream, QueryText, QueueEvent},
        units::{
            ids::{ExecutionId, QueryId},
            lengths::Lengths,
        },
    };
    use uuid::Uuid;

    use super::*;

    /// The stream of queue events, of which so many a tick are kept from some tick on.
    struct Kept {
        a_tick: u64,
        ticks: std::ops::Range<u64>,
        read: usize,
    }

    impl Kept {
        /// The entry in this place of the stream, from 1 on.
        fn entry(&self, seq: u64) -> Entry {
            let tick = Tick((seq - 1) / self.a_tick);
            let (execution, query) = (ExecutionId::new(tick.0, u128::from(seq)), QueryId(Uuid::nil()));
            let due_tick = tick.next();
            let event = QueueRecord {
                event: QueueEvent::Queued,
                execution,
                query,
                tick,
                due_tick,
                added_ticks: 0,
                statement: None,
            };
            Entry { id: EntryId { ms: seq, n: 0 }, seq, version: 2, record: Record::Queue(event) }
        }

        /// The last `limit` entries up to one.
        fn up_to(&mut self, last: u64, limit: usize) -> Page {
            let first = (self.ticks.start * self.a_tick + 1).max((last + 1).saturating_sub(limit as u64));
            let entries: Vec<_> = (first..=last).map(|seq| self.entry(seq)).collect();
            self.read += entries.len();
            entries.into()
        }
    }

    impl History for Kept {
        fn head(&mut self) -> Result<Head, ReadError> {
            let first = self.entry(self.ticks.start * self.a_tick + 1);
            let first = Some(End { seq: first.seq, id: first.id, tick: first.record.tick() });
            let streams = PerStream::from_fn(|_| StreamInfo { first, ..StreamInfo::default() });
            let lengths = Lengths::default();
            Ok(Head { lengths, next_tick: Tick(self.ticks.end), streams, ..Head::default() })
        }

        fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ReadError> {
            Ok(Vec::new())
        }

        fn texts(&mut self) -> Result<Vec<QueryText>, ReadError> {
            Ok(Vec::new())
        }

        fn text(&mut self, _: QueryId) -> Result<Option<QueryText>, ReadError> {
            Ok(None)
        }

        fn verify(
            &mut self,
            _: Option<Vec<TruthRow>>,
            _: &mut dyn FnMut(u64, u64),
        ) -> Result<Verdict, ReadError> {
            Ok(Verdict::default())
        }

        fn after(&mut self, _: Stream, _: EntryId, _: usize) -> Result<Page, ReadError> {
            Ok(Page::default())
        }

        fn before(&mut self, _: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError> {
            Ok(self.up_to(id.ms - 1, limit))
        }

        fn tail(&mut self, _: Stream, limit: usize) -> Result<Page, ReadError> {
            Ok(self.up_to(self.ticks.end * self.a_tick, limit))
        }
    }

    /// First tick and length of what is read, and how many entries were.
    fn of(a_tick: u64, ticks: std::ops::Range<u64>) -> (u64, u64, usize) {
        let mut kept = Kept { a_tick, ticks, read: 0 };
        let recorded = read(&mut kept, HoldLimits::default()).unwrap();
        (recorded.first().0, recorded.ticks(), kept.read)
    }

    #[test]
    fn a_young_journal_is_read_from_its_beginning_and_an_old_one_from_its_end() {
        assert_eq!(of(2, 0..1_000), (0, 1_000, 2_000));
        let (first, ticks, read) = of(2, 0..100_005);
        assert_eq!((first, ticks), (94_010, 5_990));
        assert!((12_000..=20_000).contains(&read), "{read}");
    }

    #[test]
    fn a_tick_that_retention_may_have_cut_is_left_out() {
        assert_eq!(of(2, 200..1_000), (210, 790, 1_600));
        assert_eq!(of(2, 199..1_000), (200, 800, 1_602));
    }

    #[test]
    fn of_a_large_load_there_is_less() {
        let (first, ticks, read) = of(1_000, 0..100_000);
        assert_eq!((first, ticks), (99_800, 200));
        assert!(read <= EVENTS_MAX + 2 * CHUNK, "{read}");
    }
}

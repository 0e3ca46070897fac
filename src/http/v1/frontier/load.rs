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

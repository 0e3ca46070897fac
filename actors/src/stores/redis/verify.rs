//! The audit over the streams: all of their entries, as they stood at one moment.

use std::{cell::RefCell, vec};

use evenkeel_core::{
    invariants::{Audit, Merge, Report, TruthRow},
    journal::{Entry, EntryId, PerStream, Stream},
    units::tick::Tick,
};

use super::{
    link::RedisFault,
    reader::{RedisMeta, RedisReader},
};
use crate::ports::{history::Verdict, state_store::DeadLetter};

/// Entries read at a time: some ms of Redis' time.
const CHUNK: usize = 2_000;

/// Verifies what `reader` shows, against `truth` too when it is given. `progress` is told how many of how
/// many entries have been read, now and then.
///
/// # Errors
/// [`RedisFault`].
pub(super) fn verify(
    reader: &mut RedisReader,
    truth: Option<Vec<TruthRow>>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Verdict, RedisFault> {
    let (meta, streams) = reader.moment()?;
    let dead = reader.dead_letters()?;
    let gap = meta.gaps().max();
    let mut first = PerStream::default();
    for stream in Stream::ALL {
        first[stream] = match gap {
            None if streams[stream].first.is_some() => streams[stream].first.clone(),
            // It cannot be read, or there is none.
            None => first_from(reader, stream, Tick(0))?,
            Some(tick) => first_from(reader, stream, tick)?,
        };
    }
    let total = Stream::ALL.iter().map(|&stream| streams[stream].length).sum();
    let mut audit = Audit::new(meta.lengths(), &first);
    if let Some(truth) = truth {
        audit = audit.with_truth(truth);
    }
    let reader = RefCell::new(reader);
    let entries = PerStream::from_fn(|stream| Entries {
        reader: &reader,
        stream,
        // Whole, unless it is another journal's up to here.
        after: first[stream]
            .as_ref()
            .filter(|_| gap.is_some())
            .and_then(|entry| entry.id.predecessor())
            .unwrap_or_default(),
        to: streams[stream].last_id,
        chunk: Vec::new().into_iter(),
    });
    let mut all = Vec::new();
    for (read, entry) in (1..).zip(Merge::new(entries)) {
        match entry {
            Ok(entry) => audit.entry(&entry),
            Err(Stop::Unreadable(dead)) => {
                audit.unreadable(dead.stream);
                all.push(dead);
            }
            Err(Stop::Fault(fault)) => return Err(fault),
        }
        if read % CHUNK as u64 == 0 {
            progress(read, total);
        }
    }
    // Without a tick nothing has been shipped yet.
    let report = audit.finish(meta.next_tick(), None);
    for letter in dead {
        if !all.iter().any(|known: &DeadLetter| (known.stream, known.id) == (letter.stream, letter.id)) {
            all.push(letter);
        }
    }
    let notes = notes(&meta, gap, &report);
    Ok(Verdict { report, wrong: all.iter().map(ToString::to_string).collect(), notes })
}

/// What has been lost; whether the proof begins where another journal was continued; what could not be judged.
fn notes(meta: &RedisMeta, gap: Option<Tick>, report: &Report) -> Vec<String> {
    let lost = meta.lost().map(|range| format!("Redis lost {range}, which the outbox no longer had"));
    let gap = gap.map(|tick| {
        format!("another journal was continued at tick {tick}: what lies before is its own, and not checked")
    });
    let unjudged = (report.unjudged > 0).then(|| {
        let windows = report.unjudged;
        format!(
            "{windows} windows count other executions than can be read here: those named above are among them"
        )
    });
    lost.chain(gap).chain(unjudged).collect()
}

/// The first entry at or after `tick`.
fn first_from(reader: &mut RedisReader, stream: Stream, tick: Tick) -> Result<Option<Entry>, RedisFault> {
    let mut after = EntryId::default();
    loop {
        let chunk = reader.after(stream, after, CHUNK)?;
        let Some(last) = chunk.last() else { return Ok(None) };
        after = last.as_ref().map_or_else(|dead| dead.id, |entry| entry.id);
        if let Some(found) = chunk.into_iter().flatten().find(|entry| entry.record.tick() >= tick) {
            return Ok(Some(found));
        }
    }
}

/// What stands in a stream in place of an entry.
enum Stop {
    Fault(RedisFault),
    Unreadable(DeadLetter),
}

/// A stream's entries, read in chunks.
struct Entries<'a> {
    reader: &'a RefCell<&'a mut RedisReader>,
    stream: Stream,
    after: EntryId,
    to: EntryId,
    chunk: vec::IntoIter<Result<Entry, DeadLetter>>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(one) = self.chunk.next() {
                return Some(one.map_err(Stop::Unreadable));
            }
            if self.after >= self.to {
                return None;
            }
            let found = match self.reader.borrow_mut().after(self.stream, self.after, CHUNK) {
                Ok(found) => found,
                Err(fault) => {
                    self.after = self.to;
                    return Some(Err(Stop::Fault(fault)));
                }
            };
            let ids = |found: &Result<Entry, DeadLetter>| {
                found.as_ref().map_or_else(|dead| dead.id, |entry| entry.id)
            };
            self.after = found.last().map_or(self.to, ids);
            let found: Vec<_> = found.into_iter().filter(|found| ids(found) <= self.to).collect();
            self.chunk = found.into_iter();
        }
    }
}

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    control::Mode,
    ids::{ExecutionId, QueryId},
    journal::{Commit, Entry, EntryId, Numbering, PerStream, QueueEvent, Record, Recovered, Stream},
    queue::{HoldLimits, Measured, Queued, RecordedQueue},
    resource::Usage,
    tick::Tick,
    window::OpenWindow,
};

/// What a server with a queue records, and what its database ran.
struct History {
    entries: PerStream<Vec<Entry>>,
    next_tick: Tick,
    rows: Vec<Queued>,
    truth: Vec<TruthRow>,
}

/// One tick: arrivals, and whether something that waits is delayed after it.
type TickInput = (u64, Option<(prop::sample::Index, u64)>);

fn ticks() -> impl Strategy<Value = Vec<TickInput>> {
    let delay = prop::option::weighted(0.3, (any::<prop::sample::Index>(), 1u64..15));
    prop::collection::vec((0u64..4, delay), 25..70)
}

fn history(ticks: &[TickInput]) -> History {
    let mut queue = RecordedQueue::recover(100, HoldLimits::default(), &Recovered::default());
    queue.set_mode(Mode::Off, 0);
    let mut history =
        History { entries: PerStream::default(), next_tick: Tick(0), rows: Vec::new(), truth: Vec::new() };
    let mut numbering = Numbering::default();
    let mut open = OpenWindow::default();
    let (mut last, mut usage) = (None, None);
    for (tick, (arrivals, delay)) in (0..).map(Tick).zip(ticks) {
        let at_ms = 1_000_000 + tick.0 * 100;
        let closed = usage.and_then(|(tick, usage, executed)| open.add(tick, &usage, executed).unwrap());
        last = closed.or(last);
        let arrivals = (0..*arrivals)
            .map(|n| (ExecutionId::new(at_ms, n.into()), QueryId(Uuid::from_u128(u128::from(n + 1)))));
        let measured = Measured { closed, open, last };
        let (commit, executed) = queue.advance(tick, at_ms, arrivals.collect(), measured).unwrap();
        usage = Some((tick, Usage::all(100 + executed.len() as u64), executed.len() as u64));
        history.truth.extend(executed.iter().map(|executed| TruthRow {
            execution: executed.execution,
            tick,
            query: executed.query,
        }));
        let mut commits = vec![commit];
        let waiting: Vec<_> = queue.queue().planned().collect();
        if let Some((which, added)) = delay
            && !waiting.is_empty()
        {
            let execution = waiting[which.index(waiting.len())].queued.execution;
            commits.push(queue.delay(execution, *added, at_ms).unwrap());
        }
        for Commit { records, at_ms, .. } in commits {
            for record in records {
                let entry = numbering.number(record, at_ms);
                history.entries[entry.record.stream()].push(entry);
            }
        }
        history.next_tick = tick.next();
    }
    history.rows = queue.queue().planned().map(|planned| planned.queued).collect();
    history
}

impl History {
    fn audit(&self) -> Report {
        let first = PerStream::from_fn(|stream| self.entries[stream].first().cloned());
        let mut audit = Audit::new(&first).with_truth(self.truth.iter().copied());
        let streams = PerStream::from_fn(|stream| {
            self.entries[stream].iter().cloned().map(Ok::<_, std::convert::Infallible>)
        });
        for entry in Merge::new(streams) {
            audit.entry(&entry.unwrap());
        }
        audit.finish(self.next_tick, Some(&self.rows))
    }

    fn findings(&self) -> Vec<Finding> {
        self.audit().findings.first().to_vec()
    }

    /// Removes what is before `ticks`, each stream at its own one, perhaps amid a tick.
    fn trim(&mut self, ticks: PerStream<(u64, usize)>) {
        for stream in Stream::ALL {
            let (tick, some) = ticks[stream];
            let entries = &mut self.entries[stream];
            let before = entries.partition_point(|entry| entry.record.tick() < Tick(tick));
            let keep = entries.len().saturating_sub(1);
            entries.drain(..(before + some).min(keep));
        }
    }
}

proptest! {
    #[test]
    fn what_a_queue_records_holds(ticks in ticks()) {
        let history = history(&ticks);
        let report = history.audit();
        prop_assert_eq!(report.findings.first(), []);
        let last = (ticks.len() as u64 - 1) / 10 * 10 - 1;
        prop_assert_eq!(report.proved, Some((Tick(0), Tick(last))));
        prop_assert_eq!(report.waiting, history.rows.len() as u64);
        let younger = |entry: &&Entry| entry.record.tick() > Tick(last);
        let open = Stream::ALL.iter().map(|stream| history.entries[*stream].iter().filter(younger).count());
        prop_assert_eq!(report.open_entries, open.sum::<usize>() as u64);
    }

    #[test]
    fn trimmed_beginnings_hold_too(ticks in ticks(), cuts in any::<[(u8, u8); 3]>()) {
        let mut history = history(&ticks);
        let [executions, queue, windows] = cuts.map(|(tick, some)| (u64::from(tick % 25), usize::from(some % 3)));
        history.trim(PerStream { executions, queue, windows });
        prop_assert_eq!(history.findings(), []);
    }

    #[test]
    fn an_entry_that_is_dropped_is_found(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = history.entries[stream].remove(at);
        // The first one gone is a beginning that was trimmed, which the store tells apart; the last one
        // gone is a stream that ends earlier, which only its other traces can tell.
        prop_assume!(at > 0);
        prop_assert!(!history.findings().is_empty(), "{entry:?}");
    }

    #[test]
    fn an_entry_that_is_dropped_is_found_when_what_follows_is_numbered_anew(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = history.entries[stream].remove(at);
        for (entry, seq) in history.entries[stream].iter_mut().zip(1..) {
            entry.seq = seq;
        }
        prop_assert!(!history.findings().is_empty(), "{entry:?}");
    }

    #[test]
    fn an_entry_that_comes_again_is_found(ticks in ticks(), which: prop::sample::Index, later in 0usize..4) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entries = &mut history.entries[stream];
        let again = entries[at].clone();
        let to = (at + 1 + later).min(entries.len());
        entries.insert(to, again);
        renumber(entries);
        prop_assert!(!history.findings().is_empty());
    }

    #[test]
    fn entries_that_change_places_are_found(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entries = &mut history.entries[stream];
        prop_assume!(at + 1 < entries.len());
        entries.swap(at, at + 1);
        prop_assert!(!history.findings().is_empty());
    }

    #[test]
    fn a_changed_field_is_found(ticks in ticks(), which: prop::sample::Index, field: prop::sample::Index, by in 1u64..30) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = &mut history.entries[stream][at];
        let before = entry.clone();
        change(entry, field, by);
        prop_assert_ne!(&before, &*entry);
        let now = entry.clone();
        prop_assert!(!history.findings().is_empty(), "{before:?} {now:?}");
    }

    #[test]
    fn what_ran_unrecorded_or_twice_or_never_is_found(ticks in ticks(), which: prop::sample::Index) {
        let whole = history(&ticks);
        prop_assume!(!whole.truth.is_empty());
        let at = which.index(whole.truth.len());
        let row = whole.truth[at];

        let mut twice = history(&ticks);
        twice.truth.push(row);
        prop_assert_eq!(twice.findings(), [Finding::RanTwice(row.execution)]);

        let mut unrecorded = history(&ticks);
        let execution = ExecutionId(Uuid::from_u128(42));
        unrecorded.truth.push(TruthRow { execution, ..row });
        let expected = Finding::NotJournalled { execution, query: row.query, tick: row.tick };
        prop_assert_eq!(unrecorded.findings(), [expected]);

        let mut never = history(&ticks);
        never.truth.remove(at);
        let last_batch = row.tick.next() == never.next_tick;
        let expected = Finding::NeverRan { execution: row.execution, tick: row.tick };
        prop_assert_eq!(never.findings(), if last_batch { vec![] } else { vec![expected] });

        let mut other = history(&ticks);
        other.truth[at].tick = row.tick.next();
        let not_true = matches!(other.findings()[..], [Finding::NotTrue { field: "tick", .. }]);
        prop_assert!(not_true);
    }

    #[test]
    fn a_row_that_is_lost_or_made_up_is_found(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        prop_assume!(!history.rows.is_empty());
        let at = which.index(history.rows.len());
        let row = history.rows.remove(at);
        prop_assert_eq!(history.findings(), [Finding::QueueRow { execution: row.execution, row: false }]);
        let execution = ExecutionId(Uuid::from_u128(42));
        history.rows.push(row);
        history.rows.push(Queued { execution, ..row });
        prop_assert_eq!(history.findings(), [Finding::QueueRow { execution, row: true }]);
    }

    #[test]
    fn a_truth_row_is_read_as_it_is_written(execution: u128, query: u128, tick: u64) {
        let row = TruthRow {
            execution: ExecutionId(Uuid::from_u128(execution)),
            tick: Tick(tick),
            query: QueryId(Uuid::from_u128(query)),
        };
        prop_assert_eq!(row.to_string().parse(), Ok(row));
    }
}

/// A stream and the place of one of its entries, any entry as likely as another.
fn pick(history: &History, which: prop::sample::Index) -> (Stream, usize) {
    let lengths = Stream::ALL.map(|stream| history.entries[stream].len());
    let mut at = which.index(lengths.iter().sum());
    for (stream, length) in Stream::ALL.into_iter().zip(lengths) {
        if at < length {
            return (stream, at);
        }
        at -= length;
    }
    unreachable!("the index is below the sum")
}

/// As a writer would number them: only what they say can give a mistake away.
fn renumber(entries: &mut [Entry]) {
    for (entry, seq) in entries.iter_mut().zip(1..) {
        entry.seq = seq;
        entry.id = EntryId { ms: 1_000_000 + seq, n: 0 };
    }
}

/// Changes one field that something else in the journal depends on.
fn change(entry: &mut Entry, field: prop::sample::Index, by: u64) {
    let stranger = Uuid::from_u128(u128::from(by) << 64);
    match &mut entry.record {
        Record::Executed(executed) => match field.index(6) {
            0 => executed.execution = ExecutionId(stranger),
            1 => executed.query = QueryId(stranger),
            2 => executed.queued_tick.0 += by,
            3 => executed.due_tick.0 += by,
            4 => executed.tick.0 += by,
            _ => entry.seq += by,
        },
        Record::Queue(event) => match field.index(6) {
            0 => event.execution = ExecutionId(stranger),
            1 => event.query = QueryId(stranger),
            2 => event.due_tick.0 += by,
            3 => event.added_ticks += by,
            4 => entry.seq += by,
            _ => {
                event.event = match event.event {
                    QueueEvent::Queued => QueueEvent::Delayed,
                    QueueEvent::Delayed | QueueEvent::Released => QueueEvent::Queued,
                }
            }
        },
        Record::Window(window) => match field.index(6) {
            0 => window.first_tick.0 += by,
            1 => window.last_tick.0 += by,
            2 => window.executed += by,
            3 => window.usage.io.max = window.usage.io.average - 1,
            4 => entry.seq += by,
            _ => window.usage.cpu.min = window.usage.cpu.max + by,
        },
    }
}

mod damaged;
mod named;
mod sent;
mod statements;
mod trimmed;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    journal::{
        Commit, Entry, EntryId, Mode, Numbering, PerStream, Queued, Record, Recovered, Replaced, Start,
        Stream,
    },
    server::queue::{HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::{Measured, OpenWindow},
    },
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
    let mut queue = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default());
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
        let (commit, executed) =
            queue.advance(tick, at_ms, arrivals.map(Into::into).collect(), measured).unwrap();
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
        self.audit_of(Audit::new(Lengths::default(), &first).with_truth(self.truth.iter().copied()))
    }

    fn audit_of(&self, mut audit: Audit) -> Report {
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
    fn a_window_that_was_measured_holds(usage in prop::collection::vec([0u64..4, 0u64..40, 90u64..120], 10)) {
        let mut open = OpenWindow::default();
        let mut closed = None;
        for (tick, [cpu, io, memory]) in (0..).map(Tick).zip(usage) {
            closed = open.add(tick, &Usage { cpu, io, memory }, 0).unwrap();
        }
        let record = Record::Window(closed.expect("ten ticks close it"));
        let mut audit = Audit::new(Lengths::default(), &PerStream::default());
        audit.entry(&Entry { id: EntryId { ms: 1, n: 0 }, seq: 1, version: crate::journal::FORMAT, record });
        let report = audit.so_far();
        prop_assert_eq!(report.findings.first(), []);
    }

    #[test]
    fn trimmed_beginnings_hold_too(ticks in ticks(), cuts in any::<[(u8, u8); 3]>()) {
        let mut history = history(&ticks);
        let [executions, queue, windows] = cuts.map(|(tick, some)| (u64::from(tick % 25), usize::from(some % 3)));
        history.trim(PerStream { executions, queue, windows });
        prop_assert_eq!(history.findings(), []);
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
    fn a_writer_that_found_a_successor_while_it_lived_is_found(ticks in ticks(), trimmed in 0u64..25, last_tick in 0u64..25) {
        let mut history = history(&ticks);
        history.trim(PerStream { executions: (trimmed, 0), queue: (trimmed, 0), windows: (trimmed, 0) });
        let first = PerStream::from_fn(|stream| history.entries[stream].first().cloned());
        let start = |writer_epoch, replaced| Start {
            writer_epoch,
            at_ms: 1,
            first_tick: Tick(0),
            after_orderly_end: Some(false),
            ended_at_ms: None,
            replaced,
        };
        let replaced = Replaced { at_ms: 2, last_tick: Some(Tick(last_tick)) };
        let nothing_ran = Replaced { at_ms: 2, last_tick: None };
        let starts = vec![start(1, Some(nothing_ran)), start(2, Some(replaced)), start(3, None)];
        let found = history.audit_of(Audit::new(Lengths::default(), &first).with_starts(starts)).findings.first().to_vec();
        let expected = Finding::TwoWriters { writer_epoch: 2, tick: Tick(last_tick) };
        // What retention removed is not spoken of any more.
        let begins = Audit::new(Lengths::default(), &first).first_tick();
        prop_assert_eq!(found, if Tick(last_tick) >= begins { vec![expected] } else { vec![] });
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
        history.rows.pop();
        let changed = history.rows.last_mut().expect("it has just been put back");
        changed.due_tick = changed.due_tick.next();
        prop_assert_eq!(history.findings(), [Finding::QueueRow { execution: row.execution, row: false }]);
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

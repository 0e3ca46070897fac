//! A whole journal is damaged in one place: the findings must name that place, not only be there.

use super::*;
use crate::{
    journal::{Executed, QueueEvent, QueueRecord},
    units::window::Window,
};

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
    let first = entries.first().map_or(1, |entry| entry.seq);
    for (entry, seq) in entries.iter_mut().zip(first..) {
        entry.seq = seq;
        entry.id = EntryId { ms: 1_000_000 + seq, n: 0 };
    }
}

fn in_order(mut findings: Vec<Finding>) -> Vec<String> {
    findings.sort_by_key(ToString::to_string);
    findings.iter().map(ToString::to_string).collect()
}

impl History {
    fn queue_events(&self) -> impl Iterator<Item = QueueRecord> {
        self.entries.queue.iter().filter_map(|entry| match &entry.record {
            Record::Queue(event) => Some(event.clone()),
            _ => None,
        })
    }

    fn run(&self, id: ExecutionId) -> Option<&Executed> {
        self.entries.executions.iter().find_map(|entry| match &entry.record {
            Record::Executed(executed) if executed.execution == id => Some(executed),
            _ => None,
        })
    }

    fn window_of(&self, tick: Tick) -> Option<&Window> {
        self.entries.windows.iter().find_map(|entry| match &entry.record {
            Record::Window(window) if (window.first_tick..=window.last_tick).contains(&tick) => Some(window),
            _ => None,
        })
    }

    /// What an execution that runs or waits shows of its queue entries, if these say `due_tick` or nothing at all.
    fn outcome_against(&self, execution: ExecutionId, due_tick: Option<Tick>) -> Finding {
        match (self.run(execution), due_tick) {
            (Some(ran), None) => Finding::NotQueued { execution, tick: ran.tick },
            (Some(ran), Some(queued)) => Finding::Contradiction {
                execution,
                field: "due_tick",
                executed: ran.due_tick.to_string(),
                queued: queued.to_string(),
            },
            (None, _) => Finding::QueueRow { execution, row: due_tick.is_none() },
        }
    }

    /// What shows, besides its number, that `entry` is not at place `at` any more.
    fn traces_of(&self, entry: &Entry, at: usize) -> Vec<Finding> {
        match &entry.record {
            Record::Executed(executed) => self.traces_of_execution(executed),
            Record::Queue(event) => self.traces_of_event(event, at),
            Record::Window(window) => vec![self.trace_of_window(window, at)],
        }
    }

    fn trace_of_window(&self, window: &Window, at: usize) -> Finding {
        let expected = window.first_tick;
        if let Some(Record::Window(next)) = self.entries.windows.get(at).map(|entry| &entry.record) {
            return Finding::WindowHole { expected, found: next.first_tick };
        }
        let reached = Tick(self.next_tick.0 - 1);
        Finding::WindowMissing { reached, closed: Tick(expected.0.saturating_sub(1)) }
    }

    fn traces_of_execution(&self, executed: &Executed) -> Vec<Finding> {
        let Executed { execution, query, tick, .. } = *executed;
        let mut traces = vec![
            Finding::NotJournalled { execution, query, tick },
            Finding::QueueRow { execution, row: false },
        ];
        traces.extend(self.window_of(tick).map(|window| Finding::WindowCount {
            first_tick: window.first_tick,
            recorded: window.executed,
            counted: window.executed - 1,
        }));
        traces
    }

    fn traces_of_event(&self, event: &QueueRecord, at: usize) -> Vec<Finding> {
        let execution = event.execution;
        let later: Vec<_> = self.queue_events().enumerate().skip(at).collect();
        let mut later = later.into_iter().filter(|(_, event)| event.execution == execution);
        if event.event == QueueEvent::Queued {
            let unknown = |(_, event): (usize, QueueRecord)| Finding::NotWaiting {
                execution,
                event: event.event,
                tick: event.tick,
            };
            let outcome = self.outcome_against(execution, None);
            return later.map(unknown).chain([outcome]).collect();
        }
        if let Some((next, _)) = later.next() {
            return vec![impossible(&self.entries.queue[next], DOES_NOT_FOLLOW)];
        }
        let before = Tick(event.due_tick.0 - event.added_ticks);
        vec![self.outcome_against(execution, Some(before))]
    }
}

const DOES_NOT_FOLLOW: &str = "its query or due tick does not follow from the event before it";
const NOT_THE_DEFAULT: &str = "it is not due after the default delay";
const ONLY_DELAYED: &str = "only `delayed` adds ticks, and at least one";
const NOT_TEN: &str = "it is not a window of the journal's length from a border on";
const EXTENTS: &str = "its averages, extremes and corridor contradict each other";

fn impossible(entry: &Entry, what: &'static str) -> Finding {
    Finding::Impossible { stream: entry.record.stream(), seq: entry.seq, what }
}

proptest! {
    #[test]
    fn an_entry_that_is_dropped_leaves_its_number_and_its_traces(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = history.entries[stream].remove(at);
        // The first one gone is a beginning that was trimmed, which the store tells apart; the last one
        // gone is a stream that ends earlier, which only its other traces can tell.
        prop_assume!(at > 0);
        let mut expected = history.traces_of(&entry, at);
        if let Some(next) = history.entries[stream].get(at) {
            expected.push(Finding::Sequence { stream, expected: entry.seq, found: next.seq });
        }
        prop_assert_eq!(in_order(history.findings()), in_order(expected));
    }

    #[test]
    fn an_entry_that_is_dropped_leaves_its_traces_when_what_follows_is_numbered_anew(
        ticks in ticks(), which: prop::sample::Index,
    ) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = history.entries[stream].remove(at);
        for (entry, seq) in history.entries[stream].iter_mut().zip(1..) {
            entry.seq = seq;
        }
        let expected = history.traces_of(&entry, at);
        prop_assert_eq!(in_order(history.findings()), in_order(expected));
    }

    /// As above, where retention has trimmed the beginnings: from the first whole tick on all is found as ever.
    #[test]
    fn trimmed_streams_show_an_entry_that_is_dropped(
        ticks in ticks(), cuts in any::<[(u8, u8); 3]>(), which: prop::sample::Index,
    ) {
        let mut history = history(&ticks);
        let [executions, queue, windows] = cuts.map(|(tick, some)| (u64::from(tick % 15), usize::from(some % 3)));
        history.trim(PerStream { executions, queue, windows });
        // Ticks of a beginning may be cut into, and a window that begins before them cannot be counted.
        let begins = Stream::ALL.map(|stream| history.entries[stream].first().map_or(0, |entry| entry.record.tick().0 + 1));
        let whole_from = Tick(begins.into_iter().max().unwrap_or_default().next_multiple_of(10));
        let (stream, at) = pick(&history, which);
        let entry = history.entries[stream].remove(at);
        if at == 0 || entry.record.tick() < whole_from {
            return Ok(());
        }
        // What was queued before the proof begins may lack its queue entry.
        let queued_tick = |history: &History, execution| {
            let queued = |event: &QueueRecord| event.event == QueueEvent::Queued && event.execution == execution;
            history.queue_events().find(queued).map(|event| event.tick)
        };
        if let Record::Executed(executed) = &entry.record
            && queued_tick(&history, executed.execution).is_none_or(|tick| tick < whole_from)
        {
            return Ok(());
        }
        let delayed_later = |history: &History, execution| {
            history.queue_events().skip(at).any(|event| event.execution == execution)
        };
        if let Some(next) = history.entries[stream].get(at) {
            let gap = Finding::Sequence { stream, expected: entry.seq, found: next.seq };
            prop_assert!(history.findings().contains(&gap), "{gap}");
        }
        renumber(&mut history.entries[stream]);
        let expected = match &entry.record {
            // Who is delayed may have been queued before what is left; who ran or has a row says when that was.
            Record::Queue(event) if event.event == QueueEvent::Queued && delayed_later(&history, event.execution) => {
                vec![history.outcome_against(event.execution, None)]
            }
            Record::Queue(event) => {
                let queued = if event.event == QueueEvent::Queued { Some(event.tick) } else { queued_tick(&history, event.execution) };
                if queued.is_none_or(|tick| tick < whole_from) {
                    return Ok(());
                }
                history.traces_of(&entry, at)
            }
            _ => history.traces_of(&entry, at),
        };
        prop_assert_eq!(in_order(history.findings()), in_order(expected));
    }

    #[test]
    fn an_entry_that_comes_again_is_named(ticks in ticks(), which: prop::sample::Index, later in 0usize..4) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entries = &mut history.entries[stream];
        let again = entries[at].clone();
        let to = (at + 1 + later).min(entries.len());
        let reached = entries[to - 1].record.tick();
        entries.insert(to, again.clone());
        renumber(entries);
        let tick = again.record.tick();
        let mut expected = Vec::new();
        if tick < reached {
            expected.push(Finding::TickOrder { stream, seq: to as u64 + 1, tick, before: reached });
        }
        match &again.record {
            Record::Executed(Executed { execution, tick, .. }) => {
                expected.push(Finding::ExecutedTwice(*execution));
                expected.push(Finding::NotQueued { execution: *execution, tick: *tick });
                let counted = history.window_of(*tick).filter(|window| reached <= window.last_tick);
                expected.extend(counted.map(|window| Finding::WindowCount {
                    first_tick: window.first_tick,
                    recorded: window.executed,
                    counted: window.executed + 1,
                }));
            }
            Record::Queue(QueueRecord { event, execution, .. }) => {
                let execution = *execution;
                let has_run = history.run(execution).is_some_and(|ran| ran.tick <= reached);
                expected.push(match (event, has_run) {
                    (QueueEvent::Queued, true) => Finding::QueuedAfterItRan(execution),
                    (QueueEvent::Queued, false) => Finding::QueuedTwice { execution, tick },
                    (_, true) => Finding::NotWaiting { execution, event: *event, tick },
                    (_, false) => impossible(&history.entries.queue[to], DOES_NOT_FOLLOW),
                });
            }
            Record::Window(window) => {
                expected.push(Finding::WindowHole { expected: reached.next(), found: window.first_tick });
            }
        }
        let found = history.findings();
        for finding in expected {
            prop_assert!(found.contains(&finding), "{finding} is not among {found:?}");
        }
    }

    #[test]
    fn entries_that_change_places_are_named(ticks in ticks(), which: prop::sample::Index) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entries = &mut history.entries[stream];
        prop_assume!(at + 1 < entries.len());
        entries.swap(at, at + 1);
        let [first, second] = [&entries[at], &entries[at + 1]];
        let expected = [
            Finding::Sequence { stream, expected: first.seq + 1, found: second.seq },
            Finding::IdOrder { stream, seq: second.seq, id: second.id, before: first.id },
        ];
        let found = history.findings();
        for finding in expected {
            prop_assert!(found.contains(&finding), "{finding} is not among {found:?}");
        }
    }

    #[test]
    fn a_changed_field_is_named(
        ticks in ticks(), which: prop::sample::Index, field: prop::sample::Index, by in 1u64..30,
    ) {
        let mut history = history(&ticks);
        let (stream, at) = pick(&history, which);
        let entry = &mut history.entries[stream][at];
        let before = entry.clone();
        let expected = change(entry, field.index(6), by);
        prop_assert_ne!(&before, &*entry);
        let expected = expected.unwrap_or_else(|| match at {
            0 => Finding::Sequence { stream, expected: before.seq + by + 1, found: before.seq + 1 },
            _ => Finding::Sequence { stream, expected: before.seq, found: before.seq + by },
        });
        let found = history.findings();
        prop_assert!(found.contains(&expected), "{expected} is not among {found:?}");
    }
}

/// Changes one field that something else in the journal depends on. What must be found; none for a number that does
/// not follow.
fn change(entry: &mut Entry, field: usize, by: u64) -> Option<Finding> {
    if field == 5 {
        entry.seq += by;
        return None;
    }
    let seq = entry.seq;
    Some(match &mut entry.record {
        Record::Executed(executed) => change_execution(executed, field, by),
        Record::Queue(event) => change_event(event, seq, field, by),
        Record::Window(window) => change_window(window, seq, field, by),
    })
}

fn change_execution(executed: &mut Executed, field: usize, by: u64) -> Finding {
    let stranger = Uuid::from_u128(u128::from(by) << 64);
    let before = executed.clone();
    let execution = before.execution;
    let name = ["execution", "query", "queued_tick", "due_tick", "tick"][field];
    let text = |executed: &Executed| match name {
        "query" => executed.query.to_string(),
        "queued_tick" => executed.queued_tick.to_string(),
        "due_tick" => executed.due_tick.to_string(),
        _ => executed.tick.to_string(),
    };
    match name {
        "execution" => executed.execution = ExecutionId(stranger),
        "query" => executed.query = QueryId(stranger),
        "queued_tick" => executed.queued_tick.0 += by,
        "due_tick" => executed.due_tick.0 += by,
        _ => executed.tick.0 += by,
    }
    let (now, was) = (text(executed), text(&before));
    match name {
        "execution" => Finding::NotQueued { execution: ExecutionId(stranger), tick: before.tick },
        "tick" => Finding::NotTrue { execution, field: "tick", journalled: now, really: was },
        field => Finding::Contradiction { execution, field, executed: now, queued: was },
    }
}

fn change_event(event: &mut QueueRecord, seq: u64, field: usize, by: u64) -> Finding {
    let stranger = Uuid::from_u128(u128::from(by) << 64);
    let queued = event.event == QueueEvent::Queued;
    let wrong = if queued { NOT_THE_DEFAULT } else { DOES_NOT_FOLLOW };
    let what = match field {
        0 => {
            let execution = ExecutionId(stranger);
            event.execution = execution;
            return if queued {
                Finding::QueueRow { execution, row: false }
            } else {
                Finding::NotWaiting { execution, event: event.event, tick: event.tick }
            };
        }
        1 if queued => {
            event.due_tick.0 += by;
            wrong
        }
        1 => {
            event.query = QueryId(stranger);
            wrong
        }
        2 => {
            event.due_tick.0 += by;
            wrong
        }
        3 => {
            event.added_ticks += by;
            wrong
        }
        _ if queued => {
            event.event = QueueEvent::Delayed;
            ONLY_DELAYED
        }
        _ => {
            event.event = QueueEvent::Queued;
            NOT_THE_DEFAULT
        }
    };
    Finding::Impossible { stream: Stream::Queue, seq, what }
}

fn change_window(window: &mut Window, seq: u64, field: usize, by: u64) -> Finding {
    let what = match field {
        0 => {
            window.first_tick.0 += by;
            NOT_TEN
        }
        1 => {
            window.last_tick.0 += by;
            NOT_TEN
        }
        2 => {
            window.executed += by;
            let Window { first_tick, executed, .. } = *window;
            return Finding::WindowCount { first_tick, recorded: executed, counted: executed - by };
        }
        3 => {
            window.usage.io.max = window.usage.io.average - 1;
            EXTENTS
        }
        _ => {
            window.usage.cpu.min = window.usage.cpu.max + by;
            EXTENTS
        }
    };
    Finding::Impossible { stream: Stream::Windows, seq, what }
}

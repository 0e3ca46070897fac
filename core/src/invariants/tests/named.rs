//! One small journal for each finding: exactly that one is found.

use super::*;
use crate::{
    journal::{Executed, Outcome, QueueEvent, QueueRecord},
    units::{
        resource::PerResource,
        window::{Extent, Window},
    },
};

pub(super) fn id(n: u128) -> ExecutionId {
    ExecutionId(Uuid::from_u128(n))
}

pub(super) fn query() -> QueryId {
    QueryId(Uuid::from_u128(7))
}

pub(super) fn event(event: QueueEvent, n: u128, tick: u64, due_tick: u64, added_ticks: u64) -> Record {
    let (execution, tick, due_tick) = (id(n), Tick(tick), Tick(due_tick));
    Record::Queue(QueueRecord {
        event,
        execution,
        query: query(),
        tick,
        due_tick,
        added_ticks,
        statement: None,
    })
}

pub(super) fn queued(n: u128, tick: u64) -> Record {
    event(QueueEvent::Queued, n, tick, tick + 1, 0)
}

pub(super) fn delayed(n: u128, tick: u64, due_tick: u64, added_ticks: u64) -> Record {
    event(QueueEvent::Delayed, n, tick, due_tick, added_ticks)
}

pub(super) fn execution(
    n: u128,
    [queued_tick, due_tick, tick, finished_tick]: [u64; 4],
    reason: &str,
) -> Record {
    Record::Executed(Executed {
        execution: id(n),
        query: query(),
        queued_tick: Tick(queued_tick),
        due_tick: Tick(due_tick),
        tick: Tick(tick),
        finished_tick: Tick(finished_tick),
        reason: reason.to_owned(),
        outcome: Outcome::Ok,
        executed_at_ms: 1,
        tenant: None,
        trace: None,
        statement: None,
        answer: None,
    })
}

pub(super) fn ran(n: u128, queued_tick: u64, due_tick: u64, tick: u64) -> Record {
    execution(n, [queued_tick, due_tick, tick, tick], "because")
}

pub(super) fn level(first_tick: u64, executed: u64) -> Window {
    Window {
        first_tick: Tick(first_tick),
        last_tick: Tick(first_tick + 9),
        usage: PerResource::all(Extent { average: 100, min: 95, max: 105 }),
        executed,
        in_corridor: true,
        running: 0,
        incomplete: false,
    }
}

pub(super) fn window(first_tick: u64, executed: u64) -> Record {
    Record::Window(level(first_tick, executed))
}

/// The records of the three streams in the order in which they are given, numbered from `first_seq` on.
pub(super) fn journal(first_seq: PerStream<u64>, records: Vec<Record>) -> PerStream<Vec<Entry>> {
    let before = PerStream::from_fn(|stream| (EntryId { ms: 1, n: 0 }, first_seq[stream] - 1));
    let mut numbering = Numbering::after(before);
    let mut entries = PerStream::<Vec<Entry>>::default();
    for record in records {
        let entry = numbering.number(record, 1);
        entries[entry.record.stream()].push(entry);
    }
    entries
}

pub(super) fn audit(entries: &PerStream<Vec<Entry>>, next_tick: u64, rows: Option<&[Queued]>) -> Report {
    let first = PerStream::from_fn(|stream| entries[stream].first().cloned());
    let mut audit = Audit::new(Lengths::default(), &first);
    let streams =
        PerStream::from_fn(|stream| entries[stream].iter().cloned().map(Ok::<_, std::convert::Infallible>));
    for entry in Merge::new(streams) {
        audit.entry(&entry.unwrap());
    }
    audit.finish(Tick(next_tick), rows)
}

pub(super) fn whole() -> PerStream<u64> {
    PerStream::from_fn(|_| 1)
}

/// Of streams that begin with their first entries.
pub(super) fn found(records: Vec<Record>, next_tick: u64) -> Vec<Finding> {
    audit(&journal(whole(), records), next_tick, None).findings.first().to_vec()
}

pub(super) fn impossible(stream: Stream, what: &'static str) -> [Finding; 1] {
    [Finding::Impossible { stream, seq: 1, what }]
}

#[test]
fn nothing_is_found_where_all_holds() {
    let records = vec![
        queued(1, 0),
        delayed(1, 0, 6, 5),
        queued(2, 3),
        execution(2, [3, 4, 4, 4], ""),
        ran(1, 0, 6, 6),
        window(0, 2),
        queued(3, 10),
    ];
    let report = audit(&journal(whole(), records), 11, None);
    assert_eq!(report.findings.first(), []);
    assert_eq!(report.proved, Some((Tick(0), Tick(9))));
    assert_eq!((report.executed, report.waiting, report.open_entries), (2, 1, 1));
    assert_eq!(report.entries, PerStream { executions: 2, queue: 4, windows: 1 });
}

#[test]
fn an_execution_that_is_executed_twice_is_named_once() {
    // The second time it was queued again, too: only that it had run says that something is wrong.
    let records = vec![queued(1, 0), ran(1, 0, 1, 1), queued(1, 2), ran(1, 2, 3, 3)];
    assert_eq!(found(records.clone(), 4), [Finding::ExecutedTwice(id(1))]);
    let thrice = records.into_iter().chain([queued(1, 4), ran(1, 4, 5, 5)]).collect();
    assert_eq!(found(thrice, 6), [Finding::ExecutedTwice(id(1))]);
}

#[test]
fn an_execution_that_waits_again_after_it_ran_is_named() {
    let records = vec![queued(1, 0), ran(1, 0, 1, 1), queued(1, 2), queued(2, 2)];
    assert_eq!(found(records, 3), [Finding::QueuedAfterItRan(id(1))]);
}

#[test]
fn an_execution_that_ran_before_it_was_due_is_named() {
    let early = vec![queued(1, 0), delayed(1, 0, 6, 5), ran(1, 0, 6, 5)];
    assert_eq!(found(early, 6), impossible(Stream::Executions, "it ran before it was due"));
    let on_time = vec![queued(1, 0), delayed(1, 0, 6, 5), ran(1, 0, 6, 6)];
    assert_eq!(found(on_time, 7), []);
}

#[test]
fn times_of_an_execution_that_cannot_be_are_named() {
    let at_once = vec![queued(1, 3), execution(1, [3, 3, 4, 4], "")];
    let contradiction = Finding::Contradiction {
        execution: id(1),
        field: "due_tick",
        executed: "3".to_owned(),
        queued: "4".to_owned(),
    };
    let [too_early] = impossible(Stream::Executions, "it was due before it could be");
    assert_eq!(found(at_once, 5), [too_early, contradiction]);
    let backwards = vec![queued(1, 2), execution(1, [2, 3, 4, 3], "because")];
    assert_eq!(found(backwards, 5), impossible(Stream::Executions, "it finished before it ran"));
    let longer = vec![queued(1, 3), execution(1, [3, 4, 4, 9], "")];
    assert_eq!(found(longer, 5), []);
}

#[test]
fn a_delay_without_a_reason_is_named_from_the_second_tick_on() {
    let silent = |tick| vec![queued(1, 3), execution(1, [3, 4, tick, tick], "")];
    assert_eq!(found(silent(4), 6), []);
    let expected = impossible(Stream::Executions, "it was delayed, and nothing says why");
    assert_eq!(found(silent(5), 6), expected);
}

#[test]
fn only_a_delay_adds_ticks() {
    let nothing = vec![delayed(1, 4, 5, 0)];
    let adds = impossible(Stream::Queue, "only `delayed` adds ticks, and at least one");
    let unknown = |event| Finding::NotWaiting { execution: id(1), event, tick: Tick(4) };
    assert_eq!(found(nothing, 5), [adds[0].clone(), unknown(QueueEvent::Delayed)]);
    let released = |due_tick, added| vec![event(QueueEvent::Released, 1, 4, due_tick, added)];
    assert_eq!(found(released(5, 0), 5), [unknown(QueueEvent::Released)]);
    assert_eq!(found(released(6, 1), 5), [adds[0].clone(), unknown(QueueEvent::Released)]);
}

#[test]
fn an_event_that_does_not_follow_is_named_and_the_next_one_follows_it() {
    let records = vec![queued(1, 0), delayed(1, 0, 7, 5), delayed(1, 0, 9, 2), ran(1, 0, 9, 9)];
    let what = "its query or due tick does not follow from the event before it";
    assert_eq!(found(records, 10), [Finding::Impossible { stream: Stream::Queue, seq: 2, what }]);
}

#[test]
fn a_window_is_ten_ticks_from_a_multiple_of_ten_on() {
    let misaligned = Window { last_tick: Tick(10), ..level(0, 0) };
    let what = "it is not a window of the journal's length from a border on";
    assert_eq!(found(vec![Record::Window(misaligned)], 11), impossible(Stream::Windows, what));
    let shifted = Window { first_tick: Tick(5), last_tick: Tick(14), ..level(0, 0) };
    let hole = Finding::WindowHole { expected: Tick(0), found: Tick(5) };
    let [not_ten] = impossible(Stream::Windows, what);
    assert_eq!(found(vec![Record::Window(shifted)], 15), [not_ten, hole]);
}

#[test]
fn a_window_that_comes_again_counts_nothing_twice() {
    let mut records = vec![queued(1, 0), ran(1, 0, 1, 1), window(0, 1)];
    records.push(window(0, 1));
    let report = audit(&journal(whole(), records), 11, None);
    let hole = Finding::WindowHole { expected: Tick(10), found: Tick(0) };
    let count = Finding::WindowCount { first_tick: Tick(0), recorded: 1, counted: 0 };
    assert_eq!(report.findings.first(), [hole, count]);
    assert_eq!(report.executed, 1);
}

#[test]
fn what_comes_too_late_for_its_window_is_not_open() {
    let report = audit(&journal(whole(), vec![window(0, 0), queued(1, 10), queued(2, 9)]), 11, None);
    let late = Finding::TickOrder { stream: Stream::Queue, seq: 2, tick: Tick(9), before: Tick(10) };
    assert_eq!(report.findings.first(), [late]);
    assert_eq!(report.open_entries, 1);
}

#[test]
fn a_corridor_that_the_extremes_contradict_is_named() {
    let what = "its averages, extremes and corridor contradict each other";
    // Average, smallest, largest, in the corridor; whether some ten sums are so. An average of 100 stands for sums of
    // 1000..=1009, whose corridors reach from 90..=90.81 to 110..=110.99.
    for (average, min, max, in_corridor, can_be) in [
        (100, 95, 105, true, true),
        (100, 95, 105, false, false),
        (100, 90, 110, true, true),
        (100, 90, 110, false, true),
        (100, 91, 110, false, false),
        (100, 90, 111, false, true),
        (100, 90, 111, true, false),
        (100, 89, 110, true, false),
        (100, 89, 105, false, true),
        (100, 95, 111, false, true),
        (100, 95, 110, false, false),
        (100, 100, 100, true, true),
        (100, 101, 105, true, false),
        (100, 95, 99, true, false),
        // 11 · 10009 lies between 100 · 1100 and 100 · 1101.
        (1000, 900, 1100, true, true),
        (1000, 900, 1101, true, false),
        // Idle ticks are not level, equal ones are, and one unit in ten ticks is not.
        (0, 0, 0, false, true),
        (0, 0, 0, true, false),
        (1, 1, 1, true, true),
        (1, 1, 1, false, false),
        (0, 0, 1, false, true),
        (0, 0, 1, true, false),
        // Nine of 100 and one of 109 are 1009, nine of 100 and one of 90 are 990: no more, no less.
        (100, 100, 109, true, true),
        (100, 100, 109, false, false),
        (100, 100, 110, true, false),
        (100, 100, 110, false, false),
        (99, 90, 100, true, true),
        (99, 90, 100, false, false),
        (99, 89, 100, true, false),
        (99, 89, 100, false, false),
        // Nine of 91 and one of 81 are 900, and 81 is exactly 9/10 of 90.
        (90, 81, 91, true, true),
        (90, 81, 91, false, false),
    ] {
        let usage = PerResource { io: Extent { average, min, max }, ..level(0, 0).usage };
        let window = Window { usage, in_corridor, ..level(0, 0) };
        let expected = if can_be { vec![] } else { impossible(Stream::Windows, what).to_vec() };
        assert_eq!(found(vec![Record::Window(window)], 10), expected, "{window:?}");
    }
}

#[test]
fn one_resource_out_is_enough_and_all_must_be_in() {
    let what = "its averages, extremes and corridor contradict each other";
    for resource in crate::units::resource::Resource::ALL {
        let mut window = level(0, 0);
        window.usage[resource] = Extent { average: 100, min: 50, max: 200 };
        let claims = found(vec![Record::Window(window)], 10);
        assert_eq!(claims, impossible(Stream::Windows, what), "{resource}");
        window.in_corridor = false;
        assert_eq!(found(vec![Record::Window(window)], 10), [], "{resource}");
    }
}

#[test]
fn a_window_that_is_not_there_is_named() {
    let missing = |reached, closed| Finding::WindowMissing { reached: Tick(reached), closed: Tick(closed) };
    assert_eq!(found(vec![], 10), []);
    assert_eq!(found(vec![queued(1, 8), ran(1, 8, 9, 9)], 11), [missing(10, 0)]);
    // An idle database may be one that tells late.
    assert_eq!(found(vec![], 33), []);
    assert_eq!(found(vec![], 34), [missing(33, 0)]);
    assert_eq!(found(vec![window(0, 0)], 20), []);
    assert_eq!(found(vec![window(0, 0)], 21), [missing(20, 9)]);
    assert_eq!(found(vec![window(0, 0), window(10, 0)], 21), []);
}

#[test]
fn a_window_that_counts_others_is_named() {
    let records =
        |executed| vec![queued(1, 8), ran(1, 8, 9, 9), queued(2, 9), ran(2, 9, 10, 10), window(0, executed)];
    assert_eq!(found(records(1), 11), []);
    for recorded in [0, 2] {
        let expected = Finding::WindowCount { first_tick: Tick(0), recorded, counted: 1 };
        assert_eq!(found(records(recorded), 11), [expected]);
    }
}

#[test]
fn numbers_ids_and_ticks_that_go_back_are_named() {
    let mut entries = journal(whole(), vec![queued(1, 5), queued(2, 5), queued(3, 6)]);
    entries.queue[2].seq = 5;
    entries.queue[2].id = entries.queue[1].id;
    let Record::Queue(event) = &mut entries.queue[2].record else { unreachable!("all are the queue's") };
    (event.tick, event.due_tick) = (Tick(4), Tick(5));
    let (id, stream) = (entries.queue[1].id, Stream::Queue);
    let expected = [
        Finding::Sequence { stream, expected: 3, found: 5 },
        Finding::IdOrder { stream, seq: 5, id, before: id },
        Finding::TickOrder { stream, seq: 5, tick: Tick(4), before: Tick(5) },
    ];
    assert_eq!(audit(&entries, 7, None).findings.first(), expected);
}

pub(super) fn row(n: u128, queued_tick: u64, due_tick: u64) -> Queued {
    Queued { execution: id(n), query: query(), queued_tick: Tick(queued_tick), due_tick: Tick(due_tick) }
}

pub(super) fn row_finding(n: u128, row: bool) -> Finding {
    Finding::QueueRow { execution: id(n), row }
}

#[test]
fn a_row_that_differs_in_anything_is_named() {
    let entries = journal(whole(), vec![queued(1, 5)]);
    let rows = |row: Queued| audit(&entries, 6, Some(&[row])).findings.first().to_vec();
    assert_eq!(rows(row(1, 5, 6)), []);
    assert_eq!(rows(row(1, 4, 6)), [row_finding(1, false)]);
    assert_eq!(rows(row(1, 5, 7)), [row_finding(1, false)]);
    assert_eq!(rows(Queued { query: QueryId(Uuid::nil()), ..row(1, 5, 6) }), [row_finding(1, false)]);
    assert_eq!(rows(row(2, 5, 6)), [row_finding(2, true), row_finding(1, false)]);
    assert_eq!(audit(&entries, 6, Some(&[])).findings.first(), [row_finding(1, false)]);
    assert_eq!(audit(&entries, 6, Some(&[])).waiting, 0);
}

#[test]
fn findings_beyond_a_thousand_are_only_counted() {
    let records = (0..1_200).map(|n| ran(n, 0, 1, 1)).collect();
    let findings = audit(&journal(whole(), records), 2, None).findings;
    assert_eq!((findings.count(), findings.first().len()), (1_200, FINDINGS_MAX));
}

#[test]
fn what_an_unfinished_audit_says_is_nothing_of_the_end() {
    let entries = journal(whole(), vec![queued(1, 0), queued(2, 0), ran(1, 0, 1, 1)]);
    let first = PerStream::from_fn(|stream| entries[stream].first().cloned());
    let mut audit = Audit::new(Lengths::default(), &first);
    entries.queue.iter().chain(&entries.executions).for_each(|entry| audit.entry(entry));
    let report = audit.so_far();
    assert_eq!((report.waiting, report.findings.first()), (1, &[][..]));
}

#[test]
fn the_merge_hands_out_an_error_where_it_stands() {
    let entries = journal(whole(), vec![queued(1, 0), queued(2, 1), window(0, 0)]);
    let queue: Vec<_> = vec![Ok(entries.queue[0].clone()), Err("broken"), Ok(entries.queue[1].clone())];
    let windows = entries.windows.into_iter().map(Ok).collect();
    let streams = PerStream { executions: Vec::new(), queue, windows };
    let merged: Vec<_> =
        Merge::new(PerStream::from_fn(|stream| streams[stream].clone().into_iter())).collect();
    let ticks: Vec<_> = merged.iter().map(|entry| entry.as_ref().map(|entry| entry.record.tick())).collect();
    assert_eq!(ticks, [Ok(Tick(0)), Err(&"broken"), Ok(Tick(1)), Ok(Tick(9))]);
}

#[test]
fn within_a_tick_what_ran_comes_first_and_the_window_last() {
    let entries = journal(whole(), vec![window(0, 1), queued(2, 9), ran(1, 8, 9, 9)]);
    let streams = PerStream::from_fn(|stream| entries[stream].iter().cloned().map(Ok::<_, ()>));
    let order: Vec<_> = Merge::new(streams).map(|entry| entry.unwrap().record.stream()).collect();
    assert_eq!(order, [Stream::Executions, Stream::Queue, Stream::Windows]);
}

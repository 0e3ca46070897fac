//! A database whose outcome is uncertain: released once, at most one outcome, and what is dropped never runs.

use super::{
    named::{audit, event, execution, id, journal, queued, window},
    *,
};
use crate::{
    journal::{Executed, Outcome, QueueEvent, Released},
    units::window::Window,
};

fn released(n: u128, tick: u64, due_tick: u64) -> Record {
    event(QueueEvent::Released, n, tick, due_tick, 0)
}

fn dropped(n: u128, tick: u64, due_tick: u64) -> Record {
    event(QueueEvent::Dropped, n, tick, due_tick, 0)
}

fn ended(n: u128, queued: u64, due: u64, tick: u64, finished: u64) -> Record {
    execution(n, [queued, due, tick, finished], "because")
}

fn report(records: Vec<Record>) -> Report {
    audit(&journal(PerStream::from_fn(|_| 1), records), 9, None)
}

fn found(records: Vec<Record>) -> Vec<Finding> {
    report(records).findings.first().to_vec()
}

#[test]
fn what_is_released_may_end_late_in_another_order_or_not_at_all() {
    let records = vec![
        queued(1, 0),
        queued(2, 0),
        queued(3, 0),
        released(1, 1, 1),
        released(2, 2, 1),
        released(3, 3, 1),
        ended(2, 0, 1, 2, 4),
        ended(1, 0, 1, 1, 7),
    ];
    let report = report(records);
    assert_eq!(report.findings.first(), []);
    assert_eq!((report.released, report.waiting), (1, 0));
}

#[test]
fn what_nobody_deferred_is_released_without_having_been_queued() {
    // Its outcome may come in the tick of its release: within a tick the streams have no order.
    assert_eq!(found(vec![released(1, 3, 3), ended(1, 3, 3, 3, 3)]), []);
    assert_eq!(found(vec![released(1, 3, 3), ended(1, 3, 3, 3, 5)]), []);
    assert_eq!(found(vec![ended(1, 3, 3, 3, 3)]), [Finding::NotQueued { execution: id(1), tick: Tick(3) }]);
    let waits_for_nothing =
        Finding::NotWaiting { execution: id(1), event: QueueEvent::Released, tick: Tick(3) };
    assert_eq!(found(vec![released(1, 3, 2)]), [waits_for_nothing]);
}

#[test]
fn what_waited_may_be_released_and_end_in_one_tick() {
    assert_eq!(found(vec![queued(1, 0), released(1, 3, 1), ended(1, 0, 1, 3, 3)]), []);
    let twice = vec![queued(1, 0), released(1, 3, 1), released(1, 3, 1), ended(1, 0, 1, 3, 3)];
    let again = Finding::NotWaiting { execution: id(1), event: QueueEvent::Released, tick: Tick(3) };
    assert_eq!(found(twice), [again]);
}

#[test]
fn a_second_release_a_second_outcome_and_an_outcome_without_a_release_are_named() {
    let twice = vec![queued(1, 0), released(1, 1, 1), released(1, 2, 1)];
    assert_eq!(found(twice), [Finding::ReleasedTwice { execution: id(1), tick: Tick(2) }]);
    let outcomes = vec![queued(1, 0), released(1, 1, 1), ended(1, 0, 1, 1, 3), ended(1, 0, 1, 1, 4)];
    let not_queued = Finding::NotQueued { execution: id(1), tick: Tick(1) };
    assert_eq!(found(outcomes), [not_queued, Finding::ExecutedTwice(id(1))]);
    let again = vec![queued(1, 0), released(1, 1, 1), ended(1, 0, 1, 1, 3), released(1, 5, 5)];
    assert_eq!(found(again), [Finding::ReleasedAfterItRan(id(1))]);
}

#[test]
fn an_outcome_says_what_its_release_said() {
    let records = vec![queued(1, 0), released(1, 2, 1), ended(1, 0, 1, 3, 4)];
    let contradiction = Finding::Contradiction {
        execution: id(1),
        field: "tick",
        executed: "3".to_owned(),
        queued: "2".to_owned(),
    };
    assert_eq!(found(records), [contradiction]);
}

#[test]
fn what_is_dropped_waits_no_more_and_never_runs() {
    assert_eq!(found(vec![queued(1, 0), dropped(1, 4, 1)]), []);
    let ran = found(vec![queued(1, 0), dropped(1, 4, 1), ended(1, 0, 1, 5, 5)]);
    let not_queued = Finding::NotQueued { execution: id(1), tick: Tick(5) };
    assert_eq!(ran, [not_queued, Finding::DroppedAndRan(id(1))]);
    let not_waiting = Finding::NotWaiting { execution: id(1), event: QueueEvent::Dropped, tick: Tick(4) };
    assert_eq!(found(vec![dropped(1, 4, 1)]), [not_waiting]);
}

#[test]
fn rows_of_what_was_released_are_those_of_the_entries() {
    let row = |n: u128, tick: u64| {
        let Record::Executed(executed) = ended(n, 0, 1, tick, tick) else { panic!("an execution") };
        Released::of(&Executed { outcome: Outcome::Unknown, ..executed })
    };
    let records =
        || vec![queued(1, 0), queued(2, 0), released(1, 2, 1), released(2, 3, 1), ended(2, 0, 1, 3, 4)];
    let compared = |rows: Vec<Released>| {
        let entries = journal(PerStream::from_fn(|_| 1), records());
        let first = PerStream::from_fn(|stream| entries[stream].first().cloned());
        let mut audit = Audit::new(Lengths::default(), &first).with_released(rows);
        let streams = PerStream::from_fn(|stream| {
            entries[stream].iter().cloned().map(Ok::<_, std::convert::Infallible>)
        });
        Merge::new(streams).flatten().for_each(|entry| audit.entry(&entry));
        audit.finish(Tick(9), None).findings.first().to_vec()
    };
    assert_eq!(compared(vec![row(1, 2)]), []);
    let odd = |n, row| Finding::ReleasedRow { execution: id(n), row };
    assert_eq!(compared(vec![]), [odd(1, false)]);
    assert_eq!(compared(vec![row(1, 2), row(2, 3)]), [odd(2, true)]);
    assert_eq!(compared(vec![row(1, 3)]), [odd(1, true)]);
}

#[test]
fn a_window_counts_what_ended_in_it() {
    let records =
        vec![queued(1, 0), released(1, 2, 1), late_window(0, 0, 1), ended(1, 0, 1, 2, 12), window(10, 1)];
    let entries = journal(PerStream::from_fn(|_| 1), records);
    assert_eq!(audit(&entries, 20, None).findings.first(), []);
}

fn late_window(first: u64, executed: u64, running: u64) -> Record {
    let Record::Window(window) = window(first, executed) else { unreachable!("it is one") };
    Record::Window(Window { running, ..window })
}

#[test]
fn windows_say_what_went_on_after_them_whether_it_has_ended_or_not() {
    let records = |running: [u64; 2]| {
        vec![
            released(1, 3, 3),
            released(2, 4, 4),
            ended(1, 3, 3, 3, 15),
            late_window(0, 0, running[0]),
            late_window(10, 1, running[1]),
        ]
    };
    let found = |running| {
        let report = audit(&journal(PerStream::from_fn(|_| 1), records(running)), 22, None);
        report.findings.first().to_vec()
    };
    assert_eq!(found([2, 1]), []);
    let wrong =
        |first, recorded, counted| Finding::WindowRunning { first_tick: Tick(first), recorded, counted };
    assert_eq!(found([1, 1]), [wrong(0, 1, 2)]);
    assert_eq!(found([3, 0]), [wrong(0, 3, 2), wrong(10, 0, 1)]);
}

#[test]
fn a_window_may_close_late_where_usage_is_told_late_and_must_at_last() {
    let last = |next_tick: u64| {
        let records = vec![released(1, 3, 3), ended(1, 3, 3, 3, 5)];
        audit(&journal(PerStream::from_fn(|_| 1), records), next_tick, None).findings.first().to_vec()
    };
    assert_eq!(last(33), []);
    assert_eq!(last(34), [Finding::WindowMissing { reached: Tick(33), closed: Tick(0) }]);
}

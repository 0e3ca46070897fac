//! What the commits of a recorded queue hold.

use super::*;
use crate::{
    journal::{Commit, QueueChange, Record, Recovered},
    units::{
        resource::Usage,
        window::{Measured, OpenWindow},
    },
};

fn recorded() -> RecordedQueue {
    RecordedQueue::recover(
        Lengths::default(),
        HoldLimits::default(),
        &Recovered { recovery: 3, revision: 7, ..Recovered::default() },
    )
}

fn window(first_tick: u64, executed: u64) -> Window {
    Window {
        first_tick: Tick(first_tick),
        last_tick: Tick(first_tick + 9),
        usage: PerResource::all(Extent::default()),
        executed,
        in_corridor: false,
        running: 0,
        incomplete: false,
    }
}

#[test]
fn the_last_lease_is_recorded_with_the_next_commit() {
    let mut queue = recorded();
    queue.control(&request(3, &[])).unwrap();
    let (commit, _) = queue.advance(Tick(0), 5, vec![], Measured::default()).unwrap();
    assert_eq!(commit.state.lease.as_ref().map(|lease| (&*lease.client, lease.epoch)), Some(("test", 3)));
    assert_eq!(commit.state.lease.as_ref(), queue.queue().lease());
    let changed = queue.set_mode(Mode::Off, 6);
    assert_eq!((changed.state.lease, changed.state.mode), (commit.state.lease, Mode::Off));
}

#[test]
fn a_tick_records_what_runs_what_arrives_and_the_window_that_closed() {
    let mut queue = recorded();
    let (arrived, _) =
        queue.advance(Tick(0), 5, vec![(id(1), query(1)).into()], Measured::default()).unwrap();
    let row = Queued { execution: id(1), query: query(1), queued_tick: Tick(0), due_tick: Tick(1) };
    let queued = QueueRecord {
        event: QueueEvent::Queued,
        execution: id(1),
        query: query(1),
        tick: Tick(0),
        due_tick: Tick(1),
        added_ticks: 0,
        statement: None,
    };
    let state = ServerState { next_tick: Tick(1), ..ServerState::default() };
    let expected = Commit {
        recovery: 3,
        revision: 8,
        at_ms: 5,
        records: vec![Record::Queue(queued)],
        queue: vec![QueueChange::Put(row)],
        released: Vec::new(),
        texts: Vec::new(),
        state,
        patient: false,
    };
    assert_eq!(arrived, expected);
    let closed = window(0, 4);
    let measured =
        Measured { closed: Some(closed), open: OpenWindow::idle(Lengths::default(), 3), last: Some(closed) };
    let (commit, executed) = queue.advance(Tick(1), 6, vec![], measured).unwrap();
    assert_eq!(commit.records, [Record::Executed(executed[0].clone()), Record::Window(closed)]);
    assert_eq!(commit.queue, [QueueChange::Remove(id(1))]);
    let expected = ServerState {
        next_tick: Tick(2),
        open_window: OpenWindow::idle(Lengths::default(), 3),
        last_window: Some(closed),
        executed_by_window: vec![4],
        ..ServerState::default()
    };
    assert_eq!((commit.revision, commit.at_ms, commit.state), (9, 6, expected));
}

#[test]
fn a_tick_out_of_step_counts_no_window_and_makes_no_commit() {
    let mut queue = recorded();
    let measured = Measured { closed: Some(window(0, 4)), ..Measured::default() };
    assert!(queue.advance(Tick(1), 5, vec![], measured).is_err());
    assert!(queue.queue().executed_by_window().is_empty());
    assert_eq!(queue.set_mode(Mode::Off, 6).revision, 8);
}

#[test]
fn a_delay_records_the_event_and_the_row() {
    let mut queue = recorded();
    queue.advance(Tick(0), 5, vec![(id(1), query(1)).into()], Measured::default()).unwrap();
    let commit = queue.delay(id(1), 3, 6).unwrap();
    let row = Queued { execution: id(1), query: query(1), queued_tick: Tick(0), due_tick: Tick(4) };
    assert_eq!(commit.queue, [QueueChange::Put(row)]);
    let [Record::Queue(record)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!((record.event, record.due_tick, record.added_ticks), (QueueEvent::Delayed, Tick(4), 3));
    assert_eq!(queue.delay(id(2), 3, 6), Err(DelayError::NotQueued(id(2))));
}

#[test]
fn the_last_window_is_kept_until_the_next_one_closes() {
    let mut measured = Measured::default();
    for tick in 0..10 {
        assert_eq!(measured.last, None);
        measured.add(Tick(tick), &Usage::all(7), 1).unwrap();
    }
    let first = measured.last.expect("ten ticks close a window");
    assert_eq!((first.first_tick, first.executed, measured.closed), (Tick(0), 10, Some(first)));
    for tick in 10..19 {
        measured.add(Tick(tick), &Usage::all(8), 1).unwrap();
        assert_eq!((measured.closed, measured.last), (None, Some(first)), "tick {tick}");
    }
    measured.add(Tick(19), &Usage::all(8), 1).unwrap();
    assert_eq!(measured.last.map(|window| window.first_tick), Some(Tick(10)));
    let before = measured;
    assert!(measured.add(Tick(21), &Usage::all(8), 1).is_err());
    assert_eq!(measured, before);
}

#[test]
fn what_was_measured_is_recovered() {
    let state = ServerState {
        open_window: OpenWindow::idle(Lengths::default(), 3),
        last_window: Some(window(10, 2)),
        ..ServerState::default()
    };
    let expected =
        Measured { closed: None, open: OpenWindow::idle(Lengths::default(), 3), last: Some(window(10, 2)) };
    assert_eq!(Measured::recover(Lengths::default(), state.open_window, state.last_window), expected);
    let mut queue = RecordedQueue::recover(
        Lengths::default(),
        HoldLimits::default(),
        &Recovered { state: state.clone(), ..Recovered::default() },
    );
    let commit = queue.set_mode(Mode::Shadow, 1);
    assert_eq!(commit.state, ServerState { mode: Mode::Shadow, ..state });
}

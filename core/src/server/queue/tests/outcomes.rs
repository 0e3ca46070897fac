//! A database whose outcomes are uncertain: what is recorded of it, and when.

use super::*;
use crate::{
    journal::{Commit, Ended, EndedIn, Executed, QueueChange, Record, Recovered, Released, ReleasedChange},
    server::{
        meter::Meter,
        queue::{Finished, RecordedQueue},
    },
    units::{resource::Usage, window::Measured},
};

/// A queue that has had ticks 0..`ticks`, with one arrival in tick 0, and what the last of them let run.
fn after(ticks: u64) -> (RecordedQueue, Vec<Executed>, Measured) {
    let mut queue = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default())
        .uncertain(None);
    let (mut measured, mut all) = (Measured::default(), Vec::new());
    for tick in (0..ticks).map(Tick) {
        let (_, batch) = advance(&mut queue, tick, &mut measured);
        all.extend(batch);
    }
    (queue, all, measured)
}

fn advance(queue: &mut RecordedQueue, tick: Tick, measured: &mut Measured) -> (Commit, Vec<Executed>) {
    let arrivals = if tick == Tick(0) { vec![(id(1), query(1)).into()] } else { Vec::new() };
    let advanced = queue.advance(tick, tick.0 * 100, arrivals, *measured).unwrap();
    // What the daemon counts is what was sent: the queue knows better.
    measured.add(tick, &Usage::all(1), 99).unwrap();
    advanced
}

fn admit(queue: &mut RecordedQueue, at_ms: u64, arrivals: &[(u128, u128)]) -> (Commit, Vec<Released>) {
    let arrivals = arrivals.iter().map(|&(n, of)| (id(n), query(of)).into());
    queue.admit(at_ms, arrivals, Vec::new())
}

fn counts(windows: &[(u64, u64)]) -> Vec<EndedIn> {
    windows.iter().map(|&(executed, running)| EndedIn { executed, running }).collect()
}

fn finished(n: u128, tick: u64) -> Finished {
    Finished { execution: id(n), tick: Tick(tick), outcome: Outcome::Failed, answer: None }
}

fn ended(commit: &Commit) -> Vec<(u64, u64)> {
    let executed = commit.records.iter().map(|record| match record {
        Record::Executed(executed) => (executed.tick.0, executed.finished_tick.0),
        other => panic!("{other:?}"),
    });
    executed.collect()
}

#[test]
fn a_batch_is_recorded_as_released_and_its_outcome_when_it_is_told() {
    let (mut queue, batch, mut measured) = after(1);
    assert_eq!(batch, []);
    let (commit, batch) = advance(&mut queue, Tick(1), &mut measured);
    let row = Released::of(&batch[0]);
    assert_eq!((row.queued_tick, row.due_tick, row.tick, row.at_ms), (Tick(0), Tick(1), Tick(1), 100));
    let [Record::Queue(event)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!((event.event, event.tick, event.due_tick), (QueueEvent::Released, Tick(1), Tick(1)));
    assert_eq!(commit.released, [ReleasedChange::Put(row.clone())]);
    assert_eq!(commit.queue, [QueueChange::Remove(id(1))]);
    advance(&mut queue, Tick(2), &mut measured);
    assert_eq!(queue.released().collect::<Vec<_>>(), [&row]);

    let commit = queue.ended(250, &[finished(1, 2)]).unwrap();
    assert_eq!(commit.records, [Record::Executed(row.ended(Outcome::Failed, Tick(2), None))]);
    assert_eq!((commit.released, commit.at_ms), (vec![ReleasedChange::Remove(id(1))], 250));
    assert_eq!(commit.state.ended, Ended { last: Tick(2), windows: counts(&[(1, 0)]) });
    assert_eq!(queue.released().len(), 0);
}

#[test]
fn a_second_outcome_and_one_of_what_was_never_released_are_passed_over() {
    let (mut queue, _, _) = after(3);
    let revision = queue.ended(1, &[finished(1, 2), finished(1, 2), finished(7, 2)]).unwrap();
    assert_eq!(ended(&revision), [(1, 2)]);
    assert_eq!(queue.ended(2, &[finished(1, 2), finished(7, 1)]), None);
    let next = queue.set_mode(Mode::Off, 3);
    assert_eq!(next.revision, revision.revision + 1, "what records nothing is no commit");
}

#[test]
fn what_nobody_defers_is_released_between_two_ticks_without_having_been_queued() {
    let (mut queue, _, _) = after(3);
    let (commit, admitted) = admit(&mut queue, 270, &[(8, 1), (9, 2)]);
    assert_eq!(admitted.len(), 2);
    assert_eq!(
        (admitted[0].queued_tick, admitted[0].due_tick, admitted[0].tick),
        (Tick(2), Tick(2), Tick(2))
    );
    assert_eq!(commit.queue, []);
    assert_eq!((commit.records.len(), commit.released.len()), (2, 2));
    assert_eq!(ended(&queue.ended(280, &[finished(9, 2), finished(8, 2)]).unwrap()), [(2, 2), (2, 2)]);
}

#[test]
fn what_is_dropped_waits_no_more_and_is_never_sent() {
    let mut queue = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default())
        .uncertain(None);
    queue.advance(Tick(0), 0, vec![(id(1), query(1)).into()], Measured::default()).unwrap();
    let commit = queue.drop_waiting(id(1), 50).unwrap();
    let [Record::Queue(event)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!((event.event, event.tick, event.due_tick), (QueueEvent::Dropped, Tick(0), Tick(1)));
    assert_eq!(commit.queue, [QueueChange::Remove(id(1))]);
    assert_eq!(queue.drop_waiting(id(1), 60), Err(DelayError::NotQueued(id(1))));
    let mut measured = Measured::default();
    measured.add(Tick(0), &Usage::default(), 0).unwrap();
    assert_eq!(queue.advance(Tick(1), 100, Vec::new(), measured).unwrap().1, []);
}

#[test]
fn a_window_counts_what_ended_in_it_and_a_late_outcome_ends_in_the_open_one() {
    let (mut queue, _, mut measured) = after(10);
    admit(&mut queue, 950, &[(2, 1)]);
    assert_eq!(ended(&queue.ended(960, &[finished(2, 9)]).unwrap()), [(9, 9)]);
    let (commit, _) = advance(&mut queue, Tick(10), &mut measured);
    let [Record::Window(window)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!((window.executed, window.running), (1, 1), "one of two has ended");
    assert_eq!(commit.state.last_window, Some(*window));
    assert_eq!(commit.state.ended, Ended { last: Tick(9), windows: counts(&[]) });
    // It ended at tick 4, which the closed window has not counted.
    assert_eq!(ended(&queue.ended(1_050, &[finished(1, 4)]).unwrap()), [(1, 10)]);
    for tick in 11..20 {
        advance(&mut queue, Tick(tick), &mut measured);
    }
    let (commit, _) = advance(&mut queue, Tick(20), &mut measured);
    let [Record::Window(window)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!(window.executed, 1);
}

#[test]
fn windows_that_close_late_count_what_ends_in_each_and_what_goes_on() {
    let queue = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default());
    let (mut queue, mut meter) = (queue.uncertain(None), Meter::default());
    let mut closed = Vec::new();
    for tick in (0..60).map(Tick) {
        // Usage comes twelve ticks late.
        let told = tick.0.checked_sub(12).map(|tick| (Tick(tick), Usage::all(1)));
        let measured = meter.late(tick, told);
        let (commit, _) = queue.advance(tick, tick.0 * 100, Vec::new(), measured).unwrap();
        closed.extend(commit.records.into_iter().filter_map(|record| match record {
            Record::Window(window) => Some((tick.0, window.executed, window.running)),
            _ => None,
        }));
        match tick.0 {
            3 => drop(admit(&mut queue, 300, &[(1, 1), (2, 1), (3, 1)])),
            // 1 ends at once, 2 in the next window; both are told before the first window closes.
            15 => drop(queue.ended(1_500, &[finished(1, 4), finished(2, 14)])),
            // 3 is told when the first window has been closed.
            24 => drop(queue.ended(2_400, &[finished(3, 5)])),
            _ => {}
        }
    }
    assert_eq!(closed[..4], [(21, 1, 2), (31, 2, 0), (41, 0, 0), (51, 0, 0)]);
}

#[test]
fn ends_are_never_recorded_backwards_nor_ahead_of_what_has_begun() {
    let (mut queue, _, _) = after(6);
    admit(&mut queue, 1, &[(2, 1), (3, 1)]);
    let commit = queue.ended(2, &[finished(2, 99), finished(1, 3), finished(3, 0)]).unwrap();
    assert_eq!(ended(&commit), [(5, 5), (1, 5), (5, 5)]);
}

#[test]
fn a_start_finds_what_was_released_and_takes_its_outcome_once() {
    let (queue, batch, _) = after(3);
    let row = Released::of(&batch[0]);
    let state = ServerState {
        next_tick: Tick(3),
        ended: Ended { last: Tick(2), windows: counts(&[(4, 0)]) },
        ..ServerState::default()
    };
    drop(queue);
    let recovered = Recovered { revision: 5, state, released: vec![row.clone()], ..Recovered::default() };
    let mut queue =
        RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &recovered).uncertain(None);
    assert_eq!(queue.released().collect::<Vec<_>>(), [&row]);
    let resolved = Finished { execution: id(1), tick: Tick(2), outcome: Outcome::Unknown, answer: None };
    let commit = queue.ended(9, &[resolved.clone(), resolved]).unwrap();
    assert_eq!((commit.revision, ended(&commit)), (6, vec![(1, 2)]));
    assert_eq!(commit.state.ended, Ended { last: Tick(2), windows: counts(&[(5, 0)]) });
}

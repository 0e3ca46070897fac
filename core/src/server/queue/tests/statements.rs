//! Statements of a real database: they come along, are released early, capped, and given up with their process.

use super::*;
use crate::{
    journal::{
        Answer, Commit, QueryText, QueueChange, Record, Recovered, Released, ReleasedChange, Statement,
    },
    server::queue::{Arrival, Finished, RecordedQueue},
    units::window::Measured,
};

fn queue(at_once: Option<usize>) -> RecordedQueue {
    let recovered = Recovered::default();
    RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &recovered).uncertain(at_once)
}

fn statement(pid: i32) -> Arc<Statement> {
    Arc::new(Statement {
        class: "batch".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: String::new(),
        client: "127.0.0.1:9".to_owned(),
        session: Uuid::from_u128(5),
        transaction: None,
        pid,
        backend_start: None,
        tag: None,
    })
}

fn asked(n: u128) -> Arrival {
    Arrival { statement: Some(statement(n as i32)), ..(id(n), query(1)).into() }
}

fn tick(queue: &mut RecordedQueue, arrivals: Vec<Arrival>) -> (Commit, Vec<u128>) {
    let tick = queue.queue().next_tick();
    let (commit, ran) = queue.advance(tick, tick.0 * 100, arrivals, Measured::default()).unwrap();
    (commit, ran.iter().map(|executed| executed.execution.0.as_u128() & 0xffff).collect())
}

fn events(commit: &Commit) -> Vec<(QueueEvent, Option<i32>)> {
    let events = commit.records.iter().map(|record| match record {
        Record::Queue(event) => (event.event, event.statement.as_ref().map(|statement| statement.pid)),
        other => panic!("{other:?}"),
    });
    events.collect()
}

fn finished(n: u128) -> Finished {
    Finished { execution: id(n), tick: Tick(0), outcome: Outcome::Ok, answer: None }
}

#[test]
fn a_statement_is_recorded_with_whatever_happens_to_it() {
    let mut queue = queue(None);
    let (commit, _) = tick(&mut queue, vec![asked(1), asked(2), (id(3), query(1)).into()]);
    let queued = |pid| (QueueEvent::Queued, pid);
    assert_eq!(events(&commit), [queued(Some(1)), queued(Some(2)), queued(None)]);
    assert_eq!(queue.statement(id(1)), Some(&statement(1)));
    assert_eq!(events(&queue.drop_waiting(id(2), 1).unwrap()), [(QueueEvent::Dropped, Some(2))]);
    let (commit, ran) = tick(&mut queue, Vec::new());
    assert_eq!(ran, [1, 3]);
    assert_eq!(events(&commit), [(QueueEvent::Released, Some(1)), (QueueEvent::Released, None)]);
    assert_eq!(queue.statement(id(1)), None, "it waits no more");
    let answer = Answer { rows: Some(4), duration_us: 70, ..Answer::default() };
    let told = Finished { answer: Some(answer.clone()), ..finished(1) };
    let commit = queue.ended(9, &[told]).unwrap();
    let [Record::Executed(executed)] = &commit.records[..] else { panic!("{commit:?}") };
    assert_eq!(executed.statement, Some(statement(1)));
    assert_eq!(executed.answer.as_deref(), Some(&answer));
}

#[test]
fn what_waits_is_released_at_once_with_its_own_ticks_and_a_reason_and_only_once() {
    let mut queue = queue(None);
    tick(&mut queue, vec![asked(1)]);
    tick(&mut queue, vec![asked(2)]);
    queue.delay(id(2), 50, 1).unwrap();
    let late = Arrival { statement: None, reason: Some("released at once: why".to_owned()), ..asked(2) };
    let text = QueryText {
        query: query(1),
        text: "select $1".to_owned(),
        database: "shop".to_owned(),
        kind: "select".to_owned(),
    };
    let (commit, admitted) = queue.admit(150, [late.clone(), asked(1), asked(4)], vec![text.clone()]);
    let shown: Vec<_> = admitted
        .iter()
        .map(|row| (row.execution, row.queued_tick.0, row.due_tick.0, row.tick.0, row.reason.as_str()))
        .collect();
    // 1 has run in tick 1; 2 keeps its own ticks; 4 comes now.
    assert_eq!(shown, [(id(2), 1, 52, 1, "released at once: why"), (id(4), 1, 1, 1, "")]);
    assert_eq!(admitted[0].statement, Some(statement(2)), "as it was queued");
    assert_eq!(commit.queue, [QueueChange::Remove(id(2))]);
    assert_eq!(commit.released, admitted.iter().cloned().map(ReleasedChange::Put).collect::<Vec<_>>());
    assert_eq!(commit.texts, [text]);
    assert_eq!(queue.admit(160, [late, asked(4)], Vec::new()).1, [], "released already");
    assert_eq!(tick(&mut queue, Vec::new()).1, Vec::<u128>::new());
}

#[test]
fn of_what_has_waited_so_many_run_at_once_and_the_oldest_go_first() {
    let mut queue = queue(Some(2));
    tick(&mut queue, vec![asked(1), asked(2)]);
    assert_eq!(tick(&mut queue, vec![asked(3), asked(4)]).1, [1, 2]);
    assert_eq!(tick(&mut queue, vec![asked(5)]).1, Vec::<u128>::new(), "two run");
    // What nobody defers does not count, and is not counted.
    assert_eq!(queue.admit(1, [asked(9)], Vec::new()).1.len(), 1);
    queue.ended(2, &[finished(9)]).unwrap();
    queue.ended(3, &[finished(2)]).unwrap();
    assert_eq!(tick(&mut queue, Vec::new()).1, [3]);
    queue.ended(4, &[finished(1), finished(3)]).unwrap();
    assert_eq!(tick(&mut queue, Vec::new()).1, [4, 5]);
    // After a start as before it.
    let released: Vec<Released> = queue.released().cloned().collect();
    let state = queue.set_mode(Mode::Off, 5).state;
    let found = Recovered { state, released, ..Recovered::default() };
    let again = RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &found).uncertain(Some(3));
    assert_eq!(again.room(), 1);
    assert_eq!(again.uncertain(None).room(), usize::MAX);
}

#[test]
fn what_waits_for_a_client_that_is_gone_is_dropped_at_the_start_and_recorded() {
    let mut before = queue(None);
    let (commit, _) = tick(&mut before, vec![asked(1), asked(2)]);
    let rows: Vec<_> = commit
        .queue
        .iter()
        .map(|change| match change {
            QueueChange::Put(queued) => *queued,
            other @ QueueChange::Remove(_) => panic!("{other:?}"),
        })
        .collect();
    let found = Recovered { revision: 1, state: commit.state.clone(), queue: rows, ..Recovered::default() };
    let recover =
        || RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &found).uncertain(None);
    // In the same process the clients are there.
    let mut same = recover().knowing(before.into_statements());
    assert_eq!(same.drop_orphans(9), None);
    assert_eq!(same.statement(id(2)), Some(&statement(2)));
    let mut started = recover();
    let commit = started.drop_orphans(9).unwrap();
    assert_eq!((commit.revision, commit.at_ms, commit.state.next_tick), (2, 9, Tick(1)));
    assert_eq!(events(&commit), [(QueueEvent::Dropped, None), (QueueEvent::Dropped, None)]);
    assert_eq!(commit.queue, [QueueChange::Remove(id(1)), QueueChange::Remove(id(2))]);
    assert_eq!(tick(&mut started, Vec::new()).1, Vec::<u128>::new());
}

//! Statements of a real database through the actors: they come with their ids, keep their clients while the process lives,
//! and are given up with it; what is not taken is told.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[path = "support/half.rs"]
mod half;
mod support;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use actix::System;
use evenkeel_actors::{
    clock::unix_ms,
    messages::{Admit, Delay, DropWaiting, Ended},
    ports::{
        database::{Arrived, Database, Resolution, Sending, TickUsed, UsageProbe, Workload},
        history::History as _,
        ledger::{Pressure, Published},
    },
    stores::outbox::OutboxReader,
};
use evenkeel_core::{
    journal::{
        Answer, Executed, Outcome, QueryText, QueueEvent, QueueRecord, Record, Released, Statement, Stream,
    },
    server::queue::{Arrival, Finished},
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use self::half::{Half, PATIENCE, Poison, TICK_MS};

#[derive(Default)]
struct Seen {
    arriving: Vec<Arrived>,
    texts: Vec<QueryText>,
    refused: Vec<ExecutionId>,
    started: Vec<Executed>,
    at_once: usize,
}

/// A front: its clients, and the database behind them.
#[derive(Clone, Default)]
struct Front(Arc<Mutex<Seen>>);

impl Front {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    fn asks(&self, n: u128) -> ExecutionId {
        let execution = ExecutionId::new(unix_ms(), n);
        let arrived =
            Arrived { query: query(), execution: Some(execution), statement: Some(statement(n as i32)) };
        self.seen().arriving.push(arrived);
        execution
    }

    fn start(&self, dir: &Path, published: Option<watch::Receiver<Published>>) -> Half {
        Half::start(dir, Box::new(self.clone()), Box::new(self.clone()), published)
    }
}

fn query() -> QueryId {
    QueryId(Uuid::from_u128(1))
}

fn text(said: &str) -> QueryText {
    QueryText {
        query: query(),
        text: said.to_owned(),
        database: "shop".to_owned(),
        kind: "select".to_owned(),
    }
}

fn statement(pid: i32) -> Arc<Statement> {
    Arc::new(Statement {
        class: "batch".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: "batch_night".to_owned(),
        client: "127.0.0.1:9".to_owned(),
        session: Uuid::from_u128(pid as u128),
        transaction: None,
        pid,
        backend_start: None,
        tag: None,
    })
}

impl Workload for Front {
    fn arrivals(&mut self, _tick: Tick) -> Vec<Arrived> {
        std::mem::take(&mut self.seen().arriving)
    }

    fn texts(&mut self) -> Vec<QueryText> {
        std::mem::take(&mut self.seen().texts)
    }

    fn refused(&mut self, executions: &[ExecutionId]) {
        self.seen().refused.extend(executions);
    }
}

impl Database for Front {
    fn sending(&self) -> Sending {
        Sending::Once { at_once: Some(self.seen().at_once), clients: true }
    }

    fn start(&mut self, _tick: Tick, batch: &[Executed]) -> io::Result<()> {
        self.seen().started.extend(batch.iter().cloned());
        Ok(())
    }

    fn finished(&mut self) -> io::Result<Vec<Finished>> {
        Ok(Vec::new())
    }

    fn resolve(&mut self, _released: &Released) -> io::Result<Resolution> {
        Ok(Resolution::Running)
    }
}

impl UsageProbe for Front {
    fn used(&mut self) -> io::Result<Vec<TickUsed>> {
        Ok(Vec::new())
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.unwrap_or_else(|_| panic!("{what} never comes"));
}

fn waiting(half: &Half) -> Vec<(ExecutionId, Option<i32>)> {
    let view = half.view.borrow();
    let waiting = view.iter().flat_map(|view| &view.waiting);
    waiting.map(|waits| (waits.execution, waits.statement.as_ref().map(|statement| statement.pid))).collect()
}

/// Waits where nothing runs at once, and for longer than the test.
async fn waits(front: &Front, half: &Half, n: u128) -> ExecutionId {
    let execution = front.asks(n);
    let delay = Delay { execution, ticks: 100_000 };
    until("it waits", || waiting(half).iter().any(|(found, _)| *found == execution)).await;
    half.queue.send(delay).await.unwrap().unwrap();
    execution
}

fn queue_events(dir: &Path) -> Vec<QueueRecord> {
    let entries = OutboxReader::open(dir).unwrap().tail(Stream::Queue, 10_000).unwrap();
    let events = entries.into_iter().map(|entry| match entry.record {
        Record::Queue(event) => event,
        other => panic!("{other:?}"),
    });
    events.collect()
}

#[test]
fn what_waits_keeps_its_client_while_the_process_lives_and_is_given_up_by_the_next_one() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("data");
    let front = Front::default();
    front.seen().at_once = 1;
    let execution = System::new().block_on(async {
        let half = front.start(&dir, None);
        half.goes_on(2).await;
        // Held by the cap: one that waited runs and does not end.
        let first = front.asks(1);
        until("the first runs", || front.seen().started.iter().any(|ran| ran.execution == first)).await;
        assert_eq!(front.seen().started[0].statement, Some(statement(1)));
        let execution = front.asks(2);
        until("the second waits", || waiting(&half) == [(execution, Some(2))]).await;
        half.queue.send(Poison).await.unwrap();
        half.goes_on(5).await;
        half.journal.send(Poison).await.unwrap();
        half.goes_on(5).await;
        assert_eq!(waiting(&half), [(execution, Some(2))]);
        assert_eq!(front.seen().refused, []);
        let view = half.view.borrow().clone().unwrap();
        assert_eq!(view.running.iter().map(|row| row.execution).collect::<Vec<_>>(), [first]);
        half.outbox.shutdown().await;
        execution
    });
    System::new().block_on(async {
        let half = front.start(&dir, None);
        half.goes_on(2).await;
        assert_eq!(waiting(&half), []);
        assert_eq!(front.seen().refused, [execution]);
        half.outbox.shutdown().await;
    });
    let last = queue_events(&dir).pop().unwrap();
    assert_eq!((last.event, last.execution, last.statement), (QueueEvent::Dropped, execution, None));
    let verdict = OutboxReader::open(&dir).unwrap().verify(None, &mut |_, _| ()).unwrap();
    assert!(verdict.holds(), "{verdict:?}");
}

#[test]
fn what_waits_goes_at_once_where_its_front_says_so_and_its_answer_is_recorded() {
    let folder = TempDir::new().unwrap();
    let front = Front::default();
    front.seen().texts.push(text("select $1"));
    System::new().block_on(async {
        let half = front.start(folder.path(), None);
        half.goes_on(2).await;
        let execution = waits(&front, &half, 1).await;
        let reason = Some("released at once: its class' maximum delay is over".to_owned());
        let arrival = Arrival { execution, query: query(), statement: None, reason };
        let admit =
            || Admit { at_ms: unix_ms(), arrivals: vec![arrival.clone()], texts: vec![text("select $2")] };
        let admitted = half.queue.send(admit()).await.unwrap().unwrap();
        assert_eq!((admitted.len(), admitted[0].statement.clone()), (1, Some(statement(1))));
        assert_eq!(half.queue.send(admit()).await.unwrap().unwrap(), [], "once");
        let answer = Some(Answer { rows: Some(3), duration_us: 70, ..Answer::default() });
        let finished = vec![Finished { execution, tick: Tick(0), outcome: Outcome::Ok, answer }];
        assert_eq!(half.queue.send(Ended { at_ms: unix_ms(), finished }).await.unwrap().unwrap(), 1);
        let gone = waits(&front, &half, 2).await;
        half.queue.send(DropWaiting { at_ms: unix_ms(), execution: gone }).await.unwrap().unwrap();
        half.outbox.shutdown().await;
    });
    let events = queue_events(folder.path());
    let named: Vec<_> = events.iter().map(|event| (event.event.name(), event.statement.is_some())).collect();
    let expected = [
        ("queued", true),
        ("delayed", false),
        ("released", true),
        ("queued", true),
        ("delayed", false),
        ("dropped", true),
    ];
    assert_eq!(named, expected);
    let mut reader = OutboxReader::open(folder.path()).unwrap();
    let Record::Executed(executed) = &reader.tail(Stream::Executions, 1).unwrap()[0].record else {
        unreachable!()
    };
    assert_eq!(executed.answer.as_ref().map(|answer| answer.rows), Some(Some(3)));
    assert_eq!(reader.texts().unwrap(), [text("select $1")], "the first one stays");
    let verdict = reader.verify(None, &mut |_, _| ()).unwrap();
    assert!(verdict.holds(), "{verdict:?}");
}

#[test]
fn arrivals_that_there_is_no_room_for_are_told() {
    let folder = TempDir::new().unwrap();
    let front = Front::default();
    System::new().block_on(async {
        let full = Published { pressure: Pressure::RefuseArrivals, ..Published::default() };
        let (_full, published) = watch::channel(full);
        let half = front.start(folder.path(), Some(published));
        half.goes_on(1).await;
        let execution = front.asks(1);
        until("it is refused", || front.seen().refused == [execution]).await;
        half.outbox.shutdown().await;
    });
    assert_eq!(queue_events(folder.path()), []);
}

#[test]
fn arrivals_of_a_tick_that_fails_wait_or_are_refused_and_texts_come_again() {
    let folder = TempDir::new().unwrap();
    let front = Front::default();
    let mut asked = Vec::new();
    System::new().block_on(async {
        let half = front.start(folder.path(), None);
        half.goes_on(2).await;
        for n in 0..60 {
            asked.push(front.asks(n + 1));
            front.seen().texts.push(QueryText { query: QueryId(Uuid::from_u128(n)), ..text("select $1") });
            // The journal or the queue fails, now and then amid the tick that these come in.
            match n % 6 {
                0 => drop(half.queue.send(Poison).await),
                1 => drop(half.daemon.send(Poison).await),
                2 => drop(half.monitor.send(Poison).await),
                3 => drop(half.journal.send(Poison).await),
                _ => tokio::time::sleep(Duration::from_millis(n as u64 % 4)).await,
            }
        }
        half.goes_on(20).await;
        let known = |execution: &ExecutionId| {
            waiting(&half).iter().any(|(found, pid)| found == execution && pid.is_some())
                || front.seen().refused.contains(execution)
                || front.seen().started.iter().any(|ran| ran.execution == *execution)
        };
        until("each waits, runs or is refused", || asked.iter().all(known)).await;
        half.outbox.shutdown().await;
    });
    assert_eq!(OutboxReader::open(folder.path()).unwrap().texts().unwrap().len(), 60);
}

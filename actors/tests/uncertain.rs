//! A database that tells late, twice or never how executions ended and what ticks used, under the real actors and a real
//! outbox: nothing is sent twice, each outcome is recorded once, and the journal holds together, whatever fails meanwhile.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

#[path = "support/half.rs"]
mod half;
mod support;

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use actix::System;
use evenkeel_actors::{
    clock::unix_ms,
    databases::simulated::SimulatedWorkload,
    messages::{Admit, DropRefused, DropWaiting, StopTicking},
    ports::{
        database::{Database, Resolution, Sending, TickUsed, UsageProbe},
        history::{History as _, Verdict},
    },
    stores::outbox::OutboxReader,
};
use evenkeel_core::{
    chance::Dice,
    invariants::TruthRow,
    journal::{Executed, Outcome, Record, Released, Stream},
    server::queue::Finished,
    units::{
        ids::{ExecutionId, QueryId},
        resource::Usage,
        tick::Tick,
    },
    world::{Parameters, World},
};
use tempfile::TempDir;

use self::half::{Half, PATIENCE, Poison, TICK_MS};

/// A database that lives on when evenkeel dies.
struct Late {
    dice: Dice,
    sent: Vec<TruthRow>,
    running: BTreeMap<ExecutionId, Tick>,
    ended: BTreeMap<ExecutionId, (Outcome, Tick)>,
    mail: Vec<Finished>,
    usage: BTreeMap<Tick, Usage>,
    now: Tick,
    /// Whether it tells everything from now on.
    calm: bool,
}

impl Late {
    fn hits(&mut self, permille: u64) -> bool {
        self.dice.roll(1_000) < permille
    }

    fn send(&mut self, execution: ExecutionId, query: QueryId, tick: Tick) {
        self.sent.push(TruthRow { execution, tick, query });
        self.running.insert(execution, tick);
    }

    fn runs_on(&mut self) {
        let running: Vec<_> = self.running.iter().map(|(execution, tick)| (*execution, *tick)).collect();
        for (execution, began) in running {
            if !self.calm && !self.hits(300) {
                continue;
            }
            self.running.remove(&execution);
            let outcome = [Outcome::Ok, Outcome::Ok, Outcome::Failed][self.dice.roll(3) as usize];
            let tick = Tick(began.0 + self.dice.roll(self.now.since(began) + 1));
            self.ended.insert(execution, (outcome, tick));
            let told = if self.calm { 1 } else { [0, 1, 1, 1, 1, 2][self.dice.roll(6) as usize] };
            self.mail.extend((0..told).map(|_| Finished { execution, tick, outcome, answer: None }));
        }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Late>>);

impl Shared {
    fn get(&self) -> MutexGuard<'_, Late> {
        self.0.lock().unwrap()
    }
}

impl Database for Shared {
    fn sending(&self) -> Sending {
        Sending::Once { at_once: None, clients: false }
    }

    fn start(&mut self, tick: Tick, batch: &[Executed]) -> io::Result<()> {
        let mut late = self.get();
        late.now = tick;
        late.usage.insert(tick, Usage::all(batch.len() as u64 * 10));
        for Executed { execution, query, .. } in batch {
            // The connection breaks amid a batch: the rest is never sent.
            if !late.calm && late.hits(3) {
                return Err(io::Error::other("the connection is gone"));
            }
            late.send(*execution, *query, tick);
        }
        Ok(())
    }

    fn finished(&mut self) -> io::Result<Vec<Finished>> {
        let mut late = self.get();
        if !late.calm && late.hits(50) {
            return Err(io::Error::other("it does not answer"));
        }
        late.runs_on();
        let mut told = Vec::new();
        while !late.mail.is_empty() && (late.calm || late.hits(800)) {
            let among = late.mail.len() as u64;
            let at = late.dice.roll(among) as usize;
            told.push(late.mail.swap_remove(at));
        }
        Ok(told)
    }

    fn resolve(&mut self, released: &Released) -> io::Result<Resolution> {
        let mut late = self.get();
        if !late.calm && late.hits(300) {
            return Err(io::Error::other("it does not answer"));
        }
        if late.running.contains_key(&released.execution) {
            return Ok(Resolution::Running);
        }
        let ended = late.ended.get(&released.execution);
        Ok(ended.map_or(Resolution::Unknown, |(outcome, tick)| Resolution::Ended(*outcome, *tick)))
    }
}

impl UsageProbe for Shared {
    fn used(&mut self) -> io::Result<Vec<TickUsed>> {
        let mut late = self.get();
        if !late.calm && late.hits(300) {
            return Err(io::Error::other("the probe does not answer"));
        }
        let told: Vec<_> = late.usage.iter().map(|(&tick, &usage)| TickUsed { tick, usage }).collect();
        // Now and then what has been told is told again, or is never told.
        if late.calm || late.hits(900) {
            late.usage.clear();
        }
        Ok(if late.calm || late.hits(950) { told } else { Vec::new() })
    }
}

fn half(dir: &Path, database: &Shared, rate: f64) -> Half {
    let world = World::new(Parameters { rate, tick_ms: TICK_MS, ..Parameters::default() }, 1).unwrap();
    Half::start(dir, Box::new(database.clone()), Box::new(SimulatedWorkload(world)), None)
}

/// What a front does: an execution that nobody defers is sent once its release is durable.
async fn admit(half: &Half, database: &Shared, n: u128) {
    let arrivals = vec![(ExecutionId::new(unix_ms(), n << 40), QueryId::simulated(1, 0)).into()];
    // Whoever fails on it meanwhile: without an answer nothing is sent.
    let Ok(Ok(admitted)) = half.queue.send(Admit { at_ms: unix_ms(), arrivals, texts: Vec::new() }).await
    else {
        return;
    };
    for Released { execution, query, tick, .. } in admitted {
        database.get().send(execution, query, tick);
    }
}

/// Gives up one that waits; what was given up.
async fn drop_one(half: &Half) -> Option<ExecutionId> {
    let execution = half.view.borrow().as_ref()?.waiting.last()?.execution;
    match half.queue.send(DropWaiting { at_ms: unix_ms(), execution }).await {
        Ok(Ok(())) => Some(execution),
        // It has been released meanwhile, or somebody failed on it.
        Ok(Err(DropRefused::Invalid(_) | DropRefused::Lost(_) | DropRefused::NotRecorded(_))) | Err(_) => {
            None
        }
    }
}

fn verify(dir: &Path, truth: Option<Vec<TruthRow>>) -> Verdict {
    OutboxReader::open(dir).unwrap().verify(truth, &mut |_, _| ()).unwrap()
}

fn check(dir: &Path, late: &Late) {
    let verdict = verify(dir, Some(late.sent.clone()));
    assert!(verdict.holds(), "{verdict:?}");
}

/// Lives of a server, each of which ends without a word.
fn lives(seed: u64, poisons: bool) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("data");
    let database = Shared(Arc::new(Mutex::new(Late {
        dice: Dice::new(seed),
        sent: Vec::new(),
        running: BTreeMap::new(),
        ended: BTreeMap::new(),
        mail: Vec::new(),
        usage: BTreeMap::new(),
        now: Tick(0),
        calm: false,
    })));
    let mut dropped = Vec::new();
    for life in 0..4_u128 {
        database.get().calm = life == 3;
        System::new().block_on(async {
            let half = half(&dir, &database, 3.0);
            half.goes_on(10).await;
            for round in 0..12_u128 {
                admit(&half, &database, life * 100 + round + 1).await;
                dropped.extend(drop_one(&half).await);
                if poisons && life < 3 {
                    match round % 6 {
                        0 => drop(half.queue.send(Poison).await),
                        1 => drop(half.daemon.send(Poison).await),
                        2 => drop(half.monitor.send(Poison).await),
                        3 => drop(half.journal.send(Poison).await),
                        _ => {}
                    }
                }
                half.goes_on(8).await;
            }
            if life == 3 {
                // Nothing new is sent, and what has been is told or found out.
                half.daemon.send(StopTicking).await.unwrap();
                let told = async {
                    while !database.get().running.is_empty() || open(&dir) > 0 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                tokio::time::timeout(PATIENCE, told).await.expect("every outcome is recorded");
            }
            half.outbox.shutdown().await;
        });
        check(&dir, &database.get());
    }
    let late = database.get();
    let mut ids: Vec<_> = late.sent.iter().map(|row| row.execution).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "an execution was sent twice");
    assert!(dropped.iter().all(|dropped| ids.binary_search(dropped).is_err()), "what was dropped was sent");
    assert!(ids.len() > 100 && !dropped.is_empty(), "{} sent, {} dropped", ids.len(), dropped.len());
    outcomes_are_those_of_the_database(&dir, &late);
}

/// Released, and without an outcome.
fn open(dir: &Path) -> u64 {
    verify(dir, None).report.released
}

fn outcomes_are_those_of_the_database(dir: &Path, late: &Late) {
    let reader = OutboxReader::open(dir).unwrap();
    let entries = reader.tail(Stream::Executions, 100_000).unwrap();
    let mut known = 0;
    for entry in &entries {
        let Record::Executed(executed) = &entry.record else { unreachable!("of that stream") };
        match late.ended.get(&executed.execution) {
            Some((outcome, _)) if executed.outcome != Outcome::Unknown => {
                assert_eq!(executed.outcome, *outcome, "{}", executed.execution);
                known += 1;
            }
            // What was never sent, or was asked for when nobody knew of it.
            _ => assert_eq!(executed.outcome, Outcome::Unknown, "{}", executed.execution),
        }
    }
    assert!(known * 10 > entries.len() * 9, "{known} of {} outcomes are known", entries.len());
}

#[test]
fn outcomes_and_usage_that_come_late_survive_restarts() {
    lives(1, false);
    lives(2, false);
}

#[test]
fn actors_that_fail_lose_no_outcome_and_send_nothing_twice() {
    lives(3, true);
}

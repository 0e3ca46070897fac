//! What the consumer does with an entry that an actor fails on, and with a client that was replaced.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Arbiter, Context, Handler, MessageResult, ResponseFuture, Supervised, System};
use evenkeel_actors::{
    leveller::{
        acceptance::Acceptance,
        consumer::{self, Consumer, Role},
    },
    messages::{
        Batch, GetEstimator, GetScheduler, HandOver, LearnError, Lost, RestoreEstimator, RestoreScheduler,
        SaveState,
    },
    ports::{
        lease::{LeaseError, LeaseStore},
        source::{Read, Source, SourceError},
        state_store::{DeadLetter, LeasedStates, StateError, StateStore},
    },
    stores::file::state::{FileStateStore, dead_letters},
    supervise::{
        guard::{self, Guarding, RestartPolicy},
        health::{ActorHealth, ActorName},
    },
};
use evenkeel_core::{
    estimator::Estimator,
    journal::{Entry, EntryId, Positions, QueueEvent, QueueRecord, Record, Stream},
    leveller::ClientState,
    scheduler::{PolicyName, Scheduler, SchedulerSnapshot, SnapshotError},
    server::queue::HoldLimits,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// Longest that a test waits for something to become true.
const PATIENCE: Duration = Duration::from_secs(30);
/// Entries in the journal of these tests.
const ENTRIES: u64 = 40;

fn id(seq: u64) -> EntryId {
    EntryId { ms: 1_800_000_000_000 + seq, n: 0 }
}

fn entry(seq: u64) -> Entry {
    let record = QueueRecord {
        event: QueueEvent::Queued,
        execution: ExecutionId::new(seq, seq.into()),
        query: QueryId::simulated(1, 0),
        tick: Tick(seq),
        due_tick: Tick(seq + 1),
        added_ticks: 0,
        statement: None,
    };
    Entry { id: id(seq), seq, version: evenkeel_core::journal::FORMAT, record: Record::Queue(record) }
}

/// A journal that is read in parts.
struct Parts {
    entries: u64,
    at_once: usize,
}

/// Forty entries, ten at a time.
const SHORT: Parts = Parts { entries: ENTRIES, at_once: 10 };

impl Source for Parts {
    fn follow(&self, after: Positions) -> mpsc::Receiver<Result<Read, SourceError>> {
        let (reads, receiver) = mpsc::channel(1);
        let at_once = self.at_once;
        let left = (1..=self.entries)
            .map(entry)
            .filter(|entry| entry.id > after.get(Stream::Queue))
            .collect::<Vec<_>>();
        actix::spawn(async move {
            for part in left.chunks(at_once) {
                let read = Read { entries: part.to_vec(), ..Read::default() };
                if reads.send(Ok(read)).await.is_err() {
                    return;
                }
            }
            // Nothing more comes, and the journal has not ended.
            std::future::pending::<()>().await;
        });
        receiver
    }
}

/// What happens at an end, in this order.
type Ends = Arc<Mutex<Vec<&'static str>>>;

/// Stands for estimator and scheduler: notes what it was given since it was restored, and fails on some.
struct Probe {
    poison: Option<u64>,
    seen: Arc<Mutex<Vec<u64>>>,
    ends: Ends,
    /// Whether there is no server that would take what is left to it.
    unanswered: bool,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Supervised for Probe {}

impl Handler<Batch> for Probe {
    type Result = Result<(), LearnError>;

    fn handle(&mut self, batch: Batch, _context: &mut Self::Context) -> Self::Result {
        for entry in batch.entries.iter() {
            assert!(Some(entry.seq) != self.poison, "this one is more than it can bear");
            self.seen.lock().unwrap().push(entry.seq);
        }
        Ok(())
    }
}

impl Handler<RestoreEstimator> for Probe {
    type Result = MessageResult<RestoreEstimator>;

    fn handle(&mut self, _: RestoreEstimator, _context: &mut Self::Context) -> Self::Result {
        self.seen.lock().unwrap().clear();
        MessageResult(())
    }
}

impl Handler<GetEstimator> for Probe {
    type Result = Result<Estimator, Lost>;

    fn handle(&mut self, _: GetEstimator, _context: &mut Self::Context) -> Self::Result {
        Ok(Estimator::default())
    }
}

impl Handler<RestoreScheduler> for Probe {
    type Result = Result<(), SnapshotError>;

    fn handle(&mut self, _: RestoreScheduler, _context: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<GetScheduler> for Probe {
    type Result = Result<SchedulerSnapshot, Lost>;

    fn handle(&mut self, _: GetScheduler, _context: &mut Self::Context) -> Self::Result {
        Ok(Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None).snapshot())
    }
}

impl Handler<HandOver> for Probe {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: HandOver, _context: &mut Self::Context) -> Self::Result {
        self.ends.lock().unwrap().push("handed over");
        let unanswered = self.unanswered;
        Box::pin(async move {
            if unanswered {
                std::future::pending::<()>().await;
            }
        })
    }
}

struct Reading {
    consumer: actix::Addr<Consumer>,
    role: watch::Receiver<Role>,
    seen: Arc<Mutex<Vec<u64>>>,
    gave_up: mpsc::Receiver<guard::GaveUp>,
}

fn reading(source: Parts, states: Box<dyn LeasedStates>, poison: Option<u64>) -> Reading {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let probe = Probe { poison, seen: Arc::clone(&seen), ends: Arc::default(), unanswered: false };
    reading_with(source, states, probe)
}

fn reading_with(source: Parts, states: Box<dyn LeasedStates>, probe: Probe) -> Reading {
    let (gave_up_sender, gave_up) = mpsc::channel(4);
    let policy = RestartPolicy { backoff_first: Duration::from_millis(1), ..RestartPolicy::default() };
    let guarding = Guarding { policy, gave_up: gave_up_sender };
    let arbiter = Arbiter::current();
    let seen = Arc::clone(&probe.seen);
    let health = ActorHealth::new(ActorName::Estimator);
    let probe = guard::start(&arbiter, 16, health, guarding.clone(), move |_| probe);
    let ports = consumer::Ports {
        estimator: probe.clone().recipient().into(),
        estimator_state: probe.clone().recipient().into(),
        restore_estimator: probe.clone().recipient().into(),
        scheduler_state: probe.clone().recipient().into(),
        restore_scheduler: probe.clone().recipient().into(),
        hand_over: probe.recipient().into(),
        acceptance: watch::channel(Acceptance::default()).1,
        journal: None,
    };
    let (sender, role) = watch::channel(Role::default());
    let health = ActorHealth::new(ActorName::Consumer);
    let own = health.clone();
    let consumer = guard::start(&arbiter, 16, health, guarding, move |_| {
        Consumer::new(ports, Box::new(source), states, own, sender, watch::channel(None).0)
    });
    Reading { consumer, role, seen, gave_up }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

#[test]
fn an_entry_that_fails_three_times_alone_is_set_aside_and_all_others_are_applied() {
    System::new().block_on(async {
        let folder = TempDir::new().unwrap();
        let states = Box::new(FileStateStore::open(folder.path()).unwrap());
        let reading = reading(SHORT, states, Some(13));
        let all_but_one: Vec<u64> = (1..=ENTRIES).filter(|seq| *seq != 13).collect();
        until("the others are applied", || *reading.seen.lock().unwrap() == all_but_one).await;
        assert!(reading.gave_up.is_empty(), "one bad entry does not end the process");
        let letters = dead_letters(folder.path());
        assert_eq!(
            letters.iter().map(|dead| (dead.stream, dead.id)).collect::<Vec<_>>(),
            [(Stream::Queue, id(13))]
        );
        assert!(letters[0].reason.contains("three times alone"), "{letters:?}");
        // What is saved lies behind it: nobody meets it again.
        reading.consumer.send(SaveState).await.unwrap();
        let saved = FileStateStore::open(folder.path()).unwrap().load().unwrap();
        assert_eq!(saved.positions.get(Stream::Queue), id(ENTRIES));
    });
}

/// Answers what the test has written down, then that all is well.
struct Script {
    asks: VecDeque<Result<(), LeaseError>>,
    stores: VecDeque<Result<(), StateError>>,
    asked: Arc<Mutex<u32>>,
}

impl LeaseStore for Script {
    fn acquire(&mut self) -> Result<(), LeaseError> {
        *self.asked.lock().unwrap() += 1;
        self.asks.pop_front().unwrap_or(Ok(()))
    }
}

/// Notes what is done at an end; somebody else may level afterwards, or nobody.
struct Shared {
    ends: Ends,
    others: bool,
    held: bool,
}

impl LeaseStore for Shared {
    fn acquire(&mut self) -> Result<(), LeaseError> {
        if self.held { Err(LeaseError::Held { holder: "the other".to_owned() }) } else { Ok(()) }
    }

    fn release(&mut self) {
        self.ends.lock().unwrap().push("released");
    }

    fn is_shared(&self) -> bool {
        self.others
    }
}

impl StateStore for Shared {
    fn load(&mut self) -> Result<ClientState, StateError> {
        Ok(ClientState::default())
    }

    fn store(&mut self, _: &ClientState) -> Result<(), StateError> {
        self.ends.lock().unwrap().push("saved");
        Ok(())
    }

    fn bury(&mut self, _: &DeadLetter) -> Result<(), StateError> {
        Ok(())
    }
}

/// What an end does, in this order, once it plays the role that is waited for.
async fn end(others: bool, held: bool, unanswered: bool) -> Vec<&'static str> {
    let ends = Ends::default();
    let states = Shared { ends: Arc::clone(&ends), others, held };
    let probe = Probe { poison: None, seen: Arc::default(), ends: Arc::clone(&ends), unanswered };
    let mut reading = reading_with(SHORT, Box::new(states), probe);
    let plays = |role: &Role| matches!(role, Role::Levelling | Role::StandingBy { .. });
    tokio::time::timeout(PATIENCE, reading.role.wait_for(plays)).await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, reading.consumer.send(SaveState)).await.unwrap().unwrap();
    let mut ends = ends.lock().unwrap().clone();
    // These two are done side by side.
    if ends.get(..2) == Some(&["saved", "handed over"]) {
        ends.swap(0, 1);
    }
    ends
}

#[test]
fn who_ends_leaves_what_waits_to_the_server_before_somebody_else_may_level() {
    System::new().block_on(async {
        assert_eq!(end(true, false, false).await, ["handed over", "saved", "released"]);
        // The server is away: the end does not wait for it for ever.
        assert_eq!(end(true, false, true).await, ["handed over", "saved", "released"]);
    });
}

#[test]
fn who_stands_by_or_is_alone_leaves_nothing() {
    System::new().block_on(async {
        assert!(!end(true, true, false).await.contains(&"handed over"));
        assert_eq!(end(false, false, false).await, ["saved", "released"]);
    });
}

impl StateStore for Script {
    fn load(&mut self) -> Result<ClientState, StateError> {
        Ok(ClientState::default())
    }

    fn store(&mut self, _: &ClientState) -> Result<(), StateError> {
        self.stores.pop_front().unwrap_or(Ok(()))
    }

    fn bury(&mut self, _: &DeadLetter) -> Result<(), StateError> {
        Ok(())
    }
}

#[test]
fn one_that_stands_by_applies_nothing_and_takes_over_when_it_may() {
    System::new().block_on(async {
        let standing_by = || Err(LeaseError::Held { holder: "the other".to_owned() });
        let asked = Arc::new(Mutex::new(0));
        let states = Script {
            asks: [standing_by(), standing_by()].into(),
            stores: VecDeque::new(),
            asked: Arc::clone(&asked),
        };
        let mut reading = reading(SHORT, Box::new(states), None);
        let other = Role::StandingBy { holder: "the other".to_owned() };
        tokio::time::timeout(PATIENCE, reading.role.wait_for(|role| *role == other)).await.unwrap().unwrap();
        assert_eq!(*reading.seen.lock().unwrap(), [] as [u64; 0]);
        tokio::time::timeout(PATIENCE, reading.role.wait_for(|role| *role == Role::Levelling))
            .await
            .unwrap()
            .unwrap();
        until("everything is applied", || reading.seen.lock().unwrap().len() == ENTRIES as usize).await;
        assert_eq!(*asked.lock().unwrap(), 3);
    });
}

#[test]
fn one_that_is_fenced_begins_again_from_what_the_store_says() {
    System::new().block_on(async {
        let asked = Arc::new(Mutex::new(0));
        let states = Script {
            asks: VecDeque::new(),
            stores: [Err(StateError::Fenced)].into(),
            asked: Arc::clone(&asked),
        };
        // A state is stored after 50,000 entries, and this one is refused.
        let long = Parts { entries: 60_000, at_once: 10_000 };
        let reading = reading(long, Box::new(states), None);
        until("it has begun again", || *asked.lock().unwrap() == 2).await;
        until("everything is applied", || reading.seen.lock().unwrap().len() == 60_000).await;
        let in_order = reading.seen.lock().unwrap().iter().copied().eq(1..=60_000);
        assert!(in_order, "what was applied before counts no longer, and nothing is applied twice");
    });
}

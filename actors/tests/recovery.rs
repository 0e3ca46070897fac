//! Each of the seven actors fails in each way while the whole circle runs: it goes on, and the journal is whole.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{sync::Arc, time::Duration};

use actix::{ActorContext, Addr, AsyncContext, Handler, MailboxError, Message, System, WrapFuture};
use evenkeel_actors::{
    clock::{Clock, unix_ms},
    databases::simulated::{Simulated, SimulatedWorkload},
    leveller::{
        acceptance::Acceptance,
        consumer::{self, Consumer, Role},
        estimator::Estimator,
        scheduler::{LastDecision, Scheduler, Settings},
    },
    messages::{SaveState, StopTicking},
    ports::{history::History as _, lease::LeaseEpoch},
    server::{
        daemon::{self, Daemon, Pace},
        journal::Journal,
        monitor::Monitor,
        observer::Observer,
        queue::{Queue, QueueView},
    },
    stores::{
        file::state::FileStateStore,
        outbox::{Identity, Limits, Outbox, OutboxHandle, OutboxReader, OutboxWriter, source::OutboxSource},
    },
    supervise::{
        guard::{GaveUp, Guarding, RestartPolicy},
        health::{ActorHealth, ActorName, ActorState},
    },
};
use evenkeel_core::{
    invariants::TruthRow,
    journal::Stream,
    scheduler::PolicyName,
    server::queue::{HoldLimits, HoldSettings},
    units::lengths::Lengths,
    world::{Parameters, World},
};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use self::support::start;

/// Longest that a test waits for something to become true; nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The message that nobody survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
enum Poison {
    /// A panic in the handler: its sender does not learn the outcome.
    Handler,
    /// A panic in a timer of the actor.
    Timer,
    /// A panic in a future of the actor.
    Future,
    /// The actor stops by itself.
    Stop,
}

const POISONS: [Poison; 4] = [Poison::Handler, Poison::Timer, Poison::Future, Poison::Stop];

macro_rules! poisoned {
    ($($actor:ty),*) => {$(
        impl Handler<Poison> for $actor {
            type Result = ();

            fn handle(&mut self, poison: Poison, context: &mut Self::Context) {
                match poison {
                    Poison::Handler => panic!("poisoned by the test"),
                    Poison::Timer => {
                        context.run_later(Duration::from_millis(1), |_, _| panic!("poisoned by the test"));
                    }
                    Poison::Future => {
                        let panics = async { panic!("poisoned by the test") };
                        context.spawn(panics.into_actor(self));
                    }
                    Poison::Stop => context.stop(),
                }
            }
        }
    )*};
}

poisoned!(Queue, Daemon, Monitor, Journal, Observer, Consumer, Estimator, Scheduler);

/// The whole circle over a temporary outbox, 200 ticks a second, all on the test's arbiter.
struct Circle {
    folder: TempDir,
    queue: Addr<Queue>,
    daemon: Addr<Daemon>,
    monitor: Addr<Monitor>,
    journal: Addr<Journal>,
    observer: Addr<Observer>,
    consumer: Addr<Consumer>,
    estimator: Addr<Estimator>,
    scheduler: Addr<Scheduler>,
    health: Vec<ActorHealth>,
    outbox: OutboxHandle,
    queue_view: watch::Receiver<QueueView>,
    decision: watch::Receiver<LastDecision>,
    pace: watch::Receiver<Pace>,
    gave_up: mpsc::Receiver<GaveUp>,
}

const TICK_MS: u64 = 5;
const LENGTHS: Lengths = Lengths { tick_ms: TICK_MS, window_ticks: 10, default_delay_ticks: 1 };

fn circle() -> Circle {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("data");
    let world = World::new(Parameters { rate: 3.0, tick_ms: TICK_MS, ..Parameters::default() }, 1).unwrap();
    let identity = Identity { label: "a test".to_owned(), text: String::new(), ..Identity::default() };
    let (outbox, _) = Outbox::open(&dir, &identity, Uuid::new_v4(), unix_ms(), Limits::default()).unwrap();
    let outbox = OutboxWriter::spawn(outbox).unwrap();
    let states = Box::new(FileStateStore::open(&dir).unwrap());
    let (gave_up_sender, gave_up) = mpsc::channel(7);
    let policy = RestartPolicy { backoff_first: Duration::from_millis(1), ..RestartPolicy::default() };
    let guarding = Guarding { policy, gave_up: gave_up_sender };
    let mut health = Vec::new();
    let (queue_sender, queue_view) = watch::channel(None);
    let (window_sender, _) = watch::channel(None);
    let (pace_sender, pace) = watch::channel(Pace::default());
    let (decision_sender, decision) = watch::channel(None);

    let (seen, of) = (queue_view.clone(), OutboxReader::opener(&dir));
    let observer = start(&mut health, &guarding, ActorName::Observer, move |own| {
        Observer::new(LENGTHS, of, None, seen, own, watch::channel(Arc::default()).0)
    });
    let (handle, recorded) = (Arc::new(outbox.clone()), observer.clone().recipient().into());
    let journal =
        start(&mut health, &guarding, ActorName::Journal, |own| Journal::new(handle, recorded, own));
    let append = journal.clone().recipient().into();
    let queue = start(&mut health, &guarding, ActorName::Queue, move |own| {
        Queue::new(append, own, queue_sender, Clock::default(), LENGTHS, HoldLimits::default())
    });
    let monitor = start(&mut health, &guarding, ActorName::Monitor, move |own| {
        Monitor::new(LENGTHS, own, window_sender, Clock::default())
    });
    let ports = daemon::Ports {
        monitor: monitor.clone().recipient().into(),
        queue: queue.clone().recipient().into(),
        ended: queue.clone().recipient().into(),
        journal: journal.clone().recipient().into(),
        restore: vec![monitor.clone().recipient().into(), queue.clone().recipient().into()],
    };
    let database = Simulated::new(world.clone(), Some(&folder.path().join("truth.txt"))).unwrap();
    let state = outbox.published();
    let daemon = start(&mut health, &guarding, ActorName::Daemon, move |own| {
        let workload = Box::new(SimulatedWorkload(world));
        Daemon::new(ports, Box::new(database), workload, state, own, pace_sender, Clock::default(), TICK_MS)
    });
    let settings = Settings {
        client: "a test".to_owned(),
        epoch: LeaseEpoch::sole(1),
        policy: PolicyName::Evenkeel,
        lengths: LENGTHS,
        limits: HoldSettings::default(),
        delay_budget: None,
    };
    let control = queue.clone().recipient().into();
    let (acceptance_sender, acceptance) = watch::channel(Acceptance::default());
    let scheduler = start(&mut health, &guarding, ActorName::Scheduler, move |own| {
        Scheduler::new(settings, control, own, decision_sender, acceptance_sender)
    });
    let learned = scheduler.clone().recipient().into();
    let estimator =
        start(&mut health, &guarding, ActorName::Estimator, move |own| Estimator::new(learned, own));
    let ports = consumer::Ports {
        estimator: estimator.clone().recipient().into(),
        estimator_state: estimator.clone().recipient().into(),
        restore_estimator: estimator.clone().recipient().into(),
        scheduler_state: scheduler.clone().recipient().into(),
        restore_scheduler: scheduler.clone().recipient().into(),
        hand_over: scheduler.clone().recipient().into(),
        acceptance: acceptance.clone(),
        journal: Some(journal.clone().recipient().into()),
    };
    let source = OutboxSource::new(&dir, outbox.published());
    let consumer = start(&mut health, &guarding, ActorName::Consumer, move |own| {
        Consumer::new(
            ports,
            Box::new(source),
            states,
            own,
            watch::channel(Role::default()).0,
            watch::channel(None).0,
        )
    });
    Circle {
        folder,
        queue,
        daemon,
        monitor,
        journal,
        observer,
        consumer,
        estimator,
        scheduler,
        health,
        outbox,
        queue_view,
        decision,
        pace,
        gave_up,
    }
}

impl Circle {
    fn tick(&self) -> u64 {
        self.pace.borrow().last.map_or(0, |last| last.tick.0)
    }

    fn decided(&self) -> u64 {
        self.decision.borrow().as_ref().map_or(0, |decision| decision.tick.0)
    }

    async fn poison(&self, name: ActorName, poison: Poison) -> Result<(), MailboxError> {
        match name {
            ActorName::Queue => self.queue.send(poison).await,
            ActorName::Daemon => self.daemon.send(poison).await,
            ActorName::Monitor => self.monitor.send(poison).await,
            ActorName::Journal => self.journal.send(poison).await,
            ActorName::Consumer => self.consumer.send(poison).await,
            ActorName::Estimator => self.estimator.send(poison).await,
            ActorName::Scheduler => self.scheduler.send(poison).await,
            ActorName::Observer => self.observer.send(poison).await,
            ActorName::Shipper | ActorName::RemoteQueue => unreachable!("both halves are in this process"),
        }
    }

    /// Waits until both halves are `ticks` further than now.
    async fn goes_on(&self, ticks: u64) {
        let (tick, decided) = (self.tick(), self.decided());
        let far = async {
            while self.tick() < tick + ticks || self.decided() < decided + ticks {
                tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
            }
        };
        let what = || format!("tick {tick} -> {}, decided {decided} -> {}", self.tick(), self.decided());
        tokio::time::timeout(PATIENCE, far).await.unwrap_or_else(|_| panic!("it stands still: {}", what()));
    }

    async fn end(self) {
        self.daemon.send(StopTicking).await.unwrap();
        self.consumer.send(SaveState).await.unwrap();
        self.outbox.shutdown().await;
        let truth = std::fs::read_to_string(self.folder.path().join("truth.txt")).unwrap();
        let truth: Vec<TruthRow> = truth.lines().map(|line| line.parse().unwrap()).collect();
        let ran = truth.len() as u64;
        let mut reader = OutboxReader::open(&self.folder.path().join("data")).unwrap();
        let verdict = reader.verify(Some(truth), &mut |_, _| ()).unwrap();
        assert!(verdict.holds(), "{verdict:?}");
        let recorded = reader.info(Stream::Executions).unwrap().length;
        assert_eq!(recorded, ran, "what ran is recorded, and what is recorded ran");
    }
}

/// The client's half.
const CLIENT: [ActorName; 3] = [ActorName::Consumer, ActorName::Estimator, ActorName::Scheduler];

fn each_fails_and_the_circle_goes_on(names: &[ActorName], poison: Poison) {
    each_fails(names, poison, 1);
}

/// Each of them fails, is started again so many times, and everything goes on.
fn each_fails(names: &[ActorName], poison: Poison, restarts: u64) {
    System::new().block_on(async {
        let circle = circle();
        circle.goes_on(30).await;
        for &name in names {
            let health = circle.health.iter().find(|health| health.name() == name).unwrap();
            #[cfg(feature = "faults")]
            if restarts > 1 {
                evenkeel_actors::supervise::fault::fail_next_restart(name);
            }
            let sent = circle.poison(name, poison).await;
            if poison == Poison::Handler {
                assert_eq!(sent, Err(MailboxError::Closed), "its outcome is unknown");
            }
            let restarted = async {
                while (health.restarts(), health.state()) != (restarts, ActorState::Running) {
                    tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
                }
            };
            let restarted = tokio::time::timeout(PATIENCE, restarted).await;
            restarted.unwrap_or_else(|_| panic!("{name:?} after {poison:?}: {:?}", health.state()));
            circle.goes_on(30).await;
            let late = circle.tick();
            circle.goes_on(10).await;
            // Two tickers, as there once were after a restart, would step on each other for ever.
            assert!(!circle.pace.borrow().stalled, "{name:?}: a tick failed after tick {late}");
            assert_eq!(health.restarts(), restarts, "{name:?} after {poison:?}");
        }
        let mut view = circle.queue_view.clone();
        let levelled = view.wait_for(|view| view.as_ref().is_some_and(|view| view.levelled));
        tokio::time::timeout(PATIENCE, levelled).await.expect("slots decide again").unwrap();
        assert!(circle.gave_up.is_empty());
        circle.end().await;
    });
}

#[test]
fn the_servers_half_fails_and_goes_on_from_what_is_durable() {
    for poison in POISONS {
        each_fails_and_the_circle_goes_on(&[&ActorName::SERVER[..], &[ActorName::Observer]].concat(), poison);
    }
}

#[test]
fn the_clients_half_fails_and_goes_on_from_its_snapshot_and_the_journal() {
    for poison in POISONS {
        each_fails_and_the_circle_goes_on(&CLIENT, poison);
    }
}

/// `cargo test -p evenkeel-actors --features faults --test recovery`
#[cfg(feature = "faults")]
#[test]
fn an_actor_that_fails_again_while_it_is_restarted_comes_back_the_second_time() {
    each_fails(&ActorName::SERVER, Poison::Handler, 2);
    each_fails(&CLIENT, Poison::Handler, 2);
}

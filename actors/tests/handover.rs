//! The last request of a scheduler whose client ends.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::sync::{Arc, Mutex};

use actix::{Actor, Addr, Context, Handler, ResponseFuture, Supervised, System};
use evenkeel_actors::{
    leveller::{
        acceptance::Acceptance,
        scheduler::{Scheduler, Settings},
    },
    messages::{Batch, Control, ControlRefused, GetScheduler, HandOver, Learned, RestoreScheduler},
    ports::lease::LeaseEpoch,
    supervise::{
        guard::{Guarding, RestartPolicy},
        health::ActorName,
    },
};
use evenkeel_core::{
    journal::{Entry, EntryId, FORMAT, Mode, QueueEvent, QueueRecord, Record},
    scheduler::PolicyName,
    server::{
        control::{ControlRequest, ControlResponse},
        queue::HoldSettings,
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};
use tokio::sync::{mpsc, watch};

use self::support::start;

const WAITING: u64 = 30;

/// A server that answers when the test lets it.
struct Server {
    asked: Arc<Mutex<Vec<ControlRequest>>>,
    answers: watch::Receiver<bool>,
}

impl Actor for Server {
    type Context = Context<Self>;
}

impl Supervised for Server {}

impl Handler<Control> for Server {
    type Result = ResponseFuture<Result<ControlResponse, ControlRefused>>;

    fn handle(&mut self, Control(request): Control, _context: &mut Self::Context) -> Self::Result {
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.clone();
        Box::pin(async move {
            answers.wait_for(|answers| *answers).await.unwrap();
            let (tick, mode) = (Tick(3), Mode::Enforce);
            Ok(ControlResponse { tick, tick_ms: 100, mode, lease_until: tick, results: Vec::new() })
        })
    }
}

fn arrived(n: u64) -> Entry {
    let tick = Tick(1 + n % 3);
    let record = QueueRecord {
        event: QueueEvent::Queued,
        execution: ExecutionId::new(n, n.into()),
        query: QueryId::simulated(1, 0),
        tick,
        due_tick: tick.next(),
        added_ticks: 0,
        statement: None,
    };
    let id = EntryId { ms: 1_800_000_000_000 + n, n: 0 };
    Entry { id, seq: n + 1, version: FORMAT, record: Record::Queue(record) }
}

fn scheduler(answers: watch::Receiver<bool>) -> (Addr<Scheduler>, Arc<Mutex<Vec<ControlRequest>>>) {
    let guarding = Guarding { policy: RestartPolicy::default(), gave_up: mpsc::channel(1).0 };
    let asked = Arc::default();
    let own = Arc::clone(&asked);
    let mut health = Vec::new();
    let server = start(&mut health, &guarding, ActorName::Queue, move |_| Server { asked: own, answers });
    let settings = Settings {
        client: "a test".to_owned(),
        epoch: LeaseEpoch::sole(1),
        policy: PolicyName::Evenkeel,
        lengths: Lengths::default(),
        limits: HoldSettings::default(),
        delay_budget: None,
    };
    let control = server.recipient().into();
    let scheduler = start(&mut health, &guarding, ActorName::Scheduler, move |own| {
        let acceptance = watch::Sender::new(Acceptance::default());
        Scheduler::new(settings, control, own, watch::Sender::new(None), acceptance)
    });
    (scheduler, asked)
}

#[test]
fn the_last_request_has_slots_for_everything_and_comes_after_the_one_on_its_way() {
    System::new().block_on(async {
        let (answer, answers) = watch::channel(false);
        let (scheduler, asked) = scheduler(answers);
        scheduler.send(RestoreScheduler(None)).await.unwrap().unwrap();
        let entries = Arc::new((0..WAITING).map(arrived).collect());
        let batch = Batch { entries, observed: None, lengths: None, caught_up: Some(Tick(3)) };
        scheduler.send(Learned { batch, estimates: Arc::default() }).await.unwrap().unwrap();
        let last = actix::spawn(scheduler.send(HandOver));
        // Whatever is sent after it is answered after it has been taken.
        tokio::task::yield_now().await;
        scheduler.send(GetScheduler).await.unwrap().unwrap();
        assert_eq!(asked.lock().unwrap().len(), 1, "the request on its way would take the lease again");
        answer.send_replace(true);
        last.await.unwrap().unwrap();
        let asked = asked.lock().unwrap();
        assert_eq!(asked.iter().map(|request| request.handover).collect::<Vec<_>>(), [false, true]);
        assert_eq!(asked[1].set.len(), WAITING as usize);
        assert!(asked[1].set.iter().all(|slot| slot.due_tick > Tick(3)));
    });
}

#[test]
fn one_that_has_decided_nothing_leaves_nothing() {
    System::new().block_on(async {
        let (scheduler, asked) = scheduler(watch::Sender::new(true).subscribe());
        scheduler.send(HandOver).await.unwrap();
        scheduler.send(RestoreScheduler(None)).await.unwrap().unwrap();
        scheduler.send(HandOver).await.unwrap();
        assert!(asked.lock().unwrap().is_empty());
    });
}

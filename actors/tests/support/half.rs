//! The server's half over a real outbox, with a database and clients of the test.

use std::{path::Path, sync::Arc, time::Duration};

use actix::{ActorContext, Addr, Handler, Message};
use evenkeel_actors::{
    clock::{Clock, unix_ms},
    ports::{
        database::{Measured, Workload},
        ledger::Published,
    },
    server::{
        daemon::{self, Daemon, Pace},
        journal::Journal,
        monitor::Monitor,
        observer::Observer,
        queue::{Queue, QueueView},
    },
    stores::outbox::{Identity, Limits, Outbox, OutboxHandle, OutboxReader, OutboxWriter},
    supervise::{
        guard::{Guarding, RestartPolicy},
        health::ActorName,
    },
};
use evenkeel_core::{server::queue::HoldLimits, units::lengths::Lengths};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::support::start;

/// Short, so that tests are.
pub(crate) const TICK_MS: u64 = 5;
const LENGTHS: Lengths = Lengths { tick_ms: TICK_MS, window_ticks: 10, default_delay_ticks: 1 };
/// Longest that a test waits for something to become true; nothing is measured with it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The message that nobody survives.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Poison;

macro_rules! poisoned {
    ($($actor:ty),*) => {$(
        impl Handler<Poison> for $actor {
            type Result = ();

            fn handle(&mut self, _: Poison, context: &mut Self::Context) {
                context.stop();
            }
        }
    )*};
}

poisoned!(Queue, Daemon, Monitor, Journal);

/// The server's half in one life.
pub(crate) struct Half {
    pub(crate) queue: Addr<Queue>,
    pub(crate) daemon: Addr<Daemon>,
    pub(crate) monitor: Addr<Monitor>,
    pub(crate) journal: Addr<Journal>,
    pub(crate) outbox: OutboxHandle,
    pub(crate) view: watch::Receiver<QueueView>,
    pub(crate) pace: watch::Receiver<Pace>,
}

impl Half {
    /// Starts the actors; `published` stands in place of what the ledger says.
    pub(crate) fn start(
        dir: &Path,
        database: Box<dyn Measured>,
        workload: Box<dyn Workload>,
        published: Option<watch::Receiver<Published>>,
    ) -> Self {
        let identity = Identity { label: "a test".to_owned(), lengths: LENGTHS, ..Identity::default() };
        let (outbox, _) = Outbox::open(dir, &identity, Uuid::new_v4(), unix_ms(), Limits::default()).unwrap();
        let outbox = OutboxWriter::spawn(outbox).unwrap();
        let policy = RestartPolicy {
            backoff_first: Duration::from_millis(1),
            restarts_max: 1_000,
            ..RestartPolicy::default()
        };
        let guarding = Guarding { policy, gave_up: mpsc::channel(4).0 };
        let mut health = Vec::new();
        let (queue_sender, view) = watch::channel(None);
        let (pace_sender, pace) = watch::channel(Pace::default());
        let (seen, of) = (view.clone(), OutboxReader::opener(dir));
        let observer = start(&mut health, &guarding, ActorName::Observer, move |own| {
            Observer::new(LENGTHS, of, None, seen, own, watch::channel(Arc::default()).0)
        });
        let (handle, recorded) = (Arc::new(outbox.clone()), observer.recipient().into());
        let journal =
            start(&mut health, &guarding, ActorName::Journal, |own| Journal::new(handle, recorded, own));
        let append = journal.clone().recipient().into();
        let queue = start(&mut health, &guarding, ActorName::Queue, move |own| {
            Queue::new(append, own, queue_sender, Clock::default(), LENGTHS, HoldLimits::default())
        });
        let monitor = start(&mut health, &guarding, ActorName::Monitor, |own| {
            Monitor::new(LENGTHS, own, watch::channel(None).0, Clock::default())
        });
        let ports = daemon::Ports {
            monitor: monitor.clone().recipient().into(),
            queue: queue.clone().recipient().into(),
            ended: queue.clone().recipient().into(),
            journal: journal.clone().recipient().into(),
            restore: vec![monitor.clone().recipient().into(), queue.clone().recipient().into()],
        };
        let state = published.unwrap_or_else(|| outbox.published());
        let daemon = start(&mut health, &guarding, ActorName::Daemon, move |own| {
            Daemon::new(ports, database, workload, state, own, pace_sender, Clock::default(), TICK_MS)
        });
        Half { queue, daemon, monitor, journal, outbox, view, pace }
    }

    pub(crate) fn tick(&self) -> u64 {
        self.pace.borrow().last.map_or(0, |last| last.tick.0)
    }

    /// Waits until so many more ticks have run.
    pub(crate) async fn goes_on(&self, ticks: u64) {
        let from = self.tick();
        let far = async {
            while self.tick() < from + ticks {
                tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
            }
        };
        tokio::time::timeout(PATIENCE, far)
            .await
            .unwrap_or_else(|_| panic!("it stands still after tick {from}"));
    }
}

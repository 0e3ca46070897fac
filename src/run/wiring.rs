//! Who talks to whom in one process.

use std::{net::SocketAddr, time::Duration};

use actix::{Addr, Arbiter};
use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use evenkeel_actors::{
    clock::unix_ms,
    consumer::{self, Consumer},
    daemon::{self, Daemon, Pace},
    database::{Simulated, SimulatedWorkload},
    estimator::Estimator,
    guard::{self, GaveUp, Guarding, RestartPolicy},
    health::{ActorHealth, ActorName},
    journal::{
        Journal,
        outbox::{Outbox, OutboxHandle, OutboxWriter},
        snapshot::SnapshotStore,
        source::OutboxSource,
    },
    messages::{SaveState, SetMode, StopTicking},
    monitor::Monitor,
    queue::Queue,
    scheduler::{self, LastDecision, Scheduler},
};
use evenkeel_core::{control::Mode, scheduler::PolicyName};
use tokio::sync::{mpsc, watch};

use super::Settings;
use crate::http::{self, Views};

/// Messages that wait for an actor of the server's half: HTTP requests of 250 clients, and a tick.
const SERVER_MAILBOX: usize = 256;
/// Messages that wait for an actor of the client's half, which are answered one by one.
const CLIENT_MAILBOX: usize = 16;

/// Both halves, running.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) views: Views,
    pub(super) decision: watch::Receiver<LastDecision>,
    pub(super) gave_up: mpsc::Receiver<GaveUp>,
    http: ServerHandle,
    draining: watch::Sender<bool>,
    queue: Addr<Queue>,
    daemon: Addr<Daemon>,
    consumer: Addr<Consumer>,
    writer: OutboxHandle,
    arbiters: Vec<Arbiter>,
}

/// Starts actors one after the other, and keeps what tells how they are.
struct Starter {
    guarding: Guarding,
    actors: Vec<ActorHealth>,
}

impl Starter {
    fn start<A>(
        &mut self,
        name: ActorName,
        arbiter: &Arbiter,
        mailbox: usize,
        make: impl FnOnce(ActorHealth) -> A + Send + 'static,
    ) -> Addr<A>
    where
        A: actix::Actor<Context = actix::Context<A>> + actix::Supervised,
    {
        let health = ActorHealth::new(name);
        self.actors.push(health.clone());
        let own = health.clone();
        guard::start(&arbiter.handle(), mailbox, health, self.guarding.clone(), move |_context| make(own))
    }
}

impl Running {
    pub(super) fn start(settings: &Settings, outbox: Outbox) -> anyhow::Result<Self> {
        let world = settings.scenario.world(settings.seed)?;
        let database = Simulated::new(world.clone(), settings.truth.as_deref()).with_context(|| {
            let path = settings.truth.as_deref().unwrap_or(&settings.data_dir);
            format!("{} cannot be used for --truth", path.display())
        })?;
        let snapshots = SnapshotStore::open(&settings.data_dir)?;
        let writer = OutboxWriter::spawn(outbox)?;
        let epoch = writer.meta().writer_epoch;
        let (queue_view, queue_reader) = watch::channel(None);
        let (window_view, window_reader) = watch::channel(None);
        let (pace_view, pace_reader) = watch::channel(Pace::default());
        let (decision_view, decision) = watch::channel(None);
        let (draining, draining_reader) = watch::channel(false);
        let (_, degraded) = watch::channel(Vec::new());
        let (gave_up_sender, gave_up) = mpsc::channel(ActorName::SERVER.len() + ActorName::CLIENT.len());
        let guarding = Guarding { policy: RestartPolicy::default(), gave_up: gave_up_sender };
        let mut starter = Starter { guarding, actors: Vec::new() };
        let arbiters = vec![Arbiter::new(), Arbiter::new(), Arbiter::new()];
        let [server, ticker, client] = [&arbiters[0], &arbiters[1], &arbiters[2]];
        let tick_ms = settings.scenario.parameters.tick_ms;
        let limits = settings.limits.clone();

        let handle = writer.clone();
        let journal = starter
            .start(ActorName::Journal, server, SERVER_MAILBOX, move |health| Journal::new(handle, health));
        let append = journal.clone().recipient();
        let queue = starter.start(ActorName::Queue, server, SERVER_MAILBOX, move |health| {
            Queue::new(append, health, queue_view, unix_ms, tick_ms, limits)
        });
        let monitor = starter.start(ActorName::Monitor, server, SERVER_MAILBOX, move |health| {
            Monitor::new(health, window_view, unix_ms)
        });
        let ports = daemon::Ports {
            monitor: monitor.clone().recipient(),
            queue: queue.clone().recipient(),
            journal: journal.clone().recipient(),
            restore: vec![monitor.recipient(), queue.clone().recipient()],
        };
        let daemon = starter.start(ActorName::Daemon, ticker, SERVER_MAILBOX, move |health| {
            let workload = Box::new(SimulatedWorkload(world));
            Daemon::new(ports, Box::new(database), workload, health, pace_view, unix_ms, tick_ms)
        });

        let scheduling = scheduler::Settings {
            client: "embedded".to_owned(),
            epoch,
            policy: PolicyName::Evenkeel,
            limits: settings.limits.clone(),
            delay_budget: settings.delay_budget,
        };
        let control = queue.clone().recipient();
        let scheduler = starter.start(ActorName::Scheduler, client, CLIENT_MAILBOX, move |health| {
            Scheduler::new(scheduling, control, health, decision_view)
        });
        let learned = scheduler.clone().recipient();
        let estimator = starter.start(ActorName::Estimator, client, CLIENT_MAILBOX, move |health| {
            Estimator::new(learned, health)
        });
        let ports = consumer::Ports {
            estimator: estimator.clone().recipient(),
            estimator_state: estimator.clone().recipient(),
            restore_estimator: estimator.recipient(),
            scheduler_state: scheduler.clone().recipient(),
            restore_scheduler: scheduler.recipient(),
            journal: journal.recipient(),
        };
        let source = OutboxSource::new(&settings.data_dir, writer.published());
        let consumer = starter.start(ActorName::Consumer, client, CLIENT_MAILBOX, move |health| {
            Consumer::new(ports, Box::new(source), snapshots, health)
        });

        let views = Views {
            queue: queue_reader,
            window: window_reader,
            pace: pace_reader,
            actors: starter.actors,
            draining: draining_reader,
            degraded,
            started_ms: unix_ms(),
            delay: queue.clone().recipient(),
            control: queue.clone().recipient(),
        };
        let (server, address) = http::server(&settings.listen, views.clone())
            .with_context(|| format!("cannot listen on {}; choose another --listen", settings.listen))?;
        let http = server.handle();
        actix::spawn(server);
        Ok(Self {
            address,
            views,
            decision,
            gave_up,
            http,
            draining,
            queue,
            daemon,
            consumer,
            writer,
            arbiters,
        })
    }

    /// Sets the mode as soon as the queue has been restored.
    pub(super) async fn set_mode(&self, mode: Mode) {
        while !matches!(self.queue.send(SetMode(mode)).await, Ok(Ok(()))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends in order: no further tick, the client's state, the outbox.
    pub(super) async fn end(self) {
        self.draining.send_replace(true);
        // An actor that is away cannot be asked; what is durable is found at the next start.
        let _ = self.daemon.send(StopTicking).await;
        let _ = self.consumer.send(SaveState).await;
        self.http.stop(true).await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.writer.shutdown().await;
    }
}

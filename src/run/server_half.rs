//! The server's half: the queue, its ticks, its journal, and who may ask it.

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use anyhow::Context as _;
use evenkeel_actors::{
    clock::unix_ms,
    databases::simulated::{Simulated, SimulatedWorkload},
    messages::{SetMode, StopTicking},
    ports::{history::OpenHistory, ledger::Ledger},
    server::{
        daemon::{self, Daemon, Pace},
        journal::Journal,
        monitor::{LastWindow, Monitor},
        observer::{Observer, Overview},
        queue::{Queue, QueueView},
        shipper::{Shipper, Shipping},
    },
    stores::{
        outbox::{
            Identity, Limits, OpenError, Opening, Outbox, OutboxHandle, OutboxReader, OutboxWriter, Purpose,
        },
        redis::{Shipment, ShipmentSettings, Target},
    },
    supervise::health::{ActorHealth, ActorName},
};
use evenkeel_core::{
    journal::{Lengths, Mode, Recovered, Stream},
    server::queue::HoldLimits,
    world::Parameters,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    limits,
    settings::{Common, Serving},
    starter::{Started, Starter},
};
use crate::{
    exit::{Exit, ExitError},
    http::{About, Access, ClientTold, Degraded, Form, RedisView, Views},
};

/// Messages that wait for an actor: HTTP requests of 250 clients, and a tick.
const MAILBOX: usize = 256;
/// Longest that the end waits until Redis has everything.
const SHIP_MAX: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct ServerHalf {
    pub(super) queue: Started<Queue>,
    pub(super) journal: Started<Journal>,
    pub(super) observer: Started<Observer>,
    overview: watch::Receiver<Arc<Overview>>,
    history: OpenHistory,
    /// Executions in the journal that no tick of this process has run.
    executed_before: u64,
    queue_view: watch::Receiver<QueueView>,
    window: watch::Receiver<LastWindow>,
    pace: watch::Receiver<Pace>,
    pub(super) writer: OutboxHandle,
    pub(super) shipping: Option<watch::Receiver<Shipping>>,
    daemon: Started<Daemon>,
    arbiters: Vec<Arbiter>,
}

/// Where the HTTP handlers hear of what the program itself finds out.
pub(super) struct News {
    pub(super) draining: watch::Receiver<bool>,
    pub(super) degraded: watch::Receiver<Degraded>,
    pub(super) told: watch::Receiver<Option<ClientTold>>,
    /// Where the journal is handed out through Redis.
    pub(super) redis: Option<watch::Receiver<RedisView>>,
}

/// Where the program tells it.
pub(super) struct Tellers {
    pub(super) draining: watch::Sender<bool>,
    pub(super) degraded: watch::Sender<Degraded>,
    pub(super) told: watch::Sender<Option<ClientTold>>,
    pub(super) redis: watch::Sender<RedisView>,
}

impl Tellers {
    /// Nothing has been told yet.
    pub(super) fn new(with_redis: bool) -> (Self, News) {
        let (draining, draining_reader) = watch::channel(false);
        let (degraded, degraded_reader) = watch::channel(Vec::new());
        let (told, told_reader) = watch::channel(None);
        let (redis, redis_reader) = watch::channel(RedisView::default());
        let news = News {
            draining: draining_reader,
            degraded: degraded_reader,
            told: told_reader,
            redis: with_redis.then_some(redis_reader),
        };
        (Self { draining, degraded, told, redis }, news)
    }
}

/// What a data directory of this database belongs to.
fn identity(serving: &Serving) -> Identity {
    let Parameters { tick_ms, .. } = serving.scenario.parameters;
    let text = |parameters: &Parameters| {
        let Lengths { window_ticks, default_delay_ticks, .. } = Lengths::at_pace(tick_ms);
        let parameters = toml::to_string(parameters).unwrap_or_default();
        format!("window_ticks = {window_ticks}\ndefault_delay_ticks = {default_delay_ticks}\n{parameters}")
    };
    Identity {
        label: format!("scenario {} seed {}", serving.scenario.label, serving.seed),
        text: format!("seed = {}\n{}", serving.seed, text(&serving.scenario.parameters)),
        lengths: Lengths::at_pace(tick_ms),
        defaults: text(&Parameters::default()),
    }
}

/// The outbox of this database, and what was found in it.
pub(super) fn open(serving: &Serving, name: &str, limits: Limits) -> Result<(Outbox, Recovered), ExitError> {
    let identity = identity(serving);
    let opening = Opening {
        dir: &serving.data_dir,
        identity: &identity,
        name: Some(name),
        journal: Uuid::new_v4(),
        now_ms: unix_ms(),
        limits: Limits { tick_ms: serving.scenario.parameters.tick_ms, ..limits },
        purpose: Purpose::Serve,
        clock_was_wrong: serving.clock_was_wrong,
    };
    Outbox::open_as(&opening).map_err(|error| {
        let exit = match error {
            OpenError::OtherIdentity { .. } | OpenError::OtherName { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        let grown = matches!(error, OpenError::Io { .. }).then(limits::file_size).flatten();
        let message = grown.map_or_else(|| error.to_string(), |grown| format!("{error} ({grown})"));
        ExitError { exit, message }
    })
}

impl ServerHalf {
    /// Starts the actors; with `shipment` also the one that brings entries to Redis.
    pub(super) fn start(
        serving: &Serving,
        limits: HoldLimits,
        (outbox, recovered): (Outbox, &Recovered),
        shipment: Option<ShipmentSettings>,
        starter: &mut Starter,
    ) -> anyhow::Result<Self> {
        let world = serving.scenario.world(serving.seed)?;
        let database = Simulated::new(world.clone(), serving.truth.as_deref()).with_context(|| {
            let path = serving.truth.as_deref().unwrap_or(&serving.data_dir);
            format!("{} cannot be used for --truth", path.display())
        })?;
        let writer = OutboxWriter::spawn(outbox)?;
        // The last batch is started again first.
        let executed_before =
            writer.published().borrow().last_seq[Stream::Executions] - recovered.last_batch.len() as u64;
        let (queue_sender, queue_view) = watch::channel(None);
        let (window_sender, window) = watch::channel(None);
        let (pace_sender, pace) = watch::channel(Pace::default());
        // The ticker has an arbiter of its own: a mailbox is drained before timers are polled.
        // The observer has one, too: what people ask for delays no tick.
        let arbiters = vec![Arbiter::try_new()?, Arbiter::try_new()?, Arbiter::try_new()?];
        let [server, ticker, for_people] = [&arbiters[0], &arbiters[1], &arbiters[2]];
        let tick_ms = serving.scenario.parameters.tick_ms;

        let (overview_sender, overview) = watch::channel(Arc::default());
        let history = OutboxReader::opener(&serving.data_dir);
        let (of, seen) = (Arc::clone(&history), queue_view.clone());
        let observer = starter.start(ActorName::Observer, for_people, MAILBOX, move |health| {
            Observer::new(of, seen, health, overview_sender)
        });
        let (ledger, recorded): (Arc<dyn Ledger>, _) = (Arc::new(writer.clone()), observer.port());
        let handle = Arc::clone(&ledger);
        let journal = starter
            .start(ActorName::Journal, server, MAILBOX, move |health| Journal::new(handle, recorded, health));
        let append = journal.port();
        let queue = starter.start(ActorName::Queue, server, MAILBOX, move |health| {
            Queue::new(append, health, queue_sender, unix_ms, tick_ms, limits)
        });
        let monitor = starter.start(ActorName::Monitor, server, MAILBOX, move |health| {
            Monitor::new(health, window_sender, unix_ms)
        });
        let ports = daemon::Ports {
            monitor: monitor.port(),
            queue: queue.port(),
            journal: journal.port(),
            restore: vec![monitor.port(), queue.port()],
        };
        let outbox_state = writer.published();
        let daemon = starter.start(ActorName::Daemon, ticker, MAILBOX, move |health| {
            let workload = Box::new(SimulatedWorkload(world));
            let database = Box::new(database);
            Daemon::new(ports, database, workload, outbox_state, health, pace_sender, unix_ms, tick_ms)
        });
        let shipping = shipment.map(|settings| {
            let (sender, shipping) = watch::channel(Shipping::default());
            let (sink, ledger) = (Shipment::opener(settings, &serving.data_dir), Arc::clone(&ledger));
            starter.start(ActorName::Shipper, server, MAILBOX, move |health| {
                Shipper::new(sink, ledger, health, sender)
            });
            shipping
        });
        Ok(Self {
            queue,
            journal,
            observer,
            overview,
            history,
            executed_before,
            queue_view,
            window,
            pace,
            writer,
            shipping,
            daemon,
            arbiters,
        })
    }

    /// What the HTTP handlers answer from.
    pub(super) fn views(
        &self,
        access: Arc<Access>,
        about: About,
        actors: Vec<ActorHealth>,
        news: News,
    ) -> Views {
        let News { draining, degraded, told, redis } = news;
        Views {
            access,
            about: Arc::new(about),
            history: Arc::clone(&self.history),
            overview: self.overview.clone(),
            outbox: self.writer.published(),
            shipping: self.shipping.clone(),
            told,
            redis,
            queue: self.queue_view.clone(),
            window: self.window.clone(),
            pace: self.pace.clone(),
            actors,
            draining,
            degraded,
            delay: self.queue.port(),
            control: self.queue.port(),
            set_mode: self.queue.port(),
            steps: self.observer.port(),
        }
    }

    /// What the process is, for people.
    pub(super) fn about(&self, common: &Common, serving: &Serving, redis: Option<&Target>) -> About {
        About {
            name: common.name.clone(),
            form: if redis.is_some() { Form::Server } else { Form::Embedded },
            database: format!("scenario {} seed {}", serving.scenario.label, serving.seed),
            tick_ms: serving.scenario.parameters.tick_ms,
            started_ms: unix_ms(),
            data_dir: serving.data_dir.clone(),
            journal: self.writer.meta().journal,
            writer_epoch: self.writer.meta().writer_epoch,
            keys: common.keys.clone(),
            redis: redis.map(ToString::to_string),
            executed_before: self.executed_before,
        }
    }

    /// Sets the mode as soon as the queue has been restored.
    pub(super) async fn set_mode(&self, mode: Mode) {
        while !matches!(self.queue.send(SetMode(mode)).await, Ok(Ok(()))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins no further tick. What is under way is durable afterwards.
    pub(super) async fn stop_ticking(&self) {
        // A daemon that is away cannot be asked; what is durable is found at the next start.
        let _ = self.daemon.send(StopTicking).await;
    }

    /// Ships what Redis takes, and closes the outbox.
    pub(super) async fn end(mut self) {
        if let Some(shipping) = &mut self.shipping {
            let last_seq = self.writer.published().borrow().last_seq;
            let shipped = shipping.wait_for(|shipping| shipping.lag(&last_seq) == 0 || !shipping.connected);
            match tokio::time::timeout(SHIP_MAX, shipped).await {
                Ok(Ok(shipping)) if shipping.lag(&last_seq) == 0 => {}
                _ => tracing::warn!("Redis has not got everything: the rest is shipped after the next start"),
            }
        }
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        self.writer.shutdown().await;
    }
}

//! The server's half: the queue, its ticks, its journal, and who may ask it.

use std::{path::PathBuf, time::Duration};

use actix::{Addr, Arbiter};
use anyhow::Context as _;
use evenkeel_actors::{
    clock::unix_ms,
    daemon::{self, Daemon, Pace},
    database::{Simulated, SimulatedWorkload},
    health::{ActorHealth, ActorName},
    journal::{
        Journal,
        outbox::{Identity, Limits, OpenError, Outbox, OutboxHandle, OutboxWriter, Published},
        redis::ShipmentSettings,
    },
    messages::{SetMode, StopTicking},
    monitor::{LastWindow, Monitor},
    queue::{Queue, QueueView},
    shipper::{Shipper, Shipping},
};
use evenkeel_core::{
    control::Mode,
    journal::{Recovered, Stream},
    queue::HoldLimits,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{settings::Serving, starter::Starter};
use crate::{
    exit::{Exit, ExitError},
    http::{Degraded, Views},
};

/// Messages that wait for an actor: HTTP requests of 250 clients, and a tick.
const MAILBOX: usize = 256;
/// A clock that is corrected by less is no news.
const CLOCK_BEHIND_MAX_MS: u64 = 1_000;
/// Longest that the end waits until Redis has everything.
const SHIP_MAX: Duration = Duration::from_secs(4);

/// See the module.
pub(super) struct ServerHalf {
    pub(super) queue: Addr<Queue>,
    pub(super) journal: Addr<Journal>,
    queue_view: watch::Receiver<QueueView>,
    window: watch::Receiver<LastWindow>,
    pace: watch::Receiver<Pace>,
    pub(super) writer: OutboxHandle,
    pub(super) shipping: Option<watch::Receiver<Shipping>>,
    daemon: Addr<Daemon>,
    arbiters: Vec<Arbiter>,
}

/// The outbox of this database, and what was found in it.
pub(super) fn open(serving: &Serving, limits: Limits) -> Result<(Outbox, Recovered), ExitError> {
    let label = format!("scenario {} seed {}", serving.scenario.label, serving.seed);
    let parameters = toml::to_string(&serving.scenario.parameters).unwrap_or_default();
    let identity = Identity { label, text: format!("seed = {}\n{parameters}", serving.seed) };
    Outbox::open(&serving.data_dir, &identity, Uuid::new_v4(), unix_ms(), limits).map_err(|error| {
        let exit = match error {
            OpenError::OtherIdentity { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        ExitError { exit, message: error.to_string() }
    })
}

impl ServerHalf {
    /// Starts the actors; with `shipment` also the one that brings entries to Redis.
    pub(super) fn start(
        serving: &Serving,
        limits: HoldLimits,
        outbox: Outbox,
        shipment: Option<ShipmentSettings>,
        starter: &mut Starter,
    ) -> anyhow::Result<Self> {
        let world = serving.scenario.world(serving.seed)?;
        let database = Simulated::new(world.clone(), serving.truth.as_deref()).with_context(|| {
            let path = serving.truth.as_deref().unwrap_or(&serving.data_dir);
            format!("{} cannot be used for --truth", path.display())
        })?;
        let writer = OutboxWriter::spawn(outbox)?;
        let (queue_sender, queue_view) = watch::channel(None);
        let (window_sender, window) = watch::channel(None);
        let (pace_sender, pace) = watch::channel(Pace::default());
        // The ticker has an arbiter of its own: a mailbox is drained before timers are polled.
        let arbiters = vec![Arbiter::new(), Arbiter::new()];
        let [server, ticker] = [&arbiters[0], &arbiters[1]];
        let tick_ms = serving.scenario.parameters.tick_ms;

        let handle = writer.clone();
        let journal =
            starter.start(ActorName::Journal, server, MAILBOX, move |health| Journal::new(handle, health));
        let append = journal.clone().recipient();
        let queue = starter.start(ActorName::Queue, server, MAILBOX, move |health| {
            Queue::new(append, health, queue_sender, unix_ms, tick_ms, limits)
        });
        let monitor = starter.start(ActorName::Monitor, server, MAILBOX, move |health| {
            Monitor::new(health, window_sender, unix_ms)
        });
        let ports = daemon::Ports {
            monitor: monitor.clone().recipient(),
            queue: queue.clone().recipient(),
            journal: journal.clone().recipient(),
            restore: vec![monitor.recipient(), queue.clone().recipient()],
        };
        let outbox_state = writer.published();
        let daemon = starter.start(ActorName::Daemon, ticker, MAILBOX, move |health| {
            let workload = Box::new(SimulatedWorkload(world));
            let database = Box::new(database);
            Daemon::new(ports, database, workload, outbox_state, health, pace_sender, unix_ms, tick_ms)
        });
        let shipping = shipment.map(|settings| {
            let (sender, shipping) = watch::channel(Shipping::default());
            let (dir, handle): (PathBuf, _) = (serving.data_dir.clone(), writer.clone());
            starter.start(ActorName::Shipper, server, MAILBOX, move |health| {
                Shipper::new(settings, dir, handle, health, sender)
            });
            shipping
        });
        Ok(Self { queue, journal, queue_view, window, pace, writer, shipping, daemon, arbiters })
    }

    /// What the HTTP handlers answer from.
    pub(super) fn views(
        &self,
        actors: Vec<ActorHealth>,
        draining: watch::Receiver<bool>,
        degraded: watch::Receiver<Degraded>,
        started_ms: u64,
    ) -> Views {
        Views {
            queue: self.queue_view.clone(),
            window: self.window.clone(),
            pace: self.pace.clone(),
            actors,
            draining,
            degraded,
            started_ms,
            delay: self.queue.clone().recipient(),
            control: self.queue.clone().recipient(),
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

/// What a person should know of the machine's clock: entry ids never go back with it.
pub(super) fn clock_warning(outbox: &Published) -> Option<String> {
    let last_ms = Stream::ALL.iter().map(|&stream| outbox.last[stream].ms).max().unwrap_or(0);
    let behind_ms = last_ms.saturating_sub(unix_ms());
    (behind_ms > CLOCK_BEHIND_MAX_MS).then(|| {
        let seconds = behind_ms / 1_000;
        format!("the clock is {seconds} s behind the last entry: ids go on from there until it has caught up")
    })
}

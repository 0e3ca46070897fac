//! The server's half: the queue, its ticks, its journal, and who may ask it.

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use evenkeel_actors::{
    clock::{Clock, unix_ms},
    messages::{SaveMinutes, SetMode, StopTicking},
    ports::{ledger::Ledger, minutes::Kept, sink::OpenSink},
    server::{
        daemon::{self, Daemon, FastForward, Pace},
        journal::Journal,
        monitor::Monitor,
        observer::Observer,
        queue::Queue,
        shipper::{Shipper, Shipping},
    },
    stores::{
        file::minutes::MinutesFile,
        outbox::{
            Limits, Meta, OpenError, Opening, Outbox, OutboxHandle, OutboxReader, OutboxWriter, Purpose,
        },
        redis::{Shipment, ShipmentSettings},
    },
    supervise::{health::ActorName, port::Port},
};
use evenkeel_core::{
    journal::{Mode, Recovered, Stream},
    units::tick::Tick,
};
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    degraded::Gatherer,
    limits, over,
    process::{End, Process, Work},
    settings::{Common, Serving},
    starter::{Started, Starter},
};
use crate::{
    exit::{Exit, ExitError},
    http::{About, ClientTold, Degraded, Form, RedisView, ServerSlice, Slice, Views},
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
    pub(super) writer: OutboxHandle,
    /// What the HTTP handlers answer from.
    pub(super) views: Views,
    daemon: Started<Daemon>,
    arbiters: Vec<Arbiter>,
    until_tick: Option<u64>,
    gatherer: Gatherer,
    draining: watch::Sender<bool>,
    degraded: watch::Sender<Degraded>,
}

/// Who tells the HTTP handlers what the client told.
pub(super) struct Tellers {
    pub(super) told: watch::Sender<Option<ClientTold>>,
    /// What Redis shows of the copy that is handed out there.
    pub(super) redis: watch::Sender<RedisView>,
}

/// The outbox of this database, and what was found in it.
pub(super) fn open(serving: &Serving, name: &str, limits: Limits) -> Result<(Outbox, Recovered), ExitError> {
    let identity = serving.backend.identity();
    let opening = Opening {
        dir: &serving.data_dir,
        identity: &identity,
        name: Some(name),
        journal: Uuid::new_v4(),
        now_ms: unix_ms(),
        limits: Limits { tick_ms: serving.backend.lengths().tick_ms, ..limits },
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
        common: &Common,
        serving: &Serving,
        (outbox, recovered): (Outbox, &Recovered),
        shipment: Option<ShipmentSettings>,
        process: &mut Process,
    ) -> anyhow::Result<(Self, Tellers)> {
        let starter = &mut process.starter;
        let limits = common.limits.of(serving.backend.lengths());
        let (database, workload) = serving.backend.open()?;
        let gatherer = Gatherer::new(outbox.clock_ahead_ms());
        let writer = OutboxWriter::spawn(outbox)?;
        // The last batch is started again first, unless nothing may be sent twice.
        let again = if database.is_uncertain() { 0 } else { recovered.last_batch.len() as u64 };
        let executed_before = writer.published().borrow().last_seq[Stream::Executions] - again;
        let (queue_sender, queue_view) = watch::channel(None);
        let (window_sender, window) = watch::channel(None);
        let (pace_sender, pace) = watch::channel(Pace::default());
        // The ticker has an arbiter of its own: a mailbox is drained before timers are polled.
        // The observer has one, too: what people ask for delays no tick.
        let arbiters = vec![Arbiter::try_new()?, Arbiter::try_new()?, Arbiter::try_new()?];
        let [server, ticker, for_people] = [&arbiters[0], &arbiters[1], &arbiters[2]];
        let lengths = serving.backend.lengths();

        let (overview_sender, overview) = watch::channel(Arc::default());
        let history = OutboxReader::opener(&serving.data_dir);
        let (of, seen) = (Arc::clone(&history), queue_view.clone());
        let kept: Kept = Arc::new(MinutesFile::new(&serving.data_dir, writer.meta().journal));
        let observer = starter.start(ActorName::Observer, for_people, MAILBOX, move |health| {
            Observer::new(lengths, of, Some(kept), seen, health, overview_sender)
        });
        let (ledger, recorded): (Arc<dyn Ledger>, _) = (Arc::new(writer.clone()), observer.port());
        let handle = Arc::clone(&ledger);
        let journal = starter
            .start(ActorName::Journal, server, MAILBOX, move |health| Journal::new(handle, recorded, health));
        let append = journal.port();
        let clock = Clock::default();
        let [of_queue, of_monitor, of_views] = [(); 3].map(|()| clock.clone());
        let (planned_sender, planned) = watch::channel(None);
        let until = ahead_until(serving, recovered);
        let fast_forward = FastForward { until, planned, clock: clock.clone() };
        let queue = starter.start(ActorName::Queue, server, MAILBOX, move |health| {
            Queue::new(append, health, queue_sender, of_queue, lengths, limits).telling(planned_sender)
        });
        let monitor = starter.start(ActorName::Monitor, server, MAILBOX, move |health| {
            Monitor::new(lengths, health, window_sender, of_monitor)
        });
        let ports = daemon::Ports {
            monitor: monitor.port(),
            queue: queue.port(),
            ended: queue.port(),
            journal: journal.port(),
            restore: vec![monitor.port(), queue.port()],
        };
        let outbox_state = writer.published();
        let daemon = starter.start(ActorName::Daemon, ticker, MAILBOX, move |health| {
            Daemon::new(ports, database, workload, outbox_state, health, pace_sender, clock, lengths.tick_ms)
                .fast_forward(fast_forward)
        });
        let redis_target = shipment.as_ref().map(|settings| settings.target.to_string());
        let shipping = shipment.map(|settings| {
            let sink = Shipment::opener(settings, &serving.data_dir);
            start_shipper(sink, ledger, server, starter)
        });
        let (draining, draining_reader) = watch::channel(false);
        let (degraded, degraded_reader) = watch::channel(Vec::new());
        let (told, told_reader) = watch::channel(None);
        let (redis, redis_reader) = watch::channel(RedisView::default());
        let views = Views {
            access: Arc::clone(&process.access),
            about: Arc::new(about(common, serving, writer.meta(), redis_target, executed_before, until)),
            history,
            overview,
            outbox: writer.published(),
            redis: shipping.is_some().then_some(redis_reader),
            shipping,
            told: told_reader,
            queue: queue_view,
            window,
            pace,
            clock: of_views,
            actors: starter.actors.clone(),
            draining: draining_reader,
            degraded: degraded_reader,
            delay: queue.port(),
            control: queue.port(),
            set_mode: queue.port(),
            steps: observer.port(),
            minutes: observer.port(),
        };
        let first_mode = serving.backend.first_mode().filter(|_| recovered.revision == 0);
        if let Some(mode) = serving.mode.or(first_mode) {
            actix::spawn(set_mode(queue.port(), mode));
        }
        let until_tick = serving.until_tick;
        let half = Self {
            queue,
            journal,
            observer,
            writer,
            views,
            daemon,
            arbiters,
            until_tick,
            gatherer,
            draining,
            degraded,
        };
        Ok((half, Tellers { told, redis }))
    }
}

/// The first tick that runs in its own time: those of a new journal before it run ahead.
fn ahead_until(serving: &Serving, recovered: &Recovered) -> Tick {
    let new = recovered.state.next_tick == Tick(0);
    Tick(if new { serving.fast_forward_ticks } else { 0 })
}

/// What the process is, for people.
fn about(
    common: &Common,
    serving: &Serving,
    meta: &Meta,
    redis: Option<String>,
    executed_before: u64,
    ahead_until: Tick,
) -> About {
    About {
        name: common.name.clone(),
        form: if redis.is_some() { Form::Server } else { Form::Embedded },
        levels: redis.is_some() || serving.backend.is_levelled_here(),
        database: serving.backend.label(),
        lengths: serving.backend.lengths(),
        ahead_until,
        started_ms: unix_ms(),
        delay_objective_ticks: serving.delay_objective.whole_ticks(serving.backend.lengths().tick_ms),
        limits: common.limits.of(serving.backend.lengths()),
        data_dir: serving.data_dir.clone(),
        journal: meta.journal,
        writer_epoch: meta.writer_epoch,
        keys: common.keys.clone(),
        redis,
        executed_before,
    }
}

/// Starts the actor that brings entries to Redis.
fn start_shipper(
    sink: OpenSink,
    ledger: Arc<dyn Ledger>,
    arbiter: &Arbiter,
    starter: &mut Starter,
) -> watch::Receiver<Shipping> {
    let (sender, shipping) = watch::channel(Shipping::default());
    starter.start(ActorName::Shipper, arbiter, MAILBOX, move |health| {
        Shipper::new(sink, ledger, health, sender)
    });
    shipping
}

/// Sets the mode as soon as the queue has been restored.
async fn set_mode(queue: Port<SetMode>, mode: Mode) {
    while !matches!(queue.send(SetMode(mode)).await, Ok(Ok(()))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Work for ServerHalf {
    fn slices(&self) -> Vec<Arc<dyn Slice>> {
        vec![Arc::new(ServerSlice::new(self.views.clone()))]
    }

    fn each_second(&mut self) {
        let found = self.gatherer.server(&self.views);
        self.degraded.send_replace(found);
    }

    fn over(&self) -> LocalBoxFuture<'static, End> {
        Box::pin(over::server(&self.views, self.until_tick))
    }

    /// Begins no further tick. What is under way is durable afterwards.
    fn drain(&mut self) -> LocalBoxFuture<'_, ()> {
        self.draining.send_replace(true);
        Box::pin(async {
            // A daemon that is away cannot be asked; what is durable is found at the next start.
            let _ = self.daemon.send(StopTicking).await;
            let _ = self.observer.send(SaveMinutes).await;
        })
    }

    /// Ships what Redis takes, and closes the outbox.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(self.end())
    }
}

impl ServerHalf {
    async fn end(mut self: Box<Self>) {
        if let Some(shipping) = &mut self.views.shipping {
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

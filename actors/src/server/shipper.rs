//! Shipper: brings the outbox's entries to Redis, whenever Redis takes them.
//!
//! In: what the outbox publishes. Out: [`Shipping`], published for readiness and people; what has arrived is
//! marked in the outbox, so that retention may remove it there.
//!
//! Invariant: nothing waits for it but Redis' readers. Without Redis the lag grows, and that is all.

use std::{path::PathBuf, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};
use evenkeel_core::journal::{EntryId, PerStream, Positions, Stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    ports::sink::Shipped,
    stores::{
        outbox::{OutboxHandle, Trim},
        redis::{Shipment, ShipmentSettings, ShippingFault},
    },
    supervise::health::ActorHealth,
};

/// Wait before Redis is tried again, doubled with each failure up to the longest one.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Wait where somebody has to decide something first.
const RETRY_DECISION: Duration = Duration::from_secs(5);
/// How often both copies are trimmed, and what others did to Redis' copy is looked for.
const TRIM_EVERY: Duration = Duration::from_secs(5);
/// How long a loss is told as news; it stays in `meta`.
const TOLD_FOR: Duration = Duration::from_hours(1);
/// How often the outbox notes what has arrived: an fsync, and only retention depends on it.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// How far shipping is.
#[derive(Clone, Debug, Default)]
pub struct Shipping {
    /// Whether Redis took the last entries.
    pub connected: bool,
    /// Last sequence number of each stream in Redis.
    pub shipped_seq: PerStream<u64>,
    /// Last id of each stream in Redis.
    pub shipped: Positions,
    /// Why nothing is shipped, since when.
    pub trouble: Option<Trouble>,
    /// What has been lost from Redis' copy lately, in sentences, and since when that is known.
    pub lost: Vec<(String, Instant)>,
    /// What a person should look at, in sentences.
    pub warnings: Vec<String>,
}

/// Why nothing is shipped.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What is wrong.
    pub fault: ShippingFault,
    /// Since when.
    pub since: Instant,
}

impl Shipping {
    /// Entries that are durable here and have not arrived, given the outbox's last sequence numbers.
    pub fn lag(&self, last_seq: &PerStream<u64>) -> u64 {
        Stream::ALL.iter().map(|&stream| last_seq[stream].saturating_sub(self.shipped_seq[stream])).sum()
    }
}

/// See the module.
pub struct Shipper {
    settings: ShipmentSettings,
    dir: PathBuf,
    outbox: OutboxHandle,
    health: ActorHealth,
    published: watch::Sender<Shipping>,
}

impl Shipper {
    /// A shipper of the outbox in `dir`.
    pub fn new(
        settings: ShipmentSettings,
        dir: PathBuf,
        outbox: OutboxHandle,
        health: ActorHealth,
        published: watch::Sender<Shipping>,
    ) -> Self {
        Self { settings, dir, outbox, health, published }
    }
}

impl Actor for Shipper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.health.set_recovering(false);
        let route = Route {
            settings: self.settings.clone(),
            dir: self.dir.clone(),
            outbox: self.outbox.clone(),
            published: self.published.clone(),
            marked: Positions::default(),
            marked_at: Instant::now(),
            trimmed_at: Instant::now(),
        };
        // A panic while shipping ends the actor, and the guard starts it again.
        context.spawn(route.run().into_actor(self).map(|(), _actor, _context| {}));
    }
}

/// After a restart `started` is called again.
impl Supervised for Shipper {}

/// One way to Redis, from start to failure.
struct Route {
    settings: ShipmentSettings,
    dir: PathBuf,
    outbox: OutboxHandle,
    published: watch::Sender<Shipping>,
    marked: Positions,
    marked_at: Instant,
    trimmed_at: Instant,
}

/// Runs on a thread that may block; a panic there is a panic here.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(value) => value,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

impl Route {
    async fn run(mut self) {
        let mut news = self.outbox.published();
        let mut retry = RETRY_FIRST;
        let (settings, dir) = (self.settings.clone(), self.dir.clone());
        let mut shipment = loop {
            let (settings, dir) = (settings.clone(), dir.clone());
            match blocking(move || Shipment::new(settings, &dir)).await {
                Ok(shipment) => break shipment,
                Err(cause) => self.failed(cause.into(), &mut retry).await,
            }
        };
        loop {
            news.mark_unchanged();
            let (returned, shipped) = blocking(move || {
                let shipped = shipment.ship();
                (shipment, shipped)
            })
            .await;
            shipment = returned;
            self.tell(&mut shipment);
            match shipped {
                Ok(shipped) => {
                    retry = RETRY_FIRST;
                    self.arrived(&shipped);
                    self.mark(shipped.last).await;
                    if !shipped.more {
                        shipment = self.trim(shipment).await;
                        // Woken by a commit; now and then to mark and trim what is left.
                        if let Ok(Err(_writer_ended)) = timeout(MARK_EVERY, news.changed()).await {
                            return;
                        }
                    }
                }
                Err(fault) => self.failed(fault, &mut retry).await,
            }
        }
    }

    fn arrived(&self, shipped: &Shipped) {
        self.published.send_modify(|shipping| {
            if let Some(trouble) = shipping.trouble.take() {
                let seconds = trouble.since.elapsed().as_secs_f32();
                tracing::info!(seconds, "Redis takes entries again");
            }
            shipping.connected = true;
            shipping.shipped_seq = shipped.last_seq;
            shipping.shipped = shipped.last;
        });
    }

    fn tell(&self, shipment: &mut Shipment) {
        let lost = shipment.take_lost();
        self.published.send_if_modified(|shipping| {
            shipping.lost.retain(|(_, since)| since.elapsed() < TOLD_FOR);
            let changed = !lost.is_empty() || shipping.warnings != shipment.warnings();
            for lost in lost {
                tracing::error!("{lost}");
                shipping.lost.push((lost.to_string(), Instant::now()));
            }
            if shipping.warnings != shipment.warnings() {
                shipping.warnings = shipment.warnings().to_vec();
                for warning in &shipping.warnings {
                    tracing::warn!("{warning}");
                }
            }
            changed
        });
    }

    async fn failed(&self, fault: ShippingFault, retry: &mut Duration) {
        let decision = fault.needs_somebody();
        self.published.send_modify(|shipping| {
            shipping.connected = false;
            let since = shipping.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            if shipping.trouble.as_ref().is_none_or(|trouble| trouble.fault != fault) {
                if decision {
                    tracing::error!(%fault, "nothing is shipped until this is decided");
                } else {
                    tracing::warn!(%fault, "entries wait in the outbox");
                }
            }
            shipping.trouble = Some(Trouble { fault, since });
        });
        sleep(if decision { RETRY_DECISION } else { *retry }).await;
        *retry = (*retry * 2).min(RETRY_MAX);
    }

    /// Notes what has arrived, for retention. What is not noted is asked of Redis again at the next start.
    async fn mark(&mut self, last: Positions) {
        if last == self.marked || self.marked_at.elapsed() < MARK_EVERY {
            return;
        }
        self.marked_at = Instant::now();
        let up_to = PerStream::from_fn(|stream| Some(last.get(stream)).filter(|id| *id > EntryId::default()));
        match self.outbox.mark_shipped(up_to).await {
            Ok(()) => self.marked = last,
            Err(cause) => tracing::warn!(%cause, "what has been shipped was not noted"),
        }
    }

    async fn trim(&mut self, mut shipment: Shipment) -> Shipment {
        if self.trimmed_at.elapsed() < TRIM_EVERY {
            return shipment;
        }
        self.trimmed_at = Instant::now();
        let trim = Trim { applied: Positions::end() };
        if let Err(cause) = self.outbox.trim_all(trim).await {
            tracing::warn!(%cause, "the outbox was not trimmed: it is tried again");
        }
        let (returned, trimmed) = blocking(move || {
            let trimmed = shipment.trim();
            (shipment, trimmed)
        })
        .await;
        shipment = returned;
        self.tell(&mut shipment);
        if let Err(fault) = trimmed {
            tracing::warn!(%fault, "Redis' copy was not trimmed: it is tried again");
        }
        shipment
    }
}

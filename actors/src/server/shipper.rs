//! Shipper: hands entries out to other processes, whenever the place where they are read takes them.
//!
//! In: what the ledger publishes. Out: [`Shipping`], published for readiness and people; what has arrived is
//! marked in the ledger, so that retention may remove it there.
//!
//! Invariant: nothing waits for it but those who read there. Without the sink the lag grows, and that is all.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};
use evenkeel_core::journal::{EntryId, PerStream, Positions, Stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    ports::{
        ledger::Ledger,
        sink::{OpenSink, Remedy, Shipped, Sink, SinkFault},
    },
    supervise::health::ActorHealth,
};

/// Wait before the sink is tried again, doubled with each failure up to the longest one.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Wait where somebody has to decide something first.
const RETRY_DECISION: Duration = Duration::from_secs(5);
/// How often both copies are trimmed, and what others did to the sink's is looked for.
const TRIM_EVERY: Duration = Duration::from_secs(5);
/// How long a loss is told as news; the sink keeps it.
const TOLD_FOR: Duration = Duration::from_hours(1);
/// How often the ledger notes what has arrived: an fsync, and only retention depends on it.
const MARK_EVERY: Duration = Duration::from_secs(1);

/// How far shipping is.
#[derive(Clone, Debug, Default)]
pub struct Shipping {
    /// Whether the sink took the last entries.
    pub connected: bool,
    /// Last sequence number of each stream there.
    pub shipped_seq: PerStream<u64>,
    /// Last id of each stream there.
    pub shipped: Positions,
    /// Why nothing is shipped, since when.
    pub trouble: Option<Trouble>,
    /// What has been lost there lately, in sentences, and since when that is known.
    pub lost: Vec<(String, Instant)>,
    /// What a person should look at, in sentences.
    pub warnings: Vec<String>,
}

/// Why nothing is shipped.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What is wrong.
    pub fault: SinkFault,
    /// Since when.
    pub since: Instant,
}

impl Shipping {
    /// Entries that are durable here and have not arrived, given the ledger's last sequence numbers.
    pub fn lag(&self, last_seq: &PerStream<u64>) -> u64 {
        Stream::ALL.iter().map(|&stream| last_seq[stream].saturating_sub(self.shipped_seq[stream])).sum()
    }
}

/// See the module.
pub struct Shipper {
    open: OpenSink,
    ledger: Arc<dyn Ledger>,
    health: ActorHealth,
    published: watch::Sender<Shipping>,
}

impl Shipper {
    /// A shipper from `ledger` to what `open` opens.
    pub fn new(
        open: OpenSink,
        ledger: Arc<dyn Ledger>,
        health: ActorHealth,
        published: watch::Sender<Shipping>,
    ) -> Self {
        Self { open, ledger, health, published }
    }
}

impl Actor for Shipper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.health.set_recovering(false);
        let route = Route {
            open: Arc::clone(&self.open),
            ledger: Arc::clone(&self.ledger),
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

/// One way to the sink, from start to failure.
struct Route {
    open: OpenSink,
    ledger: Arc<dyn Ledger>,
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
        let mut news = self.ledger.published();
        let mut retry = RETRY_FIRST;
        let mut sink = loop {
            let open = Arc::clone(&self.open);
            match blocking(move || open()).await {
                Ok(sink) => break sink,
                Err(fault) => self.failed(fault, &mut retry).await,
            }
        };
        loop {
            news.mark_unchanged();
            let (returned, shipped) = blocking(move || {
                let shipped = sink.ship();
                (sink, shipped)
            })
            .await;
            sink = returned;
            self.tell(&mut *sink);
            match shipped {
                Ok(shipped) => {
                    retry = RETRY_FIRST;
                    self.arrived(&shipped);
                    self.mark(shipped.last).await;
                    if !shipped.more {
                        sink = self.trim(sink).await;
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
                tracing::info!(seconds, "entries are handed out again");
            }
            shipping.connected = true;
            shipping.shipped_seq = shipped.last_seq;
            shipping.shipped = shipped.last;
        });
    }

    fn tell(&self, sink: &mut dyn Sink) {
        let lost = sink.take_lost();
        self.published.send_if_modified(|shipping| {
            shipping.lost.retain(|(_, since)| since.elapsed() < TOLD_FOR);
            let changed = !lost.is_empty() || shipping.warnings != sink.warnings();
            for lost in lost {
                tracing::error!("{lost}");
                shipping.lost.push((lost, Instant::now()));
            }
            if shipping.warnings != sink.warnings() {
                shipping.warnings = sink.warnings().to_vec();
                for warning in &shipping.warnings {
                    tracing::warn!("{warning}");
                }
            }
            changed
        });
    }

    async fn failed(&self, fault: SinkFault, retry: &mut Duration) {
        let decision = fault.remedy != Remedy::Time;
        self.published.send_modify(|shipping| {
            shipping.connected = false;
            let since = shipping.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
            if shipping.trouble.as_ref().is_none_or(|trouble| trouble.fault != fault) {
                if decision {
                    tracing::error!(%fault, "nothing is shipped until this is decided");
                } else {
                    tracing::warn!(%fault, "entries wait to be handed out");
                }
            }
            shipping.trouble = Some(Trouble { fault, since });
        });
        sleep(if decision { RETRY_DECISION } else { *retry }).await;
        *retry = (*retry * 2).min(RETRY_MAX);
    }

    /// Notes what has arrived, for retention. What is not noted is asked of the sink again at the next start.
    async fn mark(&mut self, last: Positions) {
        if last == self.marked || self.marked_at.elapsed() < MARK_EVERY {
            return;
        }
        self.marked_at = Instant::now();
        let up_to = PerStream::from_fn(|stream| Some(last.get(stream)).filter(|id| *id > EntryId::default()));
        match self.ledger.mark_shipped(up_to).await {
            Ok(()) => self.marked = last,
            Err(cause) => tracing::warn!(%cause, "what has been shipped was not noted"),
        }
    }

    async fn trim(&mut self, mut sink: Box<dyn Sink>) -> Box<dyn Sink> {
        if self.trimmed_at.elapsed() < TRIM_EVERY {
            return sink;
        }
        self.trimmed_at = Instant::now();
        if let Err(cause) = self.ledger.trim(Positions::end()).await {
            tracing::warn!(%cause, "the journal was not trimmed: it is tried again");
        }
        let (returned, trimmed) = blocking(move || {
            let trimmed = sink.trim();
            (sink, trimmed)
        })
        .await;
        sink = returned;
        self.tell(&mut *sink);
        if let Err(fault) = trimmed {
            tracing::warn!(%fault, "the copy that is handed out was not trimmed: it is tried again");
        }
        sink
    }
}

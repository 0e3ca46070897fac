//! Observer: remembers for people what the journal has recorded lately.
//!
//! In: [`Recorded`] from the journal, [`Reported`] from whoever hears of the client, [`GetSteps`] and [`GetMinutes`] from
//! HTTP, [`SaveMinutes`] at the end. Out: [`Overview`], published once a window; minutes, kept now and then.
//!
//! Invariant: nothing waits for it. What it misses is missing in pictures and nowhere else; after a restart
//! it is filled again from what the journal keeps, and from the minutes that were kept.

use std::{collections::BTreeMap, sync::Arc};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, ResponseFuture, Supervised,
    WrapFuture,
};
use evenkeel_core::{
    insight::{
        minutes::{Minute, Minutes},
        recap::{DelayTotals, QueryActivity, Recap, SpanSummary, Spans, Step, Waiting},
    },
    journal::{Entry, EntryId, Record, Stream},
    units::{ids::QueryId, lengths::Lengths, tick::Tick},
};
use tokio::sync::{Mutex, watch};

use crate::{
    messages::{GetMinutes, GetSteps, Recorded, Reported, SaveMinutes},
    ports::{
        history::{OpenHistory, ReadError},
        minutes::Kept,
    },
    server::queue::QueueView,
    supervise::health::ActorHealth,
};

/// Entries read at a time: some MB.
const CHUNK: usize = 10_000;
/// Time between two savings of minutes: half a megabyte after a day.
const SAVE_EVERY_MS: u64 = 30_000;

/// What is known at the end of a window.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// The last minute.
    pub minute: SpanSummary,
    /// The last five.
    pub five_minutes: SpanSummary,
    /// The last five minutes' windows, oldest first.
    pub steps: Arc<[Step]>,
    /// What each query did in them.
    pub queries: Arc<BTreeMap<QueryId, QueryActivity>>,
    /// Ticks that `queries` covers.
    pub queries_ticks: u64,
    /// Whether executions tell of statements of a real database.
    pub statements: bool,
    /// Delays since the process started.
    pub delays: DelayTotals,
}

/// See the module.
pub struct Observer {
    lengths: Lengths,
    recap: Recap,
    minutes: Minutes,
    kept: Option<Kept>,
    /// When the newest window closed of the minutes that were kept last.
    saved_at_ms: u64,
    /// Held by who saves.
    saving: Arc<Mutex<()>>,
    history: OpenHistory,
    queue: watch::Receiver<QueueView>,
    health: ActorHealth,
    published: watch::Sender<Arc<Overview>>,
}

impl Observer {
    /// An observer of the journal that `history` opens, which has these lengths. Without `kept` a restart forgets minutes.
    pub fn new(
        lengths: Lengths,
        history: OpenHistory,
        kept: Option<Kept>,
        queue: watch::Receiver<QueueView>,
        health: ActorHealth,
        published: watch::Sender<Arc<Overview>>,
    ) -> Self {
        let (recap, minutes) = (Recap::new(lengths), Minutes::default());
        let saving = Arc::default();
        Self { lengths, recap, minutes, kept, saved_at_ms: 0, saving, history, queue, health, published }
    }

    fn publish(&self) {
        let recap = &self.recap;
        let spans = recap.spans();
        self.published.send_replace(Arc::new(Overview {
            minute: recap.summary(spans.minute),
            five_minutes: recap.summary(spans.recent),
            steps: recap.last_steps(spans.recent).copied().collect(),
            queries: Arc::new(recap.queries().clone()),
            queries_ticks: recap.queries_ticks(),
            statements: recap.has_statements(),
            delays: *recap.delay_totals(),
        }));
    }

    fn waiting(&self) -> Option<Waiting> {
        let queue = self.queue.borrow();
        let queue = queue.as_ref()?;
        // In the order of their ids, which is that of their arrival.
        let oldest_ticks = queue.waiting.first().map(|oldest| queue.tick.since(oldest.queued_tick));
        Some(Waiting { executions: queue.waiting.len() as u64, oldest_ticks })
    }

    fn remember(&mut self, read: Result<(Recap, Tick), ReadError>, stored: Vec<Minute>) {
        let next_tick = match read {
            Ok((recap, next_tick)) => {
                self.recap = recap;
                next_tick
            }
            Err(cause) => {
                tracing::warn!(%cause, "what was recorded before is missing in the history");
                Tick(u64::MAX)
            }
        };
        self.minutes = Minutes::restore(stored, next_tick);
        self.minutes.fold_past(self.recap.last_with_delays(Spans::of(self.lengths).history));
        self.health.set_recovering(false);
        self.publish();
    }
}

impl Observer {
    /// Windows that have closed belong to minutes, which are kept now and then.
    fn closed(&mut self, context: &mut Context<Self>) {
        self.minutes.fold(self.recap.last_with_delays(Spans::of(self.lengths).recent));
        self.publish();
        let newest_ms = self.minutes.iter().next_back().map_or(0, |minute| minute.closed_at_ms);
        if newest_ms >= self.saved_at_ms + SAVE_EVERY_MS {
            self.saved_at_ms = newest_ms;
            context.spawn(self.save().into_actor(self));
        }
    }

    fn save(&self) -> impl Future<Output = ()> + use<> {
        let (minutes, kept): (Vec<_>, _) = (self.minutes.iter().cloned().collect(), self.kept.clone());
        let saving = Arc::clone(&self.saving);
        async move {
            let Some(kept) = kept.filter(|_| !minutes.is_empty()) else { return };
            // Two would write the same file.
            let _alone = saving.lock().await;
            let saved = tokio::task::spawn_blocking(move || kept.save(&minutes)).await;
            if let Ok(Err(cause)) = saved {
                tracing::warn!(%cause, "the page's minutes are not kept: after a restart they are missing there");
            }
        }
    }
}

/// What was kept, with a word where it cannot be used. Blocking.
fn stored(kept: Option<&Kept>) -> Vec<Minute> {
    let (minutes, damage) = kept.map(|kept| kept.load()).unwrap_or_default();
    if let Some(cause) = damage {
        tracing::warn!(%cause, "the page's minutes of before are missing");
    }
    minutes
}

/// What is still recorded of the last hours, and the journal's next tick. Blocking.
fn recall(lengths: Lengths, history: &OpenHistory) -> Result<(Recap, Tick), ReadError> {
    let mut history = history()?;
    // A tick is recorded whole; what is recorded while this reads comes as a message.
    let next_tick = history.next_tick()?;
    let spans = Spans::of(lengths);
    let mut windows = history.tail(Stream::Windows, spans.history)?.entries;
    windows.retain(|entry| entry.record.tick().next() < next_tick);
    let recent = windows.len().saturating_sub(spans.recent);
    let mut recap = Recap::new(lengths);
    for window in windows.drain(..recent) {
        let tick = window.record.tick().next();
        recap.apply(&[window], tick, None);
    }
    let mut windows = windows.into_iter().peekable();
    let mut position = match windows.peek().map(|window| &window.record) {
        Some(Record::Window(window)) => history.before_tick(Stream::Executions, window.first_tick)?,
        _ => EntryId::default(),
    };
    let mut tick_entries: Vec<Entry> = Vec::new();
    loop {
        let executions = history.after(Stream::Executions, position, CHUNK)?;
        let Some(last) = executions.last_id() else { break };
        position = last;
        for entry in executions.entries {
            let tick = entry.record.tick();
            if tick >= next_tick {
                break;
            }
            if tick_entries.first().is_some_and(|first| first.record.tick() < tick) {
                apply(&mut recap, &mut tick_entries, &mut windows);
            }
            tick_entries.push(entry);
        }
    }
    apply(&mut recap, &mut tick_entries, &mut windows);
    for window in windows {
        let tick = window.record.tick().next();
        recap.apply(&[window], tick, None);
    }
    Ok((recap, next_tick))
}

/// Applies one tick's executions, and the windows that had closed by then.
fn apply(
    recap: &mut Recap,
    executions: &mut Vec<Entry>,
    windows: &mut std::iter::Peekable<impl Iterator<Item = Entry>>,
) {
    let Some(tick) = executions.first().map(|entry| entry.record.tick()) else { return };
    while let Some(window) = windows.next_if(|window| window.record.tick().next() <= tick) {
        // An idle tick records no execution, so a window may have closed some ticks ago.
        if window.record.tick().next() < tick {
            recap.apply(&[window], Tick(tick.0 - 1), None);
        } else {
            executions.push(window);
        }
    }
    recap.apply(executions, tick, None);
    executions.clear();
}

impl Actor for Observer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.health.set_recovering(true);
        let (lengths, history, kept) = (self.lengths, Arc::clone(&self.history), self.kept.clone());
        let read = tokio::task::spawn_blocking(move || (recall(lengths, &history), stored(kept.as_ref())));
        // Messages wait meanwhile, as long as there is room for them.
        context.wait(read.into_actor(self).map(|read, actor, _context| match read {
            Ok((read, stored)) => actor.remember(read, stored),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }));
    }
}

/// After a restart `started` is called again.
impl Supervised for Observer {}

impl Handler<Recorded> for Observer {
    type Result = ();

    fn handle(&mut self, recorded: Recorded, context: &mut Self::Context) {
        let Recorded { entries, last_tick } = recorded;
        let waiting = self.waiting();
        self.recap.apply(&entries, last_tick, waiting);
        if entries.iter().any(|entry| matches!(entry.record, Record::Window(_))) {
            self.closed(context);
        }
    }
}

impl Handler<Reported> for Observer {
    type Result = ();

    fn handle(&mut self, Reported(report): Reported, _context: &mut Self::Context) {
        self.recap.forecasts(&report.forecasts);
        self.publish();
    }
}

impl Handler<GetSteps> for Observer {
    type Result = MessageResult<GetSteps>;

    fn handle(&mut self, GetSteps { from, to }: GetSteps, _context: &mut Self::Context) -> Self::Result {
        let steps = self.recap.steps(from).take_while(|step| step.window.first_tick <= to);
        MessageResult(steps.copied().collect())
    }
}

impl Handler<GetMinutes> for Observer {
    type Result = MessageResult<GetMinutes>;

    fn handle(&mut self, GetMinutes { last }: GetMinutes, _context: &mut Self::Context) -> Self::Result {
        let skipped = self.minutes.iter().len().saturating_sub(last);
        MessageResult(self.minutes.iter().skip(skipped).cloned().collect())
    }
}

impl Handler<SaveMinutes> for Observer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, SaveMinutes: SaveMinutes, _context: &mut Self::Context) -> Self::Result {
        Box::pin(self.save())
    }
}

//! Observer: remembers for people what the journal has recorded lately.
//!
//! In: [`Recorded`] from the journal, [`Reported`] from whoever hears of the client, [`GetSteps`] from HTTP.
//! Out: [`Overview`], published once a window.
//!
//! Invariant: nothing waits for it. What it misses is missing in pictures and nowhere else; after a restart
//! it is filled again from what the journal keeps.

use std::{collections::BTreeMap, sync::Arc};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, Supervised, WrapFuture};
use evenkeel_core::{
    insight::recap::{DelayTotals, QueryActivity, Recap, SpanSummary, Spans, Step, Waiting},
    journal::{Entry, EntryId, Record, Stream},
    units::{ids::QueryId, lengths::Lengths, tick::Tick},
};
use tokio::sync::watch;

use crate::{
    messages::{GetSteps, Recorded, Reported},
    ports::history::{OpenHistory, ReadError},
    server::queue::QueueView,
    supervise::health::ActorHealth,
};

/// Entries read at a time: some MB.
const CHUNK: usize = 10_000;

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
    /// Delays since the process started.
    pub delays: DelayTotals,
}

/// See the module.
pub struct Observer {
    lengths: Lengths,
    recap: Recap,
    history: OpenHistory,
    queue: watch::Receiver<QueueView>,
    health: ActorHealth,
    published: watch::Sender<Arc<Overview>>,
}

impl Observer {
    /// An observer of the journal that `history` opens, which has these lengths.
    pub fn new(
        lengths: Lengths,
        history: OpenHistory,
        queue: watch::Receiver<QueueView>,
        health: ActorHealth,
        published: watch::Sender<Arc<Overview>>,
    ) -> Self {
        Self { lengths, recap: Recap::new(lengths), history, queue, health, published }
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

    fn remember(&mut self, read: Result<Recap, ReadError>) {
        match read {
            Ok(recap) => self.recap = recap,
            Err(cause) => tracing::warn!(%cause, "what was recorded before is missing in the history"),
        }
        self.health.set_recovering(false);
        self.publish();
    }
}

/// What is still recorded of the last hours. Blocking.
fn recall(lengths: Lengths, history: &OpenHistory) -> Result<Recap, ReadError> {
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
    Ok(recap)
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
        let (lengths, history) = (self.lengths, Arc::clone(&self.history));
        let read = tokio::task::spawn_blocking(move || recall(lengths, &history));
        // Messages wait meanwhile, as long as there is room for them.
        context.wait(read.into_actor(self).map(|read, actor, _context| match read {
            Ok(read) => actor.remember(read),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }));
    }
}

/// After a restart `started` is called again.
impl Supervised for Observer {}

impl Handler<Recorded> for Observer {
    type Result = ();

    fn handle(&mut self, recorded: Recorded, _context: &mut Self::Context) {
        let Recorded { entries, last_tick } = recorded;
        let waiting = self.waiting();
        self.recap.apply(&entries, last_tick, waiting);
        if entries.iter().any(|entry| matches!(entry.record, Record::Window(_))) {
            self.publish();
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

//! Queue: what waits, and who may say when it runs.
//!
//! In: [`Advance`] from the daemon, [`Delay`], [`Control`] and [`SetMode`] from clients, [`Restore`]
//! after a failure; between ticks [`Ended`], [`Admit`] and [`DropWaiting`]. Out: [`Append`] to the journal for everything that must be durable; the answer to
//! the sender comes after that. A view of the queue is published after every change.
//!
//! Invariant: commits leave in the order of the changes. After one that failed the state is given up,
//! because memory is ahead of what is durable: everybody is told `Lost` until the daemon restores it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, Context, Handler, ResponseActFuture, Supervised, WrapFuture};
use evenkeel_core::{
    journal::{Commit, Executed, Lease, Mode, Record, Released, Statement},
    server::{
        control::ControlResponse,
        queue::{HoldLimits, RecordedQueue},
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};
use tokio::{sync::watch, time::Instant};

use crate::{
    clock::Clock,
    messages::{
        Admit, Advance, AdvanceError, Append, AppendError, Control, ControlRefused, Delay, DelayRefused,
        DropRefused, DropWaiting, Ended, Lost, NotRecorded, Restore, SetMode, SetModeRefused,
    },
    ports::database::Sending,
    supervise::{fault, health::ActorHealth, port::Port},
};

/// What runs is published no more often than this between ticks: each statement of a real database is a change.
const PUBLISH_EVERY: Duration = Duration::from_millis(20);

/// The queue at one moment, for those who read it: none while it is being restored.
pub type QueueView = Option<Arc<QueueSnapshot>>;

/// What waits.
#[derive(Clone, Debug)]
pub struct QueueSnapshot {
    /// The last tick that has begun.
    pub tick: Tick,
    /// Who decides.
    pub mode: Mode,
    /// The last lease, living or not.
    pub lease: Option<Lease>,
    /// Whether slots decide.
    pub levelled: bool,
    /// In the order of their ids.
    pub waiting: Vec<WaitingExecution>,
    /// Released and without an outcome, in the order of their ids; none where outcomes are certain.
    pub running: Vec<Released>,
}

/// A waiting execution.
#[derive(Clone, Debug)]
pub struct WaitingExecution {
    /// Which one.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it arrived.
    pub queued_tick: Tick,
    /// Its base due tick.
    pub due_tick: Tick,
    /// When it will run as things stand; while it is held for a plan, its deadline.
    pub planned_tick: Tick,
    /// The same, Unix ms.
    pub planned_ms: u64,
    /// Whether it is held for a plan, which gives it a slot.
    pub held: bool,
    /// Why its slot was chosen; none without a slot.
    pub reason: Option<Arc<str>>,
    /// Whose statement it is, in a real database.
    pub statement: Option<Arc<Statement>>,
}

/// See the module.
pub struct Queue {
    recorded: Option<RecordedQueue>,
    /// Whose statements wait, while the state is lost.
    statements: BTreeMap<ExecutionId, Arc<Statement>>,
    /// The last tick and when it began, from which planned times are reckoned.
    last_tick: (Tick, u64),
    journal: Port<Append>,
    health: ActorHealth,
    published: watch::Sender<QueueView>,
    published_at: Option<Instant>,
    /// The last tick after which somebody has planned.
    planned: watch::Sender<Option<Tick>>,
    clock: Clock,
    lengths: Lengths,
    limits: HoldLimits,
}

impl Queue {
    /// A queue that waits to be restored.
    pub fn new(
        journal: Port<Append>,
        health: ActorHealth,
        published: watch::Sender<QueueView>,
        clock: Clock,
        lengths: Lengths,
        limits: HoldLimits,
    ) -> Self {
        Self {
            recorded: None,
            statements: BTreeMap::new(),
            last_tick: (Tick(0), 0),
            journal,
            health,
            published,
            published_at: None,
            planned: watch::Sender::new(None),
            clock,
            lengths,
            limits,
        }
    }

    /// The same, which tells after which tick somebody has planned.
    #[must_use]
    pub fn telling(self, planned: watch::Sender<Option<Tick>>) -> Self {
        Self { planned, ..self }
    }

    fn lose_state(&mut self) {
        if let Some(recorded) = self.recorded.take() {
            self.statements = recorded.into_statements();
        }
        self.health.set_recovering(true);
        self.published.send_replace(None);
    }

    /// Sends a commit, and publishes or gives up what it was made from.
    fn append(&mut self, commit: Commit) -> ResponseActFuture<Self, Result<(), AppendError>> {
        let (recovery, revision) = (commit.recovery, commit.revision);
        // A tick, or somebody who looks at what waits.
        let at_once = !commit.queue.is_empty() || commit.released.is_empty();
        let sent = self.journal.send(Append(commit));
        let recorded = async move { sent.await.unwrap_or(Err(AppendError::Unknown)) };
        Box::pin(recorded.into_actor(self).map(move |recorded, actor, _context| {
            match &recorded {
                Ok(()) if at_once || actor.published_at.is_none_or(|at| at.elapsed() >= PUBLISH_EVERY) => {
                    actor.publish();
                }
                Ok(()) => {}
                Err(cause) => {
                    // Whoever asked is told, and says so.
                    tracing::debug!(revision, %cause, "a commit failed: the queue is read again");
                    // What has been restored meanwhile does not rest on it.
                    if actor.recorded.as_ref().is_some_and(|recorded| recorded.recovery() == recovery) {
                        actor.lose_state();
                    }
                }
            }
            recorded
        }))
    }

    /// The commit that gives up what waited for clients that are gone, if there is any.
    fn restore(&mut self, Restore { recovered, sending }: &Restore) -> Option<Commit> {
        let queue = RecordedQueue::recover(self.lengths, self.limits.clone(), recovered);
        let statements = std::mem::take(&mut self.statements);
        let (mut queue, clients) = match *sending {
            Sending::Again => (queue, false),
            Sending::Once { at_once, clients } => (queue.uncertain(at_once).knowing(statements), clients),
        };
        let now_ms = self.clock.unix_ms();
        self.last_tick = (queue.queue().last_tick(), now_ms);
        let orphans = clients.then(|| queue.drop_orphans(now_ms)).flatten();
        self.recorded = Some(queue);
        self.health.set_recovering(false);
        if orphans.is_none() {
            self.publish();
        }
        orphans
    }

    fn publish(&mut self) {
        let Some(recorded) = &self.recorded else { return };
        self.published_at = Some(Instant::now());
        let queue = recorded.queue();
        let (tick, began_ms) = self.last_tick;
        let waiting = queue.planned().map(|planned| WaitingExecution {
            execution: planned.queued.execution,
            query: planned.queued.query,
            queued_tick: planned.queued.queued_tick,
            due_tick: planned.queued.due_tick,
            planned_tick: planned.tick,
            planned_ms: began_ms + self.lengths.ms_of(planned.tick.since(tick)),
            held: planned.held,
            reason: planned.reason.cloned(),
            statement: recorded.statement(planned.queued.execution).cloned(),
        });
        self.published.send_replace(Some(Arc::new(QueueSnapshot {
            tick: queue.last_tick(),
            mode: queue.mode(),
            lease: queue.lease().cloned(),
            levelled: queue.levelled(),
            waiting: waiting.collect(),
            running: recorded.released().cloned().collect(),
        })));
    }
}

/// Of which executions a commit records something in the queue.
fn executions(commit: &Commit) -> Vec<ExecutionId> {
    let of = |record: &Record| match record {
        Record::Queue(event) => Some(event.execution),
        Record::Executed(_) | Record::Window(_) => None,
    };
    commit.records.iter().filter_map(of).collect()
}

/// An answer that is known at once, where others take a commit.
fn at_once<A: Actor, T: 'static>(answer: T) -> ResponseActFuture<A, T> {
    Box::pin(actix::fut::ready(answer))
}

impl Actor for Queue {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Supervised for Queue {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Handler<Advance> for Queue {
    type Result = ResponseActFuture<Self, Result<Vec<Executed>, AdvanceError>>;

    fn handle(&mut self, advance: Advance, _context: &mut Self::Context) -> Self::Result {
        fault::handling!("queue");
        let Some(queue) = &mut self.recorded else { return at_once(Err(Lost.into())) };
        let Advance { tick, at_ms, arrivals, texts, measured } = advance;
        match queue.advance(tick, at_ms, arrivals, measured) {
            Err(out_of_step) => at_once(Err(out_of_step.into())),
            Ok((commit, executed)) => {
                self.last_tick = (tick, at_ms);
                Box::pin(self.append(Commit { texts, ..commit }).map(|recorded, _actor, _context| {
                    recorded?;
                    Ok(executed)
                }))
            }
        }
    }
}

impl Handler<Delay> for Queue {
    type Result = ResponseActFuture<Self, Result<(), DelayRefused>>;

    fn handle(&mut self, delay: Delay, _context: &mut Self::Context) -> Self::Result {
        let Some(queue) = &mut self.recorded else { return at_once(Err(Lost.into())) };
        match queue.delay(delay.execution, delay.ticks, self.clock.unix_ms()) {
            Err(invalid) => at_once(Err(invalid.into())),
            Ok(commit) => Box::pin(self.append(commit).map(|recorded, _actor, _context| Ok(recorded?))),
        }
    }
}

impl Handler<Control> for Queue {
    type Result = Result<ControlResponse, ControlRefused>;

    fn handle(&mut self, Control(request): Control, _context: &mut Self::Context) -> Self::Result {
        let response = self.recorded.as_mut().ok_or(Lost)?.control(&request)?;
        self.planned.send_replace(Some(response.tick));
        Ok(response)
    }
}

impl Handler<SetMode> for Queue {
    type Result = ResponseActFuture<Self, Result<(), SetModeRefused>>;

    fn handle(&mut self, SetMode(mode): SetMode, _context: &mut Self::Context) -> Self::Result {
        let Some(queue) = &mut self.recorded else { return at_once(Err(Lost.into())) };
        let commit = queue.set_mode(mode, self.clock.unix_ms());
        Box::pin(self.append(commit).map(|recorded, _actor, _context| Ok(recorded?)))
    }
}

impl Handler<Ended> for Queue {
    type Result = ResponseActFuture<Self, Result<u64, NotRecorded>>;

    fn handle(&mut self, Ended { at_ms, finished }: Ended, _context: &mut Self::Context) -> Self::Result {
        let Some(queue) = &mut self.recorded else { return at_once(Err(Lost.into())) };
        let Some(commit) = queue.ended(at_ms, &finished) else { return at_once(Ok(0)) };
        let count = commit.records.len() as u64;
        Box::pin(self.append(commit).map(move |recorded, _actor, _context| Ok(recorded.map(|()| count)?)))
    }
}

impl Handler<Admit> for Queue {
    type Result = ResponseActFuture<Self, Result<Vec<Released>, NotRecorded>>;

    fn handle(
        &mut self,
        Admit { at_ms, arrivals, texts }: Admit,
        _context: &mut Self::Context,
    ) -> Self::Result {
        // Before the first tick there is none in which something could be released.
        let begun = self.recorded.as_mut().filter(|queue| queue.queue().next_tick() > Tick(0));
        let Some(queue) = begun else { return at_once(Err(Lost.into())) };
        let (commit, admitted) = queue.admit(at_ms, arrivals, texts);
        Box::pin(self.append(commit).map(move |recorded, _actor, _context| Ok(recorded.map(|()| admitted)?)))
    }
}

impl Handler<DropWaiting> for Queue {
    type Result = ResponseActFuture<Self, Result<(), DropRefused>>;

    fn handle(&mut self, dropped: DropWaiting, _context: &mut Self::Context) -> Self::Result {
        let Some(queue) = &mut self.recorded else { return at_once(Err(Lost.into())) };
        match queue.drop_waiting(dropped.execution, dropped.at_ms) {
            Err(invalid) => at_once(Err(invalid.into())),
            Ok(commit) => Box::pin(self.append(commit).map(|recorded, _actor, _context| Ok(recorded?))),
        }
    }
}

impl Handler<Restore> for Queue {
    type Result = ResponseActFuture<Self, Vec<ExecutionId>>;

    fn handle(&mut self, restore: Restore, _context: &mut Self::Context) -> Self::Result {
        let Some(commit) = self.restore(&restore) else { return at_once(Vec::new()) };
        let given_up = executions(&commit);
        // What could not be recorded is found again, and given up then.
        Box::pin(
            self.append(commit).map(|recorded, _actor, _context| recorded.map_or(Vec::new(), |()| given_up)),
        )
    }
}

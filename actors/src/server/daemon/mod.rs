//! Daemon: counts ticks, and leads each through its steps.
//!
//! ```text
//! usage of t−1 ─Measure─▶ Monitor ─▶ Advance(t) ─▶ Queue ─▶ durable ─▶ Database ─▶ usage of t
//!        any step fails ─▶ Recover ─▶ Restore Queue, Monitor ─▶ the last batch again ─▶ usage of t−1
//! ```
//! Where outcomes are uncertain, nothing is sent again, no tick waits for usage, and what has ended is asked for between
//! ticks: see `outcomes.rs`.
//!
//! In: its own `TickDue`. Out: see above. It lives on an arbiter of its own, because a mailbox is drained
//! before timers are polled.
//!
//! Invariant: what runs in the database is durable before. Ticks follow each other by one, whatever the
//! clock does: a late tick runs late, none is skipped or caught up, and lateness is counted.

mod ahead;
mod outcomes;
mod step;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MailboxError, Message, ResponseActFuture,
    Supervised, WrapFuture,
};
use evenkeel_core::{
    journal::QueryText,
    server::{queue::Arrival, steps::Steps},
    units::{ids::ExecutionId, tick::Tick},
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use uuid::Uuid;

pub use self::ahead::FastForward;
use self::{
    outcomes::Outcomes,
    step::{Done, Step},
};
use crate::{
    clock::Clock,
    messages::{Advance, Ended, Measure, Recover, Restore, StopTicking},
    ports::{
        database::{Arrived, Measured, Workload},
        ledger::{Pressure, Published},
    },
    supervise::{fault, health::ActorHealth, port::Port},
};

/// The daemon's pace, for readiness and metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// The last tick that ran; none before the first.
    pub last: Option<TickRun>,
    /// Ticks that began more than half a tick after their time.
    pub late_ticks: u64,
    /// Arrivals that were refused because what has not been handed out fills the ledger.
    pub refused_arrivals: u64,
    /// Executions that the database has run for this process, the last batch of the one before included.
    pub executed: u64,
    /// Whether the last try failed.
    pub stalled: bool,
}

/// When a tick ran.
#[derive(Clone, Copy, Debug)]
pub struct TickRun {
    /// Which one.
    pub tick: Tick,
    /// When it was done.
    pub done_at: Instant,
}

/// Whom the daemon talks to.
pub struct Ports {
    /// Sums usage.
    pub monitor: Port<Measure>,
    /// Says what runs.
    pub queue: Port<Advance>,
    /// Records what has ended, where that is told late.
    pub ended: Port<Ended>,
    /// Says what is durable.
    pub journal: Port<Recover>,
    /// Who starts again from that.
    pub restore: Vec<Port<Restore>>,
}

/// See the module.
pub struct Daemon {
    ports: Arc<Ports>,
    /// Shared with the step that is under way, and never across an await: a step that fails leaves it.
    database: Rc<RefCell<Box<dyn Measured>>>,
    workload: Box<dyn Workload>,
    ledger: watch::Receiver<Published>,
    ids: ExecutionIds,
    /// Texts that are not known to be recorded.
    texts: Vec<QueryText>,
    /// Arrivals of ticks that failed.
    unsure: Vec<ExecutionId>,
    /// Taken along by the step that is under way.
    steps: Steps,
    /// Of a database that tells them late.
    outcomes: Outcomes,
    under_way: watch::Sender<bool>,
    stopping: bool,
    pace: Pace,
    /// The last tick whose executions are in the pace: a recovery starts a batch again.
    counted: Option<Tick>,
    health: ActorHealth,
    published: watch::Sender<Pace>,
    clock: Clock,
    /// Ticks that run ahead of their time, if any.
    fast_forward: Option<FastForward>,
    tick_ms: u64,
}

/// A tick is due; from the daemon's ticker to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct TickDue {
    /// When it should have begun.
    at: Instant,
}

/// The database is to be asked what has ended; from the daemon to itself.
#[derive(Message)]
#[rtype(result = "()")]
struct OutcomesDue;

impl Handler<OutcomesDue> for Daemon {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: OutcomesDue, _context: &mut Self::Context) -> Self::Result {
        let now = self.pace.last.map_or(Tick(0), |last| last.tick);
        self.outcomes.ask(self.database.borrow_mut().as_mut(), now);
        let Some(finished) = self.outcomes.send() else { return Box::pin(actix::fut::ready(())) };
        let ended = self.ports.ended.send(Ended { at_ms: self.clock.unix_ms(), finished });
        // What was not recorded is sent again; the next tick says why the queue cannot.
        let ended = async { ended.await.ok().and_then(Result::ok) };
        Box::pin(ended.into_actor(self).map(|recorded, actor, _context| actor.recorded(recorded)))
    }
}

impl Handler<StopTicking> for Daemon {
    type Result = ResponseActFuture<Self, ()>;

    /// Ticks are messages to the daemon itself, handled one after the other, but the step of the last one
    /// may still be under way.
    fn handle(&mut self, _: StopTicking, _context: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        let mut under_way = self.under_way.subscribe();
        let idle = async move {
            // The sender lives as long as the daemon.
            let _ = under_way.wait_for(|under_way| !under_way).await;
        };
        Box::pin(idle.into_actor(self))
    }
}

impl Daemon {
    /// A daemon that begins by asking what is durable.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a port or a setting of its own, named at the one call"
    )]
    pub fn new(
        ports: Ports,
        database: Box<dyn Measured>,
        workload: Box<dyn Workload>,
        ledger: watch::Receiver<Published>,
        health: ActorHealth,
        published: watch::Sender<Pace>,
        clock: Clock,
        tick_ms: u64,
    ) -> Self {
        Self {
            ports: Arc::new(ports),
            database: Rc::new(RefCell::new(database)),
            workload,
            ledger,
            ids: ExecutionIds::default(),
            texts: Vec::new(),
            unsure: Vec::new(),
            steps: Steps::default(),
            outcomes: Outcomes::default(),
            under_way: watch::Sender::new(false),
            stopping: false,
            pace: Pace::default(),
            counted: None,
            health,
            published,
            clock,
            fast_forward: None,
            tick_ms,
        }
    }

    /// The same, with ticks that run ahead of their time.
    #[must_use]
    pub fn fast_forward(self, fast_forward: FastForward) -> Self {
        Self { fast_forward: Some(fast_forward), ..self }
    }

    fn start_ticker(&mut self, context: &mut Context<Self>) {
        self.steps = Steps::default();
        self.under_way.send_replace(false);
        self.health.set_recovering(true);
        let address = context.address();
        let (fast_forward, pace, tick_ms) =
            (self.fast_forward.clone(), self.published.subscribe(), self.tick_ms);
        let ticker = async move {
            if let Some(fast_forward) = fast_forward {
                fast_forward.run(&address.clone().recipient(), pace, tick_ms).await;
            }
            let mut interval = tokio::time::interval(Duration::from_millis(tick_ms));
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let at = interval.tick().await;
                // Answered when the tick is done, so that ticks never overlap. A failure is the guard's.
                if address.send(TickDue { at }).await == Err(MailboxError::Closed) {
                    return;
                }
            }
        };
        context.spawn(ticker.into_actor(self));
    }

    fn ask_for_outcomes(&self, context: &mut Context<Self>) {
        let address = context.address();
        let mut interval = tokio::time::interval(outcomes::ASK_EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let asker = async move {
            loop {
                interval.tick().await;
                // Answered when what was told is recorded, so that groups do not overtake each other.
                if address.send(OutcomesDue).await == Err(MailboxError::Closed) {
                    return;
                }
            }
        };
        context.spawn(asker.into_actor(self));
    }

    /// What has been told is recorded, or is told again.
    fn recorded(&mut self, recorded: Option<u64>) {
        self.outcomes.answered(recorded.is_some());
        self.pace.executed += recorded.unwrap_or_default();
        self.published.send_replace(self.pace);
    }

    fn count_lateness(&mut self, at: Instant) {
        if at.elapsed() * 2 > Duration::from_millis(self.tick_ms) {
            self.pace.late_ticks += 1;
        }
    }

    /// What this tick's steps need, taken along while they run.
    fn step(&mut self) -> Step {
        let at_ms = self.clock.unix_ms();
        let arrivals = self.steps.due().map(|tick| self.arrivals(tick, at_ms)).unwrap_or_default();
        let (ports, database) = (Arc::clone(&self.ports), Rc::clone(&self.database));
        self.unsure.extend(arrivals.iter().map(|arrival| arrival.execution));
        // A step that never ends leaves both here.
        let (texts, unsure) = (self.texts.clone(), self.unsure.clone());
        let steps = std::mem::take(&mut self.steps);
        let (unresolved, refused, recorded) = (None, Vec::new(), false);
        Step { ports, database, steps, at_ms, arrivals, texts, unsure, refused, recorded, unresolved }
    }

    fn arrivals(&mut self, tick: Tick, at_ms: u64) -> Vec<Arrival> {
        self.texts.extend(self.workload.texts());
        let arrived = self.workload.arrivals(tick);
        if self.ledger.borrow().pressure != Pressure::None {
            // What is queued still runs and is recorded: the reserve is for that.
            self.pace.refused_arrivals += arrived.len() as u64;
            let known: Vec<_> = arrived.iter().filter_map(|arrived| arrived.execution).collect();
            self.workload.refused(&known);
            return Vec::new();
        }
        let arrival = |Arrived { query, execution, statement }| {
            let execution = execution.unwrap_or_else(|| self.ids.next(at_ms));
            Arrival { execution, query, statement, reason: None }
        };
        arrived.into_iter().map(arrival).collect()
    }

    fn step_done(&mut self, done: Done) {
        let Done { steps, ticked, unresolved, recorded, refused, failed } = done;
        self.steps = steps;
        if recorded {
            self.texts.clear();
        }
        // After a recovery it is known, too: the rest has been refused.
        if recorded || self.steps.due().is_some() {
            self.unsure.clear();
        }
        if !refused.is_empty() {
            self.workload.refused(&refused);
        }
        if let Some(released) = unresolved {
            self.outcomes.restored(released);
        }
        match failed {
            None => {
                // What could be read can perhaps not be written yet: only a tick shows that.
                if ticked {
                    if self.pace.stalled {
                        tracing::info!(next = ?self.steps.due(), "ticking again");
                    }
                    self.pace.stalled = false;
                }
                self.health.set_recovering(false);
                let usage = self.steps.last_usage();
                if let Some(usage) = usage.filter(|usage| self.counted < Some(usage.tick)) {
                    self.counted = Some(usage.tick);
                    self.pace.executed += usage.executed;
                }
                let ran = self.steps.due().and_then(|next| next.0.checked_sub(1)).map(Tick);
                let done = ran.map(|tick| TickRun { tick, done_at: Instant::now() });
                self.pace.last = done.or(self.pace.last);
            }
            Some(cause) => {
                if !self.pace.stalled {
                    tracing::warn!(%cause, "a tick did not happen: nothing ran, and it is tried again");
                }
                self.health.set_recovering(true);
                self.pace.stalled = true;
            }
        }
        self.published.send_replace(self.pace);
        self.under_way.send_replace(false);
    }
}

impl Actor for Daemon {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.start_ticker(context);
        if self.database.borrow().is_uncertain() {
            self.outcomes = Outcomes::default();
            self.ask_for_outcomes(context);
        }
    }
}

/// After a restart `started` is called again: a ticker started here, too, would be a second one.
impl Supervised for Daemon {}

impl Handler<TickDue> for Daemon {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, due: TickDue, _context: &mut Self::Context) -> Self::Result {
        fault::handling!("daemon");
        // One that was on its way when the daemon failed meets the ticker that has been started since.
        if self.stopping || *self.under_way.borrow() {
            return Box::pin(actix::fut::ready(()));
        }
        self.count_lateness(due.at);
        self.under_way.send_replace(true);
        let step = self.step();
        Box::pin(step.run().into_actor(self).map(|done, actor, _context| actor.step_done(done)))
    }
}

/// Execution ids: a random start for each process, counted up.
pub(crate) struct ExecutionIds {
    entropy: u128,
}

impl Default for ExecutionIds {
    fn default() -> Self {
        Self { entropy: Uuid::new_v4().as_u128() }
    }
}

impl ExecutionIds {
    /// The next one, at that time in Unix ms.
    pub(crate) fn next(&mut self, at_ms: u64) -> ExecutionId {
        self.entropy = self.entropy.wrapping_add(1);
        ExecutionId::new(at_ms, self.entropy)
    }
}

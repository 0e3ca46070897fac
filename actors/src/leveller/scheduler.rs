//! Scheduler: chooses when waiting executions run.
//!
//! In: [`Learned`] from the estimator, in journal order; [`GetScheduler`], [`RestoreScheduler`] and [`HandOver`]. Out:
//! [`Control`] to the server's queue, once a tick. What it thinks is published after each decision, and how the
//! queue takes it after each answer.
//!
//! Invariant: its backlog is the fold over the entries up to the consumer's positions, or it says `Lost`.
//! Slots are soft: each request says all of them again, so a lost one costs a tick at most.

use std::sync::Arc;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, ResponseActFuture, Supervised, WrapFuture,
};
use evenkeel_core::{
    estimator::Estimates,
    insight::{
        benefit::Summary,
        forecast::Forecast,
        learning::seconds_to_go,
        outlook::Outlook,
        shadow::{Shadow, ShadowReport, ShadowSettings},
    },
    journal::Mode,
    leveller::Standing,
    scheduler::{Feasibility, Plan, PolicyName, Scheduler as Core, SchedulerSnapshot, SnapshotError},
    server::{
        control::{ControlError, ControlRequest, ControlResponse, lease_ticks},
        queue::HoldSettings,
    },
    units::{lengths::Lengths, span::Given, tick::Tick},
};
use tokio::sync::watch;

use crate::{
    leveller::acceptance::Acceptance,
    messages::{
        Control, ControlRefused, GetScheduler, HandOver, LearnError, Learned, Lost, RestoreScheduler,
    },
    ports::lease::LeaseEpoch,
    supervise::{fault, health::ActorHealth, port::Port},
};

/// What the scheduler thought last; none before its first decision.
pub type LastDecision = Option<Decision>;

/// A decision, for people.
#[derive(Clone, Debug)]
pub struct Decision {
    /// After which tick it was made.
    pub tick: Tick,
    /// Whether the corridor can be reached.
    pub feasibility: Feasibility,
    /// Roughly, seconds until costs are known well enough; none when they are, or something else binds.
    pub learning_s: Option<f64>,
    /// Slots that it placed.
    pub slots: usize,
    /// What levelling has brought lately.
    pub benefit: Summary,
    /// The last minute's windows, as learned costs explain them.
    pub forecasts: Arc<[Forecast]>,
    /// How far they explain them: see [`Outlook::residual`].
    pub residual: Option<f64>,
    /// Learned costs.
    pub estimates: Arc<Estimates>,
    /// The database beside its twin; none before the first comparison.
    pub shadow: Option<Arc<ShadowReport>>,
    /// Milliseconds of a tick.
    pub tick_ms: u64,
}

/// Who levels, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The client's stable name.
    pub client: String,
    /// Its fencing token.
    pub epoch: LeaseEpoch,
    /// How slots are chosen.
    pub policy: PolicyName,
    /// How long the database's ticks and windows are, until the source tells other ones.
    pub lengths: Lengths,
    /// How long slots may hold executions, as the server has it.
    pub limits: HoldSettings,
    /// Ceiling for the mean delay; none lets the policy choose.
    pub delay_budget: Option<Given>,
}

/// See the module.
pub struct Scheduler {
    core: Option<Core>,
    outlook: Outlook,
    /// The mode that the queue told last, and the twin that belongs to it.
    shadow: Option<(Mode, Option<Shadow>)>,
    /// The tick after which it decided last.
    decided: Option<Tick>,
    settings: Settings,
    control: Port<Control>,
    acceptance: watch::Sender<Acceptance>,
    /// One request at a time: the next one says everything again.
    asking: watch::Sender<bool>,
    refused: bool,
    health: ActorHealth,
    published: watch::Sender<LastDecision>,
}

impl Scheduler {
    /// A scheduler that waits to be restored.
    pub fn new(
        settings: Settings,
        control: Port<Control>,
        health: ActorHealth,
        published: watch::Sender<LastDecision>,
        acceptance: watch::Sender<Acceptance>,
    ) -> Self {
        Self {
            core: None,
            outlook: Outlook::new(settings.lengths),
            shadow: None,
            decided: None,
            settings,
            control,
            acceptance,
            asking: watch::Sender::new(false),
            refused: false,
            health,
            published,
        }
    }

    fn lose_state(&mut self) {
        self.core = None;
        self.asking.send_replace(false);
        self.health.set_recovering(true);
    }

    /// From a snapshot, or nothing.
    fn begin(&self, snapshot: Option<SchedulerSnapshot>) -> Result<Core, SnapshotError> {
        let Settings { policy, lengths, limits, delay_budget, .. } = &self.settings;
        let (policy, lengths, limits) = (*policy, *lengths, limits.of(*lengths));
        let budget = delay_budget.map(|given| given.budget_ticks(lengths.tick_ms));
        match snapshot {
            Some(snapshot) => Core::restore(policy, lengths, limits, budget, snapshot),
            None => Ok(Core::new(policy, lengths, limits, budget)),
        }
    }

    /// The source has told how long ticks and windows are: everything that depends on it begins anew.
    fn learn_lengths(&mut self, lengths: Lengths) {
        if self.settings.lengths == lengths {
            return;
        }
        tracing::info!(%lengths, "the journal's database has");
        self.settings.lengths = lengths;
        self.outlook = Outlook::new(lengths);
        self.shadow = None;
        let snapshot = self.core.as_ref().map(Core::snapshot);
        self.core = snapshot.and_then(|snapshot| self.begin(Some(snapshot)).ok());
    }

    fn apply(&mut self, learned: &Learned) -> Result<(), Lost> {
        if let Some(lengths) = learned.batch.lengths {
            self.learn_lengths(lengths);
        }
        let core = self.core.as_mut().ok_or(Lost)?;
        let records = || learned.batch.entries.iter().map(|entry| &entry.record);
        records().for_each(|record| core.apply(record));
        self.outlook.apply(records(), &learned.estimates);
        if let Some((_, Some(shadow))) = &mut self.shadow {
            records().for_each(|record| shadow.apply(record));
        }
        Ok(())
    }

    fn decide(&mut self, tick: Tick, context: &mut Context<Self>) {
        let Some(core) = &mut self.core else { return };
        let plan = core.decide(tick, self.outlook.known());
        self.decided = Some(tick);
        if let Some((_, Some(shadow))) = &mut self.shadow {
            shadow.run(tick, self.outlook.known());
        }
        let decision = Decision {
            tick,
            feasibility: plan.feasibility,
            learning_s: seconds_to_go(plan.feasibility, self.outlook.known(), self.settings.lengths),
            slots: plan.set.len(),
            benefit: self.outlook.benefit(),
            forecasts: Arc::clone(self.outlook.forecasts()),
            residual: self.outlook.residual(),
            estimates: Arc::clone(self.outlook.known()),
            shadow: self.shadow.as_ref().and_then(|(_, shadow)| shadow.as_ref()?.report().cloned()),
            tick_ms: self.settings.lengths.tick_ms,
        };
        self.published.send_replace(Some(decision));
        if !*self.asking.borrow() {
            let asked = self.ask(plan, false);
            context.spawn(asked);
        }
    }

    /// Sends a plan, and takes the answer. One that hands over is the last.
    fn ask(&self, plan: Plan, handover: bool) -> impl ActorFutureExt<Self, Output = ()> + use<> {
        let set = plan.into_request();
        let Settings { client, epoch, lengths, .. } = &self.settings;
        let request = ControlRequest {
            client: client.clone(),
            epoch: epoch.held(),
            lease_ticks: lease_ticks(*lengths),
            set,
            handover,
        };
        self.asking.send_replace(true);
        let answer = self.control.send(Control(request));
        answer.into_actor(self).map(|answer, actor, _context| {
            actor.asking.send_replace(false);
            let failed = |_| {
                let cause = "the way to its queue failed, and starts again".to_owned();
                Err(ControlRefused::Unreachable(cause))
            };
            actor.answered(answer.unwrap_or_else(failed));
        })
    }

    /// Sends the last request. One that has decided nothing has nothing to leave.
    fn hand_over(&mut self) -> ResponseActFuture<Self, ()> {
        let (Some(core), Some(tick)) = (&mut self.core, self.decided) else {
            return Box::pin(actix::fut::ready(()));
        };
        let plan = core.hand_over(tick, self.outlook.known());
        tracing::info!(slots = plan.set.len(), %tick, "what waits is left to the server, with slots");
        Box::pin(self.ask(plan, true))
    }

    /// A twin shows what the mode does not do.
    fn follow(&mut self, mode: Mode, tick: Tick) {
        if self.shadow.as_ref().is_some_and(|(of, _)| *of == mode) {
            return;
        }
        let Settings { delay_budget, limits, lengths, .. } = &self.settings;
        let (limits, lengths) = (limits.of(*lengths), *lengths);
        let delay_budget = delay_budget.map(|given| given.budget_ticks(lengths.tick_ms));
        let settings = ShadowSettings { delay_budget, limits, lengths };
        // Entries of ticks that have begun may have been passed over already.
        self.shadow = Some((mode, Shadow::begin(mode, settings, tick.next())));
    }

    fn answered(&mut self, answer: Result<ControlResponse, ControlRefused>) {
        match answer {
            Ok(response) => {
                self.refused = false;
                self.acceptance.send_modify(|acceptance| {
                    acceptance.note(|standing, now_ms| standing.taken(now_ms, response.tick_ms));
                });
                if let Some(core) = &mut self.core {
                    core.answered(&response.results);
                }
                self.follow(response.mode, response.tick);
            }
            Err(cause) => {
                if let ControlRefused::Invalid(ControlError::Fenced { current, .. }) = &cause {
                    self.settings.epoch.outdated(*current);
                }
                self.acceptance.send_modify(|acceptance| {
                    acceptance.note(|standing, now_ms| standing.refused(now_ms, cause.to_string()));
                });
                if !self.refused {
                    tracing::warn!(%cause, "the queue refused the slots");
                }
                self.refused = true;
            }
        }
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Supervised for Scheduler {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Handler<Learned> for Scheduler {
    type Result = Result<(), LearnError>;

    fn handle(&mut self, learned: Learned, context: &mut Self::Context) -> Self::Result {
        fault::handling!("scheduler");
        self.apply(&learned)?;
        // Once a tick, as in virtual time; a commit between two ticks is no reason to think again.
        if let Some(tick) = learned.batch.caught_up.filter(|tick| self.decided < Some(*tick)) {
            self.decide(tick, context);
        }
        Ok(())
    }
}

impl Handler<HandOver> for Scheduler {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: HandOver, _context: &mut Self::Context) -> Self::Result {
        // A request that is on its way would take the lease again.
        let mut asking = self.asking.subscribe();
        let answered = async move { drop(asking.wait_for(|asking| !asking).await) };
        Box::pin(answered.into_actor(self).then(|(), actor, _context| actor.hand_over()))
    }
}

impl Handler<GetScheduler> for Scheduler {
    type Result = Result<SchedulerSnapshot, Lost>;

    fn handle(&mut self, _: GetScheduler, _context: &mut Self::Context) -> Self::Result {
        self.core.as_ref().map(Core::snapshot).ok_or(Lost)
    }
}

impl Handler<RestoreScheduler> for Scheduler {
    type Result = Result<(), SnapshotError>;

    fn handle(&mut self, restore: RestoreScheduler, _context: &mut Self::Context) -> Self::Result {
        self.core = Some(self.begin(restore.0)?);
        self.outlook = Outlook::new(self.settings.lengths);
        self.shadow = None;
        self.decided = None;
        self.acceptance.send_modify(|acceptance| acceptance.note(Standing::began));
        self.health.set_recovering(false);
        Ok(())
    }
}

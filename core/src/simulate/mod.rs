//! Runs the whole circle in virtual time: the same queue, windows, estimator and scheduler as live.
//!
//! ```text
//! tick t:  usage of t−1 ─▶ window ─▶ queue.advance(t) ─▶ records ─▶ estimator, scheduler ─▶ control, acts from t+1
//! ```

mod report;
mod trace;

use std::{collections::BTreeMap, ops::ControlFlow};

pub use self::{
    report::{DelayTicks, EstimateError, Report},
    trace::Trace,
};
use crate::{
    estimator::{CostEstimate, Estimates, Estimator},
    journal::{Commit, Executed, Mode, Queued, Recovered, ServerState},
    scheduler::{PolicyName, Scheduler},
    server::{
        control::{ControlRequest, LEASE_TICKS_DEFAULT},
        queue::{HoldLimits, RecordedQueue},
        steps::{Action, Steps, TickUsage},
    },
    units::{
        ids::{ExecutionId, QueryId},
        resource::{PerResource, Usage},
        tick::Tick,
        window::{Measured, OpenWindow},
    },
    world::World,
};

/// Ticks that are not counted, unless asked for otherwise: what is learned in them counts afterwards.
pub const WARM_UP_TICKS: u64 = 3_000;

/// Where the scheduler's costs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Costs {
    /// From the estimator, as live.
    Learned,
    /// From the world: what could be reached if nothing had to be learned.
    Known,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The database.
    pub world: World,
    /// Who levels.
    pub policy: PolicyName,
    /// Where costs come from.
    pub costs: Costs,
    /// Ceiling for the mean delay, in ticks; none lets the policy choose.
    pub delay_budget: Option<f64>,
    /// How long slots may hold executions.
    pub limits: HoldLimits,
    /// Ticks that are not counted.
    pub warm_up_ticks: u64,
    /// Runs ticks 0..`ticks`.
    pub ticks: u64,
}

impl Simulation {
    /// Runs it to the end. `on_tick` is called after each tick, for progress.
    pub fn run(&self, mut on_tick: impl FnMut(Tick)) -> Run {
        self.run_watched(|after| {
            on_tick(after.tick);
            ControlFlow::Continue(())
        })
    }

    /// The same, for who wants to see what is recorded and learned. It ends early when `on_tick` says so.
    pub fn run_watched(&self, mut on_tick: impl FnMut(&After<'_>) -> ControlFlow<()>) -> Run {
        let mut circle = Circle::new(self);
        let mut end = Tick(self.ticks);
        for tick in (0..self.ticks).map(Tick) {
            let commit = circle.step(tick);
            if on_tick(&After { tick, commit: &commit, circle: &circle }).is_break() {
                end = tick.next();
                break;
            }
        }
        circle.finish(end)
    }
}

/// What a tick leaves.
pub struct After<'a> {
    /// Which.
    pub tick: Tick,
    /// What it records.
    pub commit: &'a Commit,
    circle: &'a Circle<'a>,
}

impl After<'_> {
    /// How well costs are learned so far; none before a query has run five times.
    pub fn estimate_error(&self) -> Option<EstimateError> {
        let truth = self.circle.truth(self.tick);
        self.circle.trace.estimate_error(self.circle.estimator.estimates(), &truth)
    }

    /// What has been decided so far.
    pub fn trace(&self) -> &Trace {
        &self.circle.trace
    }

    /// The queue's rows.
    pub fn waiting(&self) -> impl Iterator<Item = Queued> {
        self.circle.queue.queue().planned().map(|planned| planned.queued)
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is judged by.
    pub report: Report,
    /// What happened.
    pub trace: Trace,
}

/// The state of one run.
struct Circle<'a> {
    simulation: &'a Simulation,
    index: BTreeMap<QueryId, usize>,
    queue: RecordedQueue,
    steps: Steps,
    /// What a start finds: an empty journal.
    begin: Recovered,
    measured: Measured,
    /// What the tick that is under way recorded.
    commit: Option<Commit>,
    estimator: Estimator,
    known: Option<Estimates>,
    scheduler: Scheduler,
    next_execution: u128,
    trace: Trace,
}

impl<'a> Circle<'a> {
    fn new(simulation: &'a Simulation) -> Self {
        let world = &simulation.world;
        let lengths = world.parameters().lengths();
        let mode = if simulation.policy.levels() { Mode::Enforce } else { Mode::Off };
        let begin =
            Recovered { state: ServerState { mode, ..ServerState::default() }, ..Recovered::default() };
        Self {
            simulation,
            index: (0..world.query_count()).map(|index| (world.query(index), index)).collect(),
            queue: RecordedQueue::recover(lengths, simulation.limits.clone(), &begin),
            steps: Steps::default(),
            begin,
            measured: Measured::recover(lengths, OpenWindow::of(lengths), None),
            commit: None,
            estimator: Estimator::default(),
            known: None,
            scheduler: Scheduler::new(
                simulation.policy,
                lengths,
                simulation.limits.clone(),
                simulation.delay_budget,
            ),
            next_execution: 0,
            trace: Trace { lengths, from: Tick(simulation.warm_up_ticks), ..Trace::default() },
        }
    }

    /// One tick, in the steps that the daemon takes.
    fn step(&mut self, tick: Tick) -> Commit {
        let mut steps = std::mem::take(&mut self.steps);
        while steps.due() != Some(tick.next()) {
            match steps.action() {
                Action::Recover => steps.recovered(&self.begin),
                Action::Measure(usage) => steps.measured(self.measure(usage)),
                Action::Advance(tick, measured) => steps.advanced(self.advance(tick, &measured)),
                Action::Start(tick, batch) => {
                    let usage = self.execute(tick, batch);
                    self.trace.tick(usage, batch);
                    steps.started(usage);
                }
                Action::Await(_) => unreachable!("what a tick uses is told when it is started"),
            }
        }
        self.steps = steps;
        let commit = self.commit.take().expect("a tick records something, be it nothing but its state");
        for record in &commit.records {
            self.estimator.apply(record);
            self.scheduler.apply(record);
        }
        if self.simulation.policy.levels() {
            self.level(tick);
        }
        commit
    }

    fn measure(&mut self, usage: Option<TickUsage>) -> Measured {
        if let Some(TickUsage { tick, usage, executed }) = usage {
            self.measured.add(tick, &usage, executed).expect("ticks come in order");
        }
        self.measured
    }

    fn advance(&mut self, tick: Tick, measured: &Measured) -> Vec<Executed> {
        let at_ms = tick.0 * self.simulation.world.parameters().tick_ms;
        let arrivals = self.arrivals(tick, at_ms);
        let advanced = self.queue.advance(tick, at_ms, arrivals, *measured);
        let (commit, executed) = advanced.expect("ticks come in order");
        self.commit = Some(commit);
        executed
    }

    fn arrivals(&mut self, tick: Tick, at_ms: u64) -> Vec<(ExecutionId, QueryId)> {
        let world = &self.simulation.world;
        let arrivals = world.arrivals(tick).into_iter().map(|index| {
            self.next_execution += 1;
            (ExecutionId::new(at_ms, self.next_execution), world.query(index))
        });
        arrivals.collect()
    }

    fn execute(&self, tick: Tick, executed: &[Executed]) -> Usage {
        let mut usage = Usage::default();
        for executed in executed {
            usage += self.simulation.world.cost(self.index[&executed.query], tick);
        }
        usage
    }

    fn level(&mut self, tick: Tick) {
        let estimates = match self.simulation.costs {
            Costs::Learned => self.estimator.estimates(),
            Costs::Known => known_at(&mut self.known, &self.simulation.world, tick),
        };
        let plan = self.scheduler.decide(tick, estimates);
        self.trace.decided(plan.feasibility);
        let set = plan.into_request();
        let request = ControlRequest {
            client: "simulate".to_owned(),
            epoch: 1,
            lease_ticks: LEASE_TICKS_DEFAULT,
            set,
            handover: false,
        };
        self.queue.control(&request).expect("the only client is never refused");
    }

    /// What each query costs in `tick`.
    fn truth(&self, tick: Tick) -> BTreeMap<QueryId, Usage> {
        let world = &self.simulation.world;
        (0..world.query_count()).map(|index| (world.query(index), world.cost(index, tick))).collect()
    }

    fn finish(self, end: Tick) -> Run {
        let waiting: Vec<_> =
            self.queue.queue().planned().map(|planned| planned.queued.queued_tick).collect();
        let truth = self.truth(end);
        let estimates = match self.simulation.costs {
            Costs::Learned => Some(self.estimator.estimates()),
            Costs::Known => None,
        };
        let report = self.trace.report(end, &waiting, estimates, &truth);
        Run { report, trace: self.trace }
    }
}

/// The world's costs, read anew when they change.
fn known_at<'a>(known: &'a mut Option<Estimates>, world: &World, tick: Tick) -> &'a Estimates {
    if world.parameters().drift.is_some_and(|drift| drift.at_tick == tick.0) {
        *known = None;
    }
    known.get_or_insert_with(|| known_costs(world, tick))
}

fn known_costs(world: &World, tick: Tick) -> Estimates {
    let by_query = (0..world.query_count()).map(|index| {
        let estimate = CostEstimate {
            cost: world.cost(index, tick).map(|cost| cost as f64),
            standard_error: PerResource::default(),
            observations: 1,
            identifiable: true,
        };
        (world.query(index), estimate)
    });
    Estimates::new(by_query.collect(), None)
}

//! Runs the whole circle in virtual time: the same queue, windows, estimator and scheduler as live.
//!
//! ```text
//! World ─arrivals, costs─▶ Circle: steps, queue, scheduler ─records─▶ Estimator ─estimates─▶ Circle
//! ```

pub mod real;
mod recorded;
mod report;
mod trace;

use std::{collections::BTreeMap, ops::ControlFlow};

pub use self::{
    recorded::{Asked, BUDGETS, Recorded, Sweep},
    report::{DelayTicks, EstimateError, Report},
    trace::Trace,
};
use crate::{
    circle::{Circle, Ticked},
    estimator::{CostEstimate, Estimates, Estimator},
    journal::{Commit, Executed, Mode, Queued},
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::{
        ids::{ExecutionId, QueryId},
        resource::{PerResource, Usage},
        tick::Tick,
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
        let mut running = Running::new(self);
        let mut end = Tick(self.ticks);
        for tick in (0..self.ticks).map(Tick) {
            let commit = running.step(tick);
            if on_tick(&After { tick, commit: &commit, running: &running }).is_break() {
                end = tick.next();
                break;
            }
        }
        running.finish(end)
    }
}

/// What a tick leaves.
pub struct After<'a> {
    /// Which.
    pub tick: Tick,
    /// What it records.
    pub commit: &'a Commit,
    running: &'a Running<'a>,
}

impl After<'_> {
    /// How well costs are learned so far; none before a query has run five times.
    pub fn estimate_error(&self) -> Option<EstimateError> {
        let truth = self.running.truth(self.tick);
        self.running.trace.estimate_error(self.running.estimator.estimates(), &truth)
    }

    /// What has been decided so far.
    pub fn trace(&self) -> &Trace {
        &self.running.trace
    }

    /// The queue's rows.
    pub fn waiting(&self) -> impl Iterator<Item = Queued> {
        self.running.circle.queue().planned().map(|planned| planned.queued)
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
struct Running<'a> {
    simulation: &'a Simulation,
    index: BTreeMap<QueryId, usize>,
    circle: Circle,
    estimator: Estimator,
    known: Option<Estimates>,
    next_execution: u128,
    trace: Trace,
}

impl<'a> Running<'a> {
    fn new(simulation: &'a Simulation) -> Self {
        let Simulation { world, policy, limits, .. } = simulation;
        let lengths = world.parameters().lengths();
        let mode = if policy.levels() { Mode::Enforce } else { Mode::Off };
        let scheduler = Scheduler::new(*policy, lengths, limits.clone(), simulation.delay_budget);
        Self {
            simulation,
            index: (0..world.query_count()).map(|index| (world.query(index), index)).collect(),
            circle: Circle::new(lengths, mode, limits.clone(), scheduler, Tick(0)),
            estimator: Estimator::default(),
            known: None,
            next_execution: 0,
            trace: Trace { lengths, from: Tick(simulation.warm_up_ticks), ..Trace::default() },
        }
    }

    /// One tick. What it records.
    fn step(&mut self, tick: Tick) -> Commit {
        let arrivals = self.arrivals(tick);
        let Self { index, simulation, .. } = self;
        let cost = |executed: &Executed| simulation.world.cost(index[&executed.query], tick);
        let Ticked { commit, executed, usage } = self.circle.step(tick, arrivals, cost);
        self.trace.tick(usage, &executed);
        commit.records.iter().for_each(|record| self.estimator.apply(record));
        if self.simulation.policy.levels() {
            let estimates = match self.simulation.costs {
                Costs::Learned => self.estimator.estimates(),
                Costs::Known => known_at(&mut self.known, &self.simulation.world, tick),
            };
            self.trace.decided(self.circle.level(tick, estimates));
        }
        commit
    }

    fn arrivals(&mut self, tick: Tick) -> Vec<(ExecutionId, QueryId)> {
        let world = &self.simulation.world;
        let at_ms = tick.0 * world.parameters().tick_ms;
        let arrivals = world.arrivals(tick).into_iter().map(|index| {
            self.next_execution += 1;
            (ExecutionId::new(at_ms, self.next_execution), world.query(index))
        });
        arrivals.collect()
    }

    /// What each query costs in `tick`.
    fn truth(&self, tick: Tick) -> BTreeMap<QueryId, Usage> {
        let world = &self.simulation.world;
        (0..world.query_count()).map(|index| (world.query(index), world.cost(index, tick))).collect()
    }

    fn finish(self, end: Tick) -> Run {
        let waiting: Vec<_> =
            self.circle.queue().planned().map(|planned| planned.queued.queued_tick).collect();
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

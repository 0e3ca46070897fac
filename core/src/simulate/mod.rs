//! Runs the whole circle in virtual time: the same queue, windows, estimator and scheduler as live.
//!
//! ```text
//! tick t:  usage of t−1 ─▶ window ─▶ queue.advance(t) ─▶ records ─▶ estimator, scheduler ─▶ control, acts from t+1
//! ```

mod report;
mod trace;

use std::collections::BTreeMap;

pub use self::{
    report::{DelayTicks, EstimateError, Report},
    trace::Trace,
};
use crate::{
    estimator::{CostEstimate, Estimates, Estimator},
    journal::{Executed, Mode, Record, Recovered, ServerState},
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
        let mut circle = Circle::new(self);
        for tick in (0..self.ticks).map(Tick) {
            circle.step(tick);
            on_tick(tick);
        }
        circle.finish()
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
    recorded: Vec<Record>,
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
            recorded: Vec::new(),
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
    fn step(&mut self, tick: Tick) {
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
        for record in std::mem::take(&mut self.recorded) {
            self.estimator.apply(&record);
            self.scheduler.apply(&record);
        }
        if self.simulation.policy.levels() {
            self.level(tick);
        }
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
        self.recorded = commit.records;
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

    fn finish(self) -> Run {
        let end = Tick(self.simulation.ticks);
        let waiting: Vec<_> =
            self.queue.queue().planned().map(|planned| planned.queued.queued_tick).collect();
        let truth = (0..self.simulation.world.query_count())
            .map(|index| {
                let world = &self.simulation.world;
                (world.query(index), world.cost(index, end))
            })
            .collect();
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

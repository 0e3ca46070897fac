//! Runs the whole circle in virtual time: the same queue, windows, estimator and scheduler as live.
//!
//! ```text
//! tick t:  usage of t−1 ─▶ window ─▶ queue.advance(t) ─▶ records ─▶ estimator, scheduler ─▶ control, acts from t+1
//! ```

mod report;

use std::collections::BTreeMap;

use self::report::Measurements;
pub use self::report::{DelayTicks, EstimateError, Report};
use crate::{
    control::{ControlRequest, LEASE_TICKS_DEFAULT, Mode, SET_MAX},
    estimator::{CostEstimate, Estimates, Estimator},
    ids::{ExecutionId, QueryId},
    journal::{Executed, QueueEvent, QueueRecord},
    queue::{HoldLimits, Queue, Queued},
    resource::{PerResource, Usage},
    scheduler::{PolicyName, Scheduler},
    tick::Tick,
    window::{OpenWindow, WINDOW_TICKS, Window},
    world::World,
};

/// Ticks that are not counted: what is learned in them counts afterwards.
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
    /// Runs ticks 0..`ticks`.
    pub ticks: u64,
}

impl Simulation {
    /// Runs it to the end. `on_tick` is called after each tick, for progress.
    pub fn run(&self, mut on_tick: impl FnMut(Tick)) -> Report {
        let mut circle = Circle::new(self);
        for tick in (0..self.ticks).map(Tick) {
            circle.step(tick);
            on_tick(tick);
        }
        circle.finish()
    }
}

/// The state of one run.
struct Circle<'a> {
    simulation: &'a Simulation,
    index: BTreeMap<QueryId, usize>,
    queue: Queue,
    open_window: OpenWindow,
    last_usage: Option<(Tick, Usage, u64)>,
    estimator: Estimator,
    known: Option<Estimates>,
    scheduler: Scheduler,
    next_execution: u128,
    measured: Measurements,
}

impl<'a> Circle<'a> {
    fn new(simulation: &'a Simulation) -> Self {
        let world = &simulation.world;
        let mode = if simulation.policy.levels() { Mode::Enforce } else { Mode::Off };
        Self {
            simulation,
            index: (0..world.query_count()).map(|index| (world.query(index), index)).collect(),
            queue: Queue::new(world.parameters().tick_ms, simulation.limits.clone(), mode),
            open_window: OpenWindow::default(),
            last_usage: None,
            estimator: Estimator::default(),
            known: None,
            scheduler: Scheduler::new(simulation.policy, simulation.limits.clone(), simulation.delay_budget),
            next_execution: 0,
            measured: Measurements::default(),
        }
    }

    fn step(&mut self, tick: Tick) {
        let window = self.close_window();
        let at_ms = tick.0 * self.simulation.world.parameters().tick_ms;
        let arrivals = self.arrivals(tick, at_ms);
        let step = self.queue.advance(tick, at_ms, arrivals).expect("ticks come in order");
        let usage = self.execute(tick, &step.executed);
        self.last_usage = Some((tick, usage, step.executed.len() as u64));
        self.measured.tick(tick, usage, &step);

        for executed in &step.executed {
            self.estimator.executed(executed);
            self.scheduler.executed(executed);
        }
        for queued in &step.queued {
            self.scheduler.queue_event(&queued_record(queued));
        }
        if let Some(window) = window {
            self.estimator.window(&window);
            self.scheduler.window(&window);
        }
        if self.simulation.policy.levels() {
            self.level(tick);
        }
    }

    /// The usage of a tick is known with the next one, as live.
    fn close_window(&mut self) -> Option<Window> {
        let (tick, usage, executed) = self.last_usage.take()?;
        let window = self.open_window.add(tick, &usage, executed).expect("ticks come in order")?;
        self.queue.window_closed(&window);
        Some(window)
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
        self.measured.decided(plan.feasibility);
        let mut set = plan.set;
        set.truncate(SET_MAX);
        let request =
            ControlRequest { client: "simulate".to_owned(), epoch: 1, lease_ticks: LEASE_TICKS_DEFAULT, set };
        self.queue.control(&request).expect("the only client is never refused");
    }

    fn finish(mut self) -> Report {
        let end = Tick(self.simulation.ticks);
        let waiting: Vec<_> = self.queue.planned().map(|planned| planned.queued.queued_tick).collect();
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
        self.measured.report(end, &waiting, estimates, &truth)
    }
}

/// The journal's record of an arrival.
fn queued_record(queued: &Queued) -> QueueRecord {
    QueueRecord {
        event: QueueEvent::Queued,
        execution: queued.execution,
        query: queued.query,
        tick: queued.queued_tick,
        due_tick: queued.due_tick,
        added_ticks: 0,
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

/// Whether `tick` is the first of a window.
fn opens_window(tick: Tick) -> bool {
    tick.0.is_multiple_of(WINDOW_TICKS)
}

//! Runs a database with executions that take time, with and without somebody who times the deferrable ones.
//!
//! ```text
//! RealWorld ─arrivals─┬─ interactive ────────────▶ Host ─▶ ends, CPU used each tick ─▶ RealReport
//!                     └─ deferrable ─▶ Gate ─────▶   │
//!                            ▲ costs                 ▼
//!                            └──────────────── RunEstimator
//! ```
//!
//! The same world offers every policy the same arrivals, each with the same CPU time.

mod gate;
mod host;
mod learn;
mod measure;
mod paced;

use std::{fmt, str::FromStr};

use serde::Serialize;

use self::{gate::Gate, host::Host, learn::Learner, measure::Measure};
pub use self::{
    learn::Learning,
    measure::{Level, RealReport, Waits},
};
use crate::{
    estimator::runs::RunEstimator,
    units::ids::ExecutionId,
    world::real::{Arrival, Kind, Origin, RealWorld},
};

/// Between two questions to who times, µs.
const STEP_US: u64 = 10_000;
/// A tick, µs.
const TICK_US: u64 = 100_000;
/// Longest that a deferrable statement is held, µs.
pub const DELAY_MAX_US: u64 = 60_000_000;

/// Who times the deferrable statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RealPolicy {
    /// Nobody.
    None,
    /// One at a time, oldest first.
    CapOne,
    /// As many at a time as there are cores.
    CapCores,
    /// Each two seconds later.
    FixedDelay,
    /// As many a second as arrive on average, oldest first, whatever they cost.
    PacedFifo,
    /// By credit in CPU time, at learned costs.
    Paced,
}

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy `{name}`: one of {}", RealPolicy::ALL.map(RealPolicy::name).join(", "))]
pub struct UnknownRealPolicy {
    /// What was asked for.
    pub name: String,
}

impl RealPolicy {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::CapOne, Self::CapCores, Self::FixedDelay, Self::PacedFifo, Self::Paced];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::CapOne => "cap-1",
            Self::CapCores => "cap-n",
            Self::FixedDelay => "fixed-delay",
            Self::PacedFifo => "paced-fifo",
            Self::Paced => "paced",
        }
    }
}

impl fmt::Display for RealPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RealPolicy {
    type Err = UnknownRealPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or_else(|| UnknownRealPolicy { name: text.to_owned() })
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct RealSimulation {
    /// The database.
    pub world: RealWorld,
    /// Who times.
    pub policy: RealPolicy,
    /// Where costs come from.
    pub learning: Learning,
    /// How [`RealPolicy::Paced`] is set.
    pub tuning: Tuning,
    /// What is not counted at the beginning, s.
    pub warm_up_s: u64,
    /// What is counted, s.
    pub counted_s: u64,
}

/// How [`RealPolicy::Paced`] is set; the default is what is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Of the one who spends.
    pub pacer: crate::server::pacer::PacerSettings,
    /// Of the one who says how much; its cores are the world's.
    pub target: crate::scheduler::pacing::PaceSettings,
}

impl Default for Tuning {
    fn default() -> Self {
        use crate::{scheduler::pacing::PaceSettings, server::pacer::PacerSettings};
        Self { pacer: PacerSettings::default(), target: PaceSettings::of(1) }
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct RealRun {
    /// What it is judged by.
    pub report: RealReport,
    /// Busy cores, tick by tick, from the beginning.
    pub ticks: Vec<f64>,
    /// What has ended of what is recorded, in the order in which it ended.
    pub ended: Vec<Ended>,
    /// What was learned.
    pub estimator: RunEstimator,
    /// Mean CPU time of what has ended of each kind since the beginning, µs, and how often that was: what a database
    /// would say of itself.
    pub truth: Vec<(f64, u64)>,
}

/// An execution that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// Which of the world's kinds.
    pub kind: usize,
    /// When it began, µs.
    pub began_us: u64,
    /// When it ended, µs.
    pub ended_us: u64,
    /// CPU time that it used, µs.
    pub cpu_us: f64,
}

impl RealRun {
    /// What learned costs are off by, weighed by what each kind used: Σ n·|estimate − true mean| / Σ n·true mean.
    pub fn cost_error(&self, world: &RealWorld) -> f64 {
        let (mut off, mut all) = (0.0, 0.0);
        for (kind, (mean, count)) in world.kinds().iter().zip(&self.truth) {
            let learned = self.estimator.cost(kind.query).map_or(0.0, |cost| cost.cpu_us);
            off += (learned - mean).abs() * *count as f64;
            all += mean * *count as f64;
        }
        if all > 0.0 { off / all } else { 0.0 }
    }
}

impl RealSimulation {
    /// Runs it to the end.
    pub fn run(&self) -> RealRun {
        Running::new(self).run()
    }
}

/// The state of one run.
struct Running<'a> {
    simulation: &'a RealSimulation,
    arrivals: Vec<Arrival>,
    host: Host,
    gate: Gate,
    learner: Learner,
    measure: Measure,
    /// When each arrival began, µs.
    began: Vec<u64>,
    ended: Vec<Ended>,
}

impl<'a> Running<'a> {
    fn new(simulation: &'a RealSimulation) -> Self {
        let RealSimulation { world, warm_up_s, counted_s, .. } = simulation;
        let cores = world.parameters().cores;
        let second = crate::world::real::SECOND_US;
        let (from_us, end_us) = (warm_up_s * second, (warm_up_s + counted_s) * second);
        let arrivals = world.arrivals(end_us);
        Self {
            simulation,
            began: vec![0; arrivals.len()],
            ended: Vec::new(),
            arrivals,
            host: Host::new(cores),
            gate: Gate::new(simulation.policy, cores, simulation.tuning),
            learner: Learner::new(simulation.learning, world.kinds(), cores),
            measure: Measure::new(from_us, end_us, world.kinds().len()),
        }
    }

    fn run(mut self) -> RealRun {
        let mut next = 0;
        let mut step_us = 0;
        while step_us < self.measure.end_us {
            step_us += STEP_US;
            while let Some(arrival) = self.arrivals.get(next).copied().filter(|next| next.at_us < step_us) {
                self.advance(arrival.at_us);
                self.arrived(next, &arrival);
                next += 1;
            }
            self.advance(step_us);
            if step_us.is_multiple_of(TICK_US) {
                self.tick(step_us);
            }
            self.release(step_us);
        }
        let waiting = self.gate.waiting();
        let held = waiting.iter().map(|id| self.arrivals[*id].at_us);
        let Measure { truth, .. } = &self.measure;
        let truth = truth.iter().map(|(sum, count)| (sum / (*count).max(1) as f64, *count)).collect();
        let running = self.host.tasks.iter().map(|task| task.id);
        let running = running.filter(|id| self.origin(*id) == Origin::Deferrable).count();
        RealRun {
            report: self.measure.report(held, running),
            ticks: self.measure.ticks().to_vec(),
            ended: self.ended,
            estimator: self.learner.estimator,
            truth,
        }
    }

    fn kind(&self, id: usize) -> Option<&'a Kind> {
        self.arrivals[id].kind.map(|kind| &self.simulation.world.kinds()[kind])
    }

    fn origin(&self, id: usize) -> Origin {
        self.kind(id).map_or(Origin::Background, |kind| kind.origin)
    }

    fn arrived(&mut self, id: usize, arrival: &Arrival) {
        let us = arrival.at_us;
        match self.origin(id) {
            Origin::Deferrable => {
                let cost_us = self.learner.cost_us(arrival.kind.unwrap_or_default());
                self.gate.arrived(us, id, cost_us as u64);
                self.release(us);
            }
            Origin::Interactive | Origin::Background => self.start(us, id),
        }
    }

    /// Begins what may leave.
    fn release(&mut self, us: u64) {
        for id in self.gate.released(us) {
            self.measure.released(self.arrivals[id].at_us, us);
            self.start(us, id);
        }
    }

    fn start(&mut self, us: u64, id: usize) {
        let Arrival { cpu_us, share, processes, .. } = self.arrivals[id];
        self.host.start(id, cpu_us, share, processes);
        self.began[id] = us;
        if let Some(kind) = self.kind(id) {
            self.learner.began(us, execution(id), kind);
        }
    }

    fn advance(&mut self, us: u64) {
        while let Some((id, at_us, used_us)) = self.host.advance(us as f64) {
            let (arrival, at_us) = (self.arrivals[id], libm::ceil(at_us) as u64);
            let Some(kind) = self.kind(id) else { continue };
            if let Some(kind) = arrival.kind {
                self.ended.push(Ended { kind, began_us: self.began[id], ended_us: at_us, cpu_us: used_us });
            }
            let clock = self.learner.ended(at_us, execution(id), used_us);
            self.measure.ended(&arrival, kind.origin == Origin::Interactive, at_us, used_us);
            if kind.origin == Origin::Deferrable {
                self.gate.ended(at_us, id, clock);
                self.release(at_us.min(us));
            }
        }
    }

    /// A tick is over: what it used is known.
    fn tick(&mut self, us: u64) {
        let used_us = self.measure.tick(self.host.used_us);
        let clocks = self.learner.tick(us, used_us, &self.host);
        self.gate.tick(us, used_us as u64, &clocks);
    }
}

fn execution(id: usize) -> ExecutionId {
    ExecutionId::new(0, id as u128 + 1)
}

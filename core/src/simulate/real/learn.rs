//! What is learned in a run, and from what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{TICK_US, execution, host::Host};
use crate::{
    chance::{self, Dice},
    estimator::runs::{Began, RunEstimator, Sample},
    units::ids::ExecutionId,
    world::real::Kind,
};

/// What a query costs that nothing is known of, µs.
const UNSEEN_US: f64 = 50_000.0;
/// By how much the clock of a backend that runs may be read before the end of its sample, µs.
const CLOCK_EARLY_US: f64 = 500.0;

/// Where costs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learning {
    /// From the world.
    Known,
    /// Each backend's clock is read before and after each statement, on the same host.
    Clocks,
    /// An agent reads the clocks of busy backends each tick.
    Agent,
    /// What the whole database used each tick.
    Ticks,
    /// What the whole database used each second: windows, as a journal has them.
    Windows,
}

pub(super) struct Learner {
    learning: Learning,
    known: Vec<Kind>,
    pub(super) estimator: RunEstimator,
    dice: Dice,
    /// Sessions: each runs one execution at a time.
    busy: BTreeMap<ExecutionId, u64>,
    free: BTreeSet<u64>,
    /// What each session's clock says, and what it said at the last tick.
    clocks: BTreeMap<u64, (f64, f64)>,
    second_us: f64,
}

impl Learner {
    pub(super) fn new(learning: Learning, kinds: &[Kind], cores: u32) -> Self {
        Self {
            learning,
            known: kinds.to_vec(),
            estimator: RunEstimator::new(f64::from(cores)),
            dice: Dice::new(1),
            busy: BTreeMap::new(),
            free: BTreeSet::new(),
            clocks: BTreeMap::new(),
            second_us: 0.0,
        }
    }

    /// What an execution is expected to cost.
    pub(super) fn cost_us(&self, kind: usize) -> f64 {
        let kind = &self.known[kind];
        if self.learning == Learning::Known {
            return kind.cpu_us;
        }
        let learned = self.estimator.cost(kind.query).map(|cost| cost.cpu_us);
        learned.or_else(|| self.estimator.unseen_us()).unwrap_or(UNSEEN_US)
    }

    pub(super) fn began(&mut self, us: u64, execution: ExecutionId, kind: &Kind) {
        let backend = self.free.pop_first().unwrap_or(self.busy.len() as u64);
        self.busy.insert(execution, backend);
        self.estimator.began(Began { execution, query: kind.query, at_us: us, backend });
    }

    /// An execution has ended, having used `used_us`. What a clock says of that.
    pub(super) fn ended(&mut self, us: u64, execution: ExecutionId, used_us: f64) -> Option<u64> {
        if let Some(backend) = self.busy.remove(&execution) {
            self.free.insert(backend);
            self.clocks.entry(backend).or_default().0 += used_us;
        }
        let clock = (self.learning == Learning::Clocks).then_some(used_us as u64);
        self.estimator.ended(execution, us, clock);
        clock
    }

    /// A tick is over. What clocks say of the executions that run.
    pub(super) fn tick(&mut self, us: u64, used_us: f64, host: &Host) -> Vec<(usize, u64)> {
        let clocked = matches!(self.learning, Learning::Clocks | Learning::Agent);
        self.second_us += used_us;
        let (length_us, cpu_us) = if self.learning != Learning::Windows {
            (TICK_US, used_us)
        } else if us.is_multiple_of(10 * TICK_US) {
            (10 * TICK_US, self.second_us)
        } else {
            return Vec::new();
        };
        self.second_us = 0.0;
        let running = host.tasks.iter().filter(|task| self.busy.contains_key(&execution(task.id)));
        let running: Vec<_> = running.map(|task| (task.id, task.used_us)).collect();
        let mut backends = Vec::new();
        if self.learning == Learning::Agent {
            backends = self.read_clocks(&running);
        }
        let cpu_us = Some(cpu_us as u64);
        self.estimator.sample(Sample { from_us: us - length_us, to_us: us, cpu_us, backends });
        let read = |(id, used_us): (usize, f64)| (id, used_us as u64);
        if clocked { running.into_iter().map(read).collect() } else { Vec::new() }
    }

    /// What each backend used since the last tick, as an agent sees it.
    fn read_clocks(&mut self, running: &[(usize, f64)]) -> Vec<(u64, u64)> {
        let mut now: BTreeMap<u64, f64> = self.clocks.iter().map(|(id, (ended, _))| (*id, *ended)).collect();
        for (id, used_us) in running {
            let early = CLOCK_EARLY_US * chance::unit(&mut self.dice);
            *now.entry(self.busy[&execution(*id)]).or_default() += (used_us - early).max(0.0);
        }
        let mut backends = Vec::new();
        for (backend, reads) in now {
            let (_, before) = self.clocks.entry(backend).or_default();
            backends.push((backend, (reads - *before).max(0.0) as u64));
            *before = reads;
        }
        backends
    }
}

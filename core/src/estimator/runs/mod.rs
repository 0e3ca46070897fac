//! What executions cost that take time: many ticks, or a fraction of one.
//!
//! ```text
//! began, ended ─▶ timeline ─▶ what each run was served, sample by sample ─▶ rates ─┐
//! samples ──────▶ (in order)                                                       ├─▶ cost = rate · mean service
//! clocks of backends ─────────────────────────────────────────────────────▶ kinds ─┘
//! ```
//!
//! A query has a **rate**: the processors that it uses while nothing competes with it. Less than 1 is waiting, more than 1
//! are parallel workers. Of a run's time, that in which it competes is **crowded**: then it has its fair share of the
//! cores, whatever its rate. The rest is **free**. So a sample of the whole database is
//! `background · length + Σ rate · free time + Σ crowded`, linear in rates that lie between 0 and some 1 whatever a query
//! costs: a query that takes ten times as long is known to cost ten times as much at once. What a backend's clock says is
//! the same equation, of that backend's runs alone and without background.

mod kind;
mod rates;
mod service;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::{
    kind::Kind,
    rates::{Rates, Seen},
    service::Service,
    timeline::{Served, Timeline},
};
use crate::units::ids::{ExecutionId, QueryId};

/// Queries of which something is known; of more, those that were not seen for longest are forgotten.
const QUERIES_MAX: usize = 100_000;

/// A run that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// Which execution.
    pub execution: ExecutionId,
    /// Of which query; a transaction is one unit, with a query of its own.
    pub query: QueryId,
    /// When it was sent, µs.
    pub at_us: u64,
    /// Which session's backend it runs in, as [`Sample::backends`] names it.
    pub backend: u64,
}

/// What was used in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its beginning, µs.
    pub from_us: u64,
    /// Its end, µs: when it was really taken, however late that was.
    pub to_us: u64,
    /// CPU time of the whole database, µs; none when that is not known.
    pub cpu_us: Option<u64>,
    /// CPU time of single backends, µs, parallel workers included, by the session's name. One that is not there is not
    /// known.
    pub backends: Vec<(u64, u64)>,
}

/// What is known of a query's executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunCost {
    /// Mean CPU time of an execution, µs.
    pub cpu_us: f64,
    /// Standard error of that mean, µs.
    pub standard_error_us: f64,
    /// Standard deviation of executions' CPU time, µs: parameters differ.
    pub spread_us: f64,
    /// Mean duration of an execution, µs.
    pub duration_us: f64,
    /// Processors that it uses while nothing competes with it.
    pub rate: f64,
    /// Executions that were seen.
    pub executions: u64,
    /// Of these, those whose CPU time a clock told.
    pub clocked: u64,
}

/// Learns costs from runs and samples.
///
/// A sample is learned from once everything has ended that began before its end. So the order of calls is: all that began
/// before a sample's end, then the sample; ends in any order. Samples come in the order of time; a gap between two is time
/// of which nothing is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunEstimator {
    timeline: Timeline,
    kinds: BTreeMap<QueryId, Kind>,
    rates: Rates,
}

impl RunEstimator {
    /// An estimator that has seen nothing of a database on so many cores.
    pub fn new(cores: f64) -> Self {
        Self { timeline: Timeline::new(cores), kinds: BTreeMap::new(), rates: Rates::default() }
    }

    /// Notes that a run has begun.
    pub fn began(&mut self, began: Began) {
        self.timeline.began(began);
    }

    /// Notes that a run has ended, and what its backend's clock said of it, where it was read before and after.
    pub fn ended(&mut self, execution: ExecutionId, at_us: u64, cpu_us: Option<u64>) {
        self.timeline.ended(execution, at_us, cpu_us);
        self.learn();
    }

    /// Notes a sample.
    pub fn sample(&mut self, sample: Sample) {
        self.timeline.sample(sample);
        self.learn();
    }

    /// What is known of a query; none before its first run has been learned from.
    pub fn cost(&self, query: QueryId) -> Option<RunCost> {
        self.kinds.get(&query).map(|kind| kind.cost(self.rates.of(kind.number)))
    }

    /// What to expect of a query that was never seen: the mean over queries, weighed by their executions.
    pub fn unseen_us(&self) -> Option<f64> {
        let of = |kind: &Kind| (kind.cost(self.rates.of(kind.number)).cpu_us, 1.0);
        let sum = self.kinds.values().map(of).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (sum.1 > 0.0).then(|| sum.0 / sum.1)
    }

    /// All queries that were seen.
    pub fn costs(&self) -> impl Iterator<Item = (QueryId, RunCost)> {
        self.kinds.iter().map(|(query, kind)| (*query, kind.cost(self.rates.of(kind.number))))
    }

    /// Processors that are used while nothing runs that was recorded, and the standard error.
    pub fn background(&self) -> (f64, f64) {
        let rate = self.rates.background();
        (rate.mean, libm::sqrt(rate.variance))
    }

    fn learn(&mut self) {
        while let Some(mut served) = self.next() {
            self.number(&served);
            self.rates.pass(served.length_us);
            self.clocks(&mut served);
            self.whole(&served);
            for ended in self.timeline.finish(&served) {
                if let Some(kind) = self.kinds.get_mut(&ended.query) {
                    kind.ended(&ended);
                }
            }
        }
    }

    fn next(&mut self) -> Option<Served> {
        let Self { timeline, kinds, rates } = self;
        let rate = |query| kinds.get(&query).map_or(rates::PRIOR, |kind| rates.of(kind.number)).mean;
        timeline.next(rate, rates.background().mean)
    }

    /// Gives queries that are new a place.
    fn number(&mut self, served: &Served) {
        for run in &served.runs {
            if !self.kinds.contains_key(&run.query) {
                if self.kinds.len() >= QUERIES_MAX
                    && let Some(oldest) = self.oldest()
                    && let Some(kind) = self.kinds.remove(&oldest)
                {
                    self.rates.vacate(kind.number);
                }
                self.kinds.insert(run.query, Kind::new(self.rates.admit()));
            }
        }
    }

    fn oldest(&self) -> Option<QueryId> {
        self.kinds.iter().min_by_key(|(_, kind)| kind.last_us).map(|(query, _)| *query)
    }

    /// Learns from the clocks of single backends, and shares what each says among the backend's runs.
    fn clocks(&mut self, served: &mut Served) {
        let backends = std::mem::take(&mut served.backends);
        for (backend, cpu_us) in &backends {
            let seen = self.seen(served.runs.iter().filter(|run| run.backend == *backend), *cpu_us);
            let expected = seen.crowded_us + self.rates.expected_us(&seen.terms);
            for run in served.runs.iter_mut().filter(|run| run.backend == *backend) {
                let rate = self.kinds.get(&run.query).map_or(0.0, |kind| self.rates.of(kind.number).mean);
                let share = (rate * run.service.free_us + run.service.crowded_us) / expected.max(1e-9);
                run.clock_us = Some(*cpu_us as f64 * share);
            }
            if !seen.terms.is_empty() {
                self.rates.learn_clock(&seen);
            }
        }
    }

    fn whole(&mut self, served: &Served) {
        if let Some(cpu_us) = served.cpu_us {
            self.rates.learn_whole(&self.seen(served.runs.iter(), cpu_us), served.length_us);
        }
    }

    /// Runs together, of which `cpu_us` is known.
    fn seen<'a>(&self, runs: impl Iterator<Item = &'a timeline::Part>, cpu_us: u64) -> Seen {
        let mut terms = BTreeMap::<usize, f64>::new();
        let (mut crowded_us, mut squares) = (0.0, 0.0);
        for run in runs {
            let Some(kind) = self.kinds.get(&run.query) else { continue };
            let Service { free_us, crowded_us: crowded } = run.service;
            if free_us > 0.0 {
                *terms.entry(kind.number).or_default() += free_us;
            }
            crowded_us += crowded;
            squares += (free_us + crowded) * (free_us + crowded);
        }
        Seen { terms: terms.into_iter().collect(), crowded_us, squares, cpu_us: cpu_us as f64 }
    }
}

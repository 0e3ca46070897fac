//! What ran beside what, and what each run was served of each sample.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    Began, Sample,
    service::{Service, serve},
};
use crate::units::ids::{ExecutionId, QueryId};

/// Longest that a sample waits for a run to end, µs. What runs longer counts as background until then: a statement that
/// never ends must not end learning.
const WAIT_US: u64 = 60_000_000;
/// Runs that are kept: a minute at more than 3,000 a second. With more, nothing waits for those that have not ended.
const RUNS_MAX: usize = 200_000;
/// Samples that wait: a minute of ten a second.
const SAMPLES_MAX: usize = 600;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Timeline {
    cores: f64,
    open: BTreeMap<ExecutionId, Began>,
    /// The same by when they began, without those that nothing waits for any more.
    awaited: BTreeSet<(u64, ExecutionId)>,
    /// Those that have ended and are not learned from.
    ended: Vec<Ended>,
    samples: VecDeque<Sample>,
    /// Up to where samples have come, µs.
    until_us: Option<u64>,
}

/// A run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) query: QueryId,
    backend: u64,
    pub(super) from_us: u64,
    pub(super) to_us: u64,
    /// What it was served so far.
    pub(super) service: Service,
    /// CPU time by a clock, whole or added up so far.
    pub(super) cpu_us: Option<f64>,
    /// Whether the clock was read before and after it, so that nothing is to be added up.
    exact: bool,
}

impl Ended {
    pub(super) fn duration_us(&self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// A sample, and what ran in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Served {
    pub(super) to_us: u64,
    pub(super) length_us: f64,
    pub(super) cpu_us: Option<u64>,
    pub(super) backends: Vec<(u64, u64)>,
    pub(super) runs: Vec<Part>,
}

/// What a run was served in a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    index: usize,
    pub(super) query: QueryId,
    pub(super) backend: u64,
    pub(super) service: Service,
    /// What its backend's clock said of it.
    pub(super) clock_us: Option<f64>,
}

impl Timeline {
    pub(super) fn new(cores: f64) -> Self {
        Self {
            cores: if cores.is_finite() { cores.max(1.0) } else { 1.0 },
            open: BTreeMap::new(),
            awaited: BTreeSet::new(),
            ended: Vec::new(),
            samples: VecDeque::new(),
            until_us: None,
        }
    }

    pub(super) fn began(&mut self, began: Began) {
        if self.open.insert(began.execution, began).is_none() {
            self.awaited.insert((began.at_us, began.execution));
        }
        if self.open.len() + self.ended.len() > RUNS_MAX {
            self.awaited.clear();
        }
    }

    pub(super) fn ended(&mut self, execution: ExecutionId, at_us: u64, cpu_us: Option<u64>) {
        let Some(began) = self.open.remove(&execution) else { return };
        let awaited = self.awaited.remove(&(began.at_us, execution));
        let to_us = at_us.max(began.at_us + 1);
        let done = self.samples.front().map(|sample| sample.from_us).or(self.until_us);
        // What samples no longer waited for is told by a clock or not at all.
        if !awaited && cpu_us.is_none() || done.is_some_and(|done| to_us <= done) && cpu_us.is_none() {
            return;
        }
        self.ended.push(Ended {
            query: began.query,
            backend: began.backend,
            from_us: began.at_us,
            to_us,
            // Of what was not waited for nobody counts what it was served.
            service: Service {
                free_us: if awaited { 0.0 } else { (to_us - began.at_us) as f64 },
                crowded_us: 0.0,
            },
            cpu_us: cpu_us.map(|cpu| cpu as f64).or(Some(0.0)),
            exact: cpu_us.is_some(),
        });
    }

    pub(super) fn sample(&mut self, sample: Sample) {
        let until = self.until_us.unwrap_or(sample.from_us);
        if sample.from_us < until || sample.to_us <= sample.from_us {
            return;
        }
        if sample.from_us > until {
            let gap = Sample { from_us: until, to_us: sample.from_us, ..Sample::default() };
            self.samples.push_back(gap);
        }
        self.until_us = Some(sample.to_us);
        self.samples.push_back(sample);
        self.give_up();
    }

    /// What has run for too long is not waited for.
    fn give_up(&mut self) {
        let (Some(until), Some(front)) = (self.until_us, self.samples.front()) else { return };
        if until.saturating_sub(front.from_us) > WAIT_US || self.samples.len() > SAMPLES_MAX {
            let later = self.awaited.split_off(&(front.to_us, ExecutionId::new(0, 0)));
            self.awaited = later;
        }
    }

    /// The next sample whose runs have all ended, if queries use so many processors while nothing competes with them, and
    /// `others` are used by what is not recorded. [`Timeline::finish`] has to follow.
    pub(super) fn next(&mut self, rate: impl Fn(QueryId) -> f64, others: f64) -> Option<Served> {
        let front = self.samples.front()?;
        if self.awaited.first().is_some_and(|(began, _)| *began < front.to_us) {
            return None;
        }
        let sample = self.samples.pop_front()?;
        let (from, to) = (sample.from_us, sample.to_us);
        let within = self.ended.iter().enumerate().filter(|(_, run)| run.from_us < to && run.to_us > from);
        let runs: Vec<_> = within
            .map(|(index, run)| {
                let Ended { query, backend, .. } = *run;
                Part { index, query, backend, service: Service::default(), clock_us: None }
            })
            .collect();
        let times = runs.iter().map(|part| {
            let run = &self.ended[part.index];
            (run.from_us.max(from), run.to_us.min(to), rate(run.query))
        });
        let services = serve(self.cores - others, &times.collect::<Vec<_>>());
        let served = |(part, service)| Part { service, ..part };
        Some(Served {
            to_us: to,
            length_us: (to - from) as f64,
            cpu_us: sample.cpu_us,
            backends: sample.backends,
            runs: runs.into_iter().zip(services).map(served).collect(),
        })
    }

    /// Adds up what each run was served. Those that ended by the end of the sample.
    pub(super) fn finish(&mut self, served: &Served) -> Vec<Ended> {
        for part in &served.runs {
            let run = &mut self.ended[part.index];
            run.service.free_us += part.service.free_us;
            run.service.crowded_us += part.service.crowded_us;
            if !run.exact {
                run.cpu_us = run.cpu_us.zip(part.clock_us).map(|(sum, clock)| sum + clock);
            }
        }
        let (done, later) = self.ended.drain(..).partition(|run| run.to_us <= served.to_us);
        self.ended = later;
        done
    }
}

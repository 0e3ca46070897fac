//! What a run is judged by.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trace::Trace;
use crate::{
    estimator::Estimates,
    scheduler::Binding,
    units::{
        ids::QueryId,
        resource::{Resource, Usage},
        tick::Tick,
        window::Stretch,
    },
};

/// Executions from which on an estimate is judged.
const JUDGED_EXECUTIONS: u64 = 5;

/// Delays in ticks of what was queued after the warm-up; 1 = none added. Percentiles by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DelayTicks {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Largest.
    pub max: u64,
}

/// |estimate − truth| / truth over all three resources of queries executed at least 5 times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EstimateError {
    /// Median.
    pub median: f64,
    /// 95th percentile.
    pub p95: f64,
}

/// What a run is judged by. Counted are ticks from its warm-up on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Windows counted.
    pub windows: u64,
    /// Share of them in the corridor.
    pub in_corridor: f64,
    /// Share of stretches as long as a window in the corridor, whatever tick they begin at.
    pub any_alignment: f64,
    /// Per minute the largest over resources of largest tick / mean tick; the median over minutes. Of all that counts where
    /// that is less than a minute.
    pub peak_to_mean_60s: f64,
    /// The price.
    pub delay_ticks: DelayTicks,
    /// Executions still queued at the end.
    pub pending_end: usize,
    /// How well costs were learned; none when they were known.
    pub estimate_error: Option<EstimateError>,
    /// Share of decisions that said that the corridor can be reached.
    pub feasible_share: f64,
    /// Share of decisions that said that it cannot, and that peaks are cut with the delay that is allowed.
    pub only_peaks_share: f64,
    /// What the other decisions said that binds, most often.
    pub binding: Option<Binding>,
}

impl Trace {
    /// Judges the run, which ended before tick `end` with executions `waiting` since the ticks given.
    pub(super) fn report(
        &self,
        end: Tick,
        waiting: &[Tick],
        estimates: Option<&Estimates>,
        truth: &BTreeMap<QueryId, Usage>,
    ) -> Report {
        let mut windows = Share::default();
        let mut any_alignment = Share::default();
        for first in (self.from.0..).map(Tick) {
            let Some(level) = self.is_level(first) else { break };
            any_alignment.add(level);
            if self.lengths.is_border(first) {
                windows.add(level);
            }
        }
        Report {
            windows: windows.of,
            in_corridor: windows.value(),
            any_alignment: any_alignment.value(),
            peak_to_mean_60s: self.peak_to_mean(),
            delay_ticks: self.delay_ticks(end, waiting),
            pending_end: waiting.len(),
            estimate_error: estimates.and_then(|estimates| self.estimate_error(estimates, truth)),
            feasible_share: self.feasible as f64 / self.decisions.max(1) as f64,
            only_peaks_share: self.only_peaks as f64 / self.decisions.max(1) as f64,
            binding: self.bindings.iter().max_by_key(|(_, count)| **count).map(|(binding, _)| *binding),
        }
    }

    fn peak_to_mean(&self) -> f64 {
        let counted = self.usage.get(self.from.0 as usize..).unwrap_or_default();
        let minute = counted.len().min(self.lengths.minute_ticks() as usize).max(1);
        let minutes = counted.chunks_exact(minute).map(|minute| {
            let stretch: Stretch = minute.iter().collect();
            let ratio =
                |r: Resource| stretch.max[r] as f64 * minute.len() as f64 / stretch.sum[r].max(1) as f64;
            Resource::ALL.into_iter().map(ratio).fold(0.0, f64::max)
        });
        let mut ratios: Vec<f64> = minutes.collect();
        ratios.sort_by(f64::total_cmp);
        nearest_rank(&ratios, 0.5).unwrap_or_default()
    }

    /// Those that still wait count with what they have waited.
    fn delay_ticks(&self, end: Tick, waiting: &[Tick]) -> DelayTicks {
        let waiting = waiting.iter().map(|queued| (*queued, end.since(*queued)));
        let all = self.delays.iter().copied().chain(waiting);
        let counted = all.filter(|(queued, _)| *queued >= self.from);
        let mut delays: Vec<u64> = counted.map(|(_, delay)| delay).collect();
        delays.sort_unstable();
        let sum: u64 = delays.iter().sum();
        DelayTicks {
            mean: sum as f64 / delays.len().max(1) as f64,
            p50: nearest_rank(&delays, 0.5).unwrap_or_default(),
            p99: nearest_rank(&delays, 0.99).unwrap_or_default(),
            max: delays.last().copied().unwrap_or_default(),
        }
    }

    pub(super) fn estimate_error(
        &self,
        estimates: &Estimates,
        truth: &BTreeMap<QueryId, Usage>,
    ) -> Option<EstimateError> {
        let judged = self.executed.iter().filter(|(_, count)| **count >= JUDGED_EXECUTIONS);
        let mut errors: Vec<f64> = judged
            .flat_map(|(query, _)| {
                let truth = truth[query];
                let estimate = estimates.get(*query);
                Resource::ALL.map(|r| {
                    let learned = estimate.map_or(0.0, |estimate| estimate.cost[r]);
                    (learned - truth[r] as f64).abs() / truth[r] as f64
                })
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        Some(EstimateError { median: nearest_rank(&errors, 0.5)?, p95: nearest_rank(&errors, 0.95)? })
    }
}

#[derive(Default)]
struct Share {
    hits: u64,
    of: u64,
}

impl Share {
    fn add(&mut self, hit: bool) {
        self.of += 1;
        self.hits += u64::from(hit);
    }

    fn value(&self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }
}

/// The smallest value that at least `share` of the sorted values do not exceed.
fn nearest_rank<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = libm::ceil(share * sorted.len() as f64).max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

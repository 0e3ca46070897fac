//! Delays of executions, counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How often each delay occurred. As large as there are different delays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelayCounts {
    by_ticks: BTreeMap<u64, u64>,
    executions: u64,
    sum_ticks: u64,
}

/// Delays in ticks, where 1 is none added; percentiles by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelaySummary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Longest.
    pub max: u64,
}

impl DelayCounts {
    /// Counts one execution.
    pub fn add(&mut self, ticks: u64) {
        *self.by_ticks.entry(ticks).or_default() += 1;
        self.executions += 1;
        self.sum_ticks += ticks;
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (ticks, executions) in &other.by_ticks {
            *self.by_ticks.entry(*ticks).or_default() += executions;
        }
        self.executions += other.executions;
        self.sum_ticks += other.sum_ticks;
    }

    /// Executions counted.
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// Sum of their delays, in ticks.
    pub fn sum_ticks(&self) -> u64 {
        self.sum_ticks
    }

    /// None before the first execution.
    pub fn summary(&self) -> Option<DelaySummary> {
        let max = *self.by_ticks.last_key_value()?.0;
        Some(DelaySummary {
            mean: self.sum_ticks as f64 / self.executions as f64,
            p50: self.percentile(50),
            p95: self.percentile(95),
            p99: self.percentile(99),
            max,
        })
    }

    fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.executions * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.by_ticks.iter().find(|(_, executions)| {
            seen += **executions;
            seen >= rank
        });
        at.map_or(0, |(ticks, _)| *ticks)
    }
}

/// Upper bounds of [`DelayTotals`], in ticks; the last class has none.
pub const DELAY_BOUNDS: [u64; 11] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1_200];

/// Delays in classes, ever growing: as large as there are classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayTotals {
    /// Executions by class: of at most [`DELAY_BOUNDS`] ticks, and the rest.
    pub classes: [u64; DELAY_BOUNDS.len() + 1],
    /// Sum of all delays, in ticks.
    pub sum_ticks: u64,
}

impl DelayTotals {
    /// Counts one execution.
    pub fn add(&mut self, ticks: u64) {
        self.classes[DELAY_BOUNDS.partition_point(|bound| *bound < ticks)] += 1;
        self.sum_ticks += ticks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_bound() {
        let mut totals = DelayTotals::default();
        for ticks in [1, 2, 4, 5, 1_200, 1_201] {
            totals.add(ticks);
        }
        assert_eq!(totals.classes, [1, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(totals.sum_ticks, 2_413);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut delays = DelayCounts::default();
        assert_eq!(delays.summary(), None);
        (1..=100).for_each(|ticks| delays.add(ticks));
        let DelaySummary { mean, p50, p95, p99, max } = delays.summary().unwrap();
        assert_eq!((p50, p95, p99, max), (50, 95, 99, 100));
        assert!((mean - 50.5).abs() < 1e-12);
        let mut twice = delays.clone();
        twice.merge(&delays);
        assert_eq!((twice.executions(), twice.sum_ticks()), (200, 10_100));
        assert_eq!(twice.summary(), delays.summary());
    }

    #[test]
    fn merging_counts_each_delay_as_often_as_both_did() {
        let counts = |delays: &[u64]| {
            let mut counts = DelayCounts::default();
            for ticks in delays {
                counts.add(*ticks);
            }
            counts
        };
        let mut merged = counts(&[1, 1, 1, 7]);
        merged.merge(&counts(&[1, 7, 7, 9, 9, 9]));
        assert_eq!(merged, counts(&[1, 1, 1, 1, 7, 7, 7, 9, 9, 9]));
        let DelaySummary { p50, p95, max, .. } = merged.summary().unwrap();
        assert_eq!((merged.executions(), merged.sum_ticks(), p50, p95, max), (10, 52, 7, 9, 9));
    }
}

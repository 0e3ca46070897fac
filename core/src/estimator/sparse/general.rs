//! What is known of one resource besides single queries' costs.

use super::Cost;
use crate::{
    estimator::{
        belief::{Belief, Combination},
        equations::{BACKGROUND, Equations, QUERIES, TYPICAL, difference},
        model::{CERTAIN, CONTRADICTION, EXACT, HALF_A_UNIT, Model, STRAYS},
        noise::{Exactness, Noise},
        truncated::Moments,
    },
    units::window::Extent,
};

/// Squares of normalised errors are 1 on average; so much is allowed before they add up.
const ALLOWED: f64 = 2.0;
/// Squares above this count as this, so that no single window decides.
const OUTLIER: f64 = 9.0;
/// Excess from which on more must have changed than a few queries: chance reaches it once in 10⁵ windows.
const CHANGED: f64 = 30.0;

/// Background, typical cost, how far costs lie apart, how far measurements stray.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::estimator) struct General {
    /// Typical cost and background, from the number of executions in each window alone.
    pub(in crate::estimator) belief: Belief,
    /// Variance of costs around the typical one.
    pub(in crate::estimator) spread: f64,
    pub(in crate::estimator) noise: Noise,
    /// By how much the last windows' errors were larger than believed (cumulative sum, Page 1954).
    pub(in crate::estimator) excess: f64,
}

/// A window's average against what was expected.
pub(super) struct Judged {
    /// The window's sum.
    pub(super) value: f64,
    /// Its variance.
    pub(super) error: f64,
    /// Variance that nothing explains, when it contradicts what is believed; else 0.
    pub(super) contradicts: f64,
}

impl General {
    /// Goes on with what a model of few queries has learned.
    pub(in crate::estimator) fn new(model: &Model) -> Self {
        let mut belief = Belief::new();
        for variable in [TYPICAL, BACKGROUND] {
            belief.push(model.belief.mean(variable), model.belief.variance(variable));
        }
        let noise = if model.noise.is_noisy() { model.noise } else { Noise::new(Exactness::Noisy) };
        Self { belief, spread: model.population.variance(), noise, excess: 0.0 }
    }

    pub(in crate::estimator) fn moments(&self, variable: usize) -> Moments {
        Moments { mean: self.belief.mean(variable), variance: self.belief.variance(variable) }
    }

    pub(super) fn typical(&self) -> f64 {
        self.belief.mean(TYPICAL)
    }

    pub(in crate::estimator) fn background(&self) -> f64 {
        self.belief.mean(BACKGROUND)
    }

    pub(super) fn has_changed(&mut self) -> bool {
        let changed = self.excess > CHANGED;
        if changed {
            self.excess = 0.0;
        }
        changed
    }

    pub(super) fn tick_error(&self, value: f64, length: f64) -> f64 {
        EXACT + self.noise.of_tick(value, length)
    }

    /// How far a tick may lie beyond its bounds: half a unit, and what it strays.
    pub(super) fn slack(&self, sum: f64, length: f64) -> f64 {
        HALF_A_UNIT + STRAYS * libm::sqrt(self.noise.of_tick(sum, length))
    }

    /// Regression of the window's sum on its executions and ticks.
    pub(super) fn learn(&mut self, usage: Extent, equations: &Equations) {
        let idle = equations.ticks.iter().find(|(tick, share)| tick.len() == 1 && *share >= 1.0);
        if let Some((tick, _)) = idle {
            let error = self.tick_error(usage.min as f64, equations.length);
            self.measure(tick, usage.min as f64, error);
        }
        let squares: f64 =
            equations.sum.iter().filter(|(i, _)| *i >= QUERIES).map(|(_, weight)| weight * weight).sum();
        let sum = sum_of(usage, equations);
        let error = squares * self.spread + self.error(sum, equations);
        self.measure(&[(TYPICAL, equations.executions), (BACKGROUND, equations.length)], sum, error);
    }

    fn measure(&mut self, combination: &Combination, value: f64, error: f64) {
        let spread = self.belief.variance_of(combination) + error;
        let shift = value - self.belief.mean_of(combination);
        self.belief.update(combination, spread, shift, 0.0);
    }

    /// Truncation, noise, and what ticks in doubt leave open.
    fn error(&self, sum: f64, equations: &Equations) -> f64 {
        let average = sum / equations.length;
        let borders: f64 = equations
            .ticks
            .iter()
            .filter(|(_, share)| *share < 1.0)
            .map(|(tick, share)| {
                let executions: f64 =
                    tick.iter().filter(|(i, _)| *i >= QUERIES).map(|(_, weight)| weight).sum();
                let apart = self.background() + executions * self.typical() - average;
                share * (1.0 - share) * apart * apart
            })
            .sum();
        equations.length * equations.length / 12.0 + self.noise.of_sum(sum) + borders
    }

    pub(super) fn judge_average(
        &mut self,
        usage: Extent,
        equations: &Equations,
        mean: f64,
        variance: f64,
    ) -> Judged {
        let value = sum_of(usage, equations);
        let error = self.error(value, equations);
        let spread = variance + error;
        let square = (value - mean) * (value - mean) / spread;
        self.noise.judge_average(square, self.noise.of_sum(value) / spread);
        let contradicts = square > CONTRADICTION * CONTRADICTION;
        self.excess = (self.excess + square.min(OUTLIER) - ALLOWED).max(0.0);
        Judged { value, error, contradicts: if contradicts { (square - 1.0) * spread } else { 0.0 } }
    }

    /// How likely an average is, as a logarithm, up to a constant.
    pub(super) fn likelihood(&self, usage: Extent, equations: &Equations, mean: f64, variance: f64) -> f64 {
        let value = sum_of(usage, equations);
        let spread = variance + self.error(value, equations);
        -0.5 * ((value - mean) * (value - mean) / spread + libm::log(spread))
    }

    /// The tick whose sum is the largest (`sign` 1) or the smallest (−1), when that is certain.
    pub(super) fn extreme_tick<'e>(
        &self,
        equations: &'e Equations,
        sign: f64,
        expected: impl Fn(&Combination) -> (f64, f64),
    ) -> Option<&'e Combination> {
        let mut order: Vec<(usize, f64)> =
            equations.ticks.iter().enumerate().map(|(at, (tick, _))| (at, sign * expected(tick).0)).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (&(first, highest), others) = order.split_first()?;
        let (tick, share) = &equations.ticks[first];
        let leads = |&(at, value): &(usize, f64)| {
            let difference = difference(tick, &equations.ticks[at].0);
            let noise =
                self.noise.of_tick(highest, equations.length) + self.noise.of_tick(value, equations.length);
            let lead = highest - value;
            difference.is_empty()
                || lead > 0.0 && lead * lead >= CERTAIN * CERTAIN * (expected(&difference).1 + noise)
        };
        (*share >= 1.0 && others.iter().all(leads)).then_some(tick)
    }

    /// Learns how far costs lie apart: their squared deviations, and how uncertain those are
    /// (expectation maximisation).
    pub(super) fn learn_population<'c>(&mut self, costs: impl ExactSizeIterator<Item = &'c Cost>) {
        let typical = self.typical();
        let count = costs.len().max(1) as f64;
        let sum: f64 =
            costs.map(|cost| (cost.mean() - typical) * (cost.mean() - typical) + cost.variance).sum();
        self.spread = sum / count;
    }
}

/// The middle of what a truncated average leaves open.
fn sum_of(usage: Extent, equations: &Equations) -> f64 {
    equations.length * (usage.average as f64 + 0.5) - 0.5
}

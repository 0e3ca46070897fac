//! Learns one resource's costs from windows, under one assumption about how exact they are.

use super::{
    belief::{Belief, Combination},
    equations::{Equations, QUERIES, TYPICAL, difference},
    noise::{Exactness, Noise},
    population::Population,
    truncated::{self, Moments},
};
use crate::units::window::Extent;

/// Standard errors of the difference by which a tick must lead to be the extreme one.
pub(super) const CERTAIN: f64 = 3.0;
/// The same where it is asked again and again: a window that is looked back on has many chances to look certain.
const CERTAIN_LATER: f64 = 4.0;
/// Standard deviations beyond which what was measured contradicts what is believed.
pub(super) const CONTRADICTION: f64 = 5.0;
/// Standard deviations beyond which an interval's border tells nothing. What has been learned from an
/// interval alone is as good as uniform in it, and √3 standard deviations from both its ends: the same
/// interval again must not count again, however often the same executions are grouped.
const TELLING: f64 = 1.7;
/// Squares of normalised errors above this count as this when models are compared.
const SURPRISE: f64 = 40.0;
/// The windows that are looked back on for contradictions: the last ten.
const RECENT: u32 = (1 << 10) - 1;
/// Contradictions among them from which on more must have changed than a few queries.
const CHANGED: u32 = 3;
/// Standard deviations of noise by which a tick sum may lie beyond its bounds.
pub(super) const STRAYS: f64 = 3.0;
/// Variance given to an exact tick sum, so that the covariance stays well conditioned: a hundredth of a
/// unit. What is known better than that is not improved any more: the same sums measured again are the
/// same fact, not more evidence.
pub(super) const EXACT: f64 = 1e-4;
/// Variance below which a tick sum is known.
const KNOWN: f64 = 0.01;
/// Tick sums are integers, so a bound on one is good to half a unit. Without it a sum that is known and
/// lies on its bound would be cut in half by every window.
pub(super) const HALF_A_UNIT: f64 = 0.5;

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Learned {
    /// How likely its average was, as a logarithm, up to a constant.
    pub(super) likelihood: f64,
    /// Whether so much had changed that all was forgotten.
    pub(super) forgot: bool,
}

/// What is believed of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) belief: Belief,
    pub(super) population: Population,
    pub(super) noise: Noise,
    /// Which of the last windows contradicted what was believed; the lowest bit is the last one.
    pub(super) contradictions: u32,
}

impl Model {
    /// Begins with the first window in which something ran: queries cost what they cost there on
    /// average, give or take as much again; the background may be all of it or nothing.
    pub(super) fn new(usage: Extent, equations: &Equations, exactness: Exactness) -> Self {
        let per_tick = usage.average as f64 + 0.5;
        let typical = per_tick * equations.length / equations.executions;
        let mut belief = Belief::new();
        belief.push(typical, typical * typical);
        belief.push(0.0, per_tick * per_tick);
        Self {
            belief,
            population: Population::new(typical * typical),
            noise: Noise::new(exactness),
            contradictions: 0,
        }
    }

    /// Knows of `count` queries from now on.
    pub(super) fn admit(&mut self, count: usize) {
        while self.belief.len() < QUERIES + count {
            self.belief.push_like(TYPICAL, self.population.variance());
            self.population.admit();
        }
    }

    /// Learns from a window.
    pub(super) fn learn(&mut self, usage: Extent, equations: &Equations) -> Learned {
        // Costs are not negative, so a tick in which nothing ran is the smallest.
        let idle = equations.ticks.iter().find(|(tick, share)| tick.len() == 1 && *share >= 1.0);
        if let Some((tick, _)) = idle {
            let value = usage.min as f64;
            let error = EXACT + self.noise.of_tick(value, equations.length);
            self.measured(tick, value, value, error);
        }
        let (likelihood, mut believed) = self.average(usage, equations);
        if believed {
            believed &= self.extremes(usage, equations);
            believed &= self.bounds(usage, equations);
        }
        self.contradictions = self.contradictions << 1 | u32::from(!believed);
        let changed = if self.noise.is_noisy() { CHANGED } else { 1 };
        let forgot = (self.contradictions & RECENT).count_ones() >= changed;
        if forgot {
            self.contradictions = 0;
            self.forget();
        }
        self.population.learn(&mut self.belief);
        Learned { likelihood, forgot }
    }

    /// Learns an extreme tick's sum from an earlier window (`sign` as for [`Model::extreme_tick`]), if it is certain by
    /// now which tick that was.
    pub(super) fn look_back(&mut self, value: u64, equations: &Equations, sign: f64) -> bool {
        let Some(tick) = self.extreme_tick(equations, sign) else { return false };
        let value = value as f64;
        let mean = self.belief.mean_of(tick);
        let normal = Moments { mean, variance: self.belief.variance_of(tick) + EXACT };
        // Known already, or of costs that have changed since: either way nothing is learned from it.
        if normal.variance >= 2.0 * EXACT
            && let Some(moments) = truncated::within(normal, value, value, CONTRADICTION)
        {
            self.assimilate(tick, normal, moments);
        }
        true
    }

    /// Whether every tick's sum is known to a tenth of a unit.
    pub(super) fn knows_ticks(&self, equations: &Equations) -> bool {
        equations.ticks.iter().all(|(tick, _)| self.belief.variance_of(tick) < KNOWN)
    }

    /// How likely a window's average is, as a logarithm, up to a constant.
    pub(super) fn likelihood_of_average(&self, usage: Extent, equations: &Equations) -> f64 {
        Average::new(self, usage, equations).likelihood()
    }

    /// The window's sum lies in `length·average ..= length·average + 9` of ten ticks. How likely that was, and
    /// whether it could be believed.
    fn average(&mut self, usage: Extent, equations: &Equations) -> (f64, bool) {
        let average = Average::new(self, usage, equations);
        self.noise.judge_average(average.square(), average.error / average.spread());
        if let Some(moments) = average.given_the_measurement() {
            self.assimilate(&equations.sum, average.expected, moments);
            return (average.likelihood(), true);
        }
        self.loosen(&equations.sum, (average.square() - 1.0) * average.spread());
        let again = Average::new(self, usage, equations);
        if let Some(moments) = again.given_the_measurement() {
            self.assimilate(&equations.sum, again.expected, moments);
        }
        (average.likelihood(), false)
    }

    /// The smallest and the largest tick sum are exact, where it is certain whose they are. Whether they
    /// could be believed.
    fn extremes(&mut self, usage: Extent, equations: &Equations) -> bool {
        let mut believed = true;
        for (value, sign) in [(usage.max as f64, 1.0), (usage.min as f64, -1.0)] {
            if let Some(tick) = self.extreme_tick(equations, sign) {
                let noise = self.noise.of_tick(value, equations.length);
                let error = EXACT + noise;
                let spread = self.belief.variance_of(tick) + error;
                let apart = value - self.belief.mean_of(tick);
                self.noise.judge_tick(apart * apart / spread, noise / spread);
                believed &= self.measured(tick, value, value, error);
            }
        }
        believed
    }

    /// The tick whose sum is the largest (`sign` 1) or the smallest (−1), when that is certain.
    fn extreme_tick<'e>(&self, equations: &'e Equations, sign: f64) -> Option<&'e Combination> {
        let certain = if self.noise.is_noisy() { CERTAIN } else { CERTAIN_LATER };
        let expected = |at: usize| sign * self.belief.mean_of(&equations.ticks[at].0);
        let mut order: Vec<(usize, f64)> = (0..equations.ticks.len()).map(|at| (at, expected(at))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let (&(first, highest), others) = order.split_first()?;
        let (tick, share) = &equations.ticks[first];
        let leads = |&(at, value): &(usize, f64)| {
            let difference = difference(tick, &equations.ticks[at].0);
            if difference.is_empty() {
                return true;
            }
            let noise = |sum: f64| self.noise.of_tick(sum, equations.length);
            let variance = self.belief.variance_of(&difference) + noise(highest) + noise(value);
            let lead = highest - value;
            lead > 0.0 && lead * lead >= certain * certain * variance
        };
        (*share >= 1.0 && others.iter().all(leads)).then_some(tick)
    }

    /// Every tick lies between the smallest and the largest. Whether that could be believed.
    fn bounds(&mut self, usage: Extent, equations: &Equations) -> bool {
        // All ticks equal: each of them is exact.
        let slack = if usage.min == usage.max { 0.0 } else { HALF_A_UNIT };
        let mut believed = true;
        for (tick, _) in equations.ticks.iter().filter(|(_, share)| *share >= 1.0) {
            // A noisy sum may lie beyond its bounds by what it strays: they are widened instead of
            // softened, because a noise that is thought too large would draw all ticks to their mean.
            let noise = self.noise.of_tick(self.belief.mean_of(tick), equations.length);
            let slack = slack + STRAYS * libm::sqrt(noise);
            let (low, high) = (usage.min as f64 - slack, usage.max as f64 + slack);
            believed &= self.measured(tick, low, high, EXACT);
        }
        believed
    }

    /// A tick's sum and an error of this variance are known to lie in `low..=high` together. Whether that
    /// could be believed.
    fn measured(&mut self, tick: &Combination, low: f64, high: f64, error: f64) -> bool {
        let mean = self.belief.mean_of(tick);
        let normal = Moments { mean, variance: self.belief.variance_of(tick) + error };
        if is_inside(normal, low, high) {
            return true;
        }
        let outside = (low - mean).max(mean - high).max(0.0);
        match truncated::within(normal, low, high, CONTRADICTION) {
            Some(_) if normal.variance - error < EXACT => true,
            Some(moments) => {
                self.assimilate(tick, normal, moments);
                true
            }
            None => {
                self.loosen(tick, outside * outside - normal.variance);
                false
            }
        }
    }

    /// So much has changed that any cost may have: all stay what they are, with a new query's uncertainty.
    fn forget(&mut self) {
        let variance = self.population.variance();
        self.belief.forget(variance);
        self.population.forget();
    }

    fn assimilate(&mut self, combination: &Combination, before: Moments, after: Moments) {
        self.belief.update(combination, before.variance, after.mean - before.mean, after.variance);
    }

    /// What was measured contradicts what is believed: some of these costs have changed. They become
    /// as uncertain as explains the contradiction, at most as uncertain as a new query's.
    fn loosen(&mut self, combination: &Combination, unexplained: f64) {
        let variance = self.population.variance();
        let explained: f64 = combination
            .iter()
            .filter(|(i, _)| *i >= QUERIES)
            .map(|(_, weight)| weight * weight * variance)
            .sum();
        if explained > 0.0 {
            let share = (unexplained / explained).min(1.0);
            for (i, _) in combination.iter().filter(|(i, _)| *i >= QUERIES) {
                let room = (variance - self.belief.variance(*i)).max(0.0);
                self.belief.loosen(*i, (share * variance).min(room));
            }
        }
    }
}

/// Whether an interval holds so much of what is expected that it tells nothing.
fn is_inside(expected: Moments, low: f64, high: f64) -> bool {
    let deviation = libm::sqrt(expected.variance);
    low + TELLING * deviation <= expected.mean && expected.mean <= high - TELLING * deviation
}

/// A window's average against what was expected of it.
struct Average {
    /// The window's sum as believed, with what it strays and what its borders leave open.
    expected: Moments,
    /// The part of it that is noise.
    error: f64,
    low: f64,
    high: f64,
}

impl Average {
    fn new(model: &Model, usage: Extent, equations: &Equations) -> Self {
        let average = usage.average as f64;
        let low = equations.length * average - HALF_A_UNIT;
        let high = low + equations.length;
        // A tick that may or may not belong moves the sum by what it differs from the average.
        let borders: f64 = equations
            .ticks
            .iter()
            .filter(|(_, share)| *share < 1.0)
            .map(|(tick, share)| {
                let apart = model.belief.mean_of(tick) - average;
                share * (1.0 - share) * apart * apart
            })
            .sum();
        let error = model.noise.of_sum(f64::midpoint(low, high));
        let expected = Moments {
            mean: model.belief.mean_of(&equations.sum),
            variance: model.belief.variance_of(&equations.sum) + error + borders,
        };
        Self { expected, error, low, high }
    }

    fn spread(&self) -> f64 {
        self.expected.variance + (self.high - self.low) * (self.high - self.low) / 12.0
    }

    /// Square of the normalised error: 1 on average if all is well.
    fn square(&self) -> f64 {
        let apart = f64::midpoint(self.low, self.high) - self.expected.mean;
        apart * apart / self.spread()
    }

    fn likelihood(&self) -> f64 {
        -0.5 * (self.square().min(SURPRISE) + libm::log(self.spread()))
    }

    fn given_the_measurement(&self) -> Option<Moments> {
        if is_inside(self.expected, self.low, self.high) {
            return Some(self.expected);
        }
        truncated::within(self.expected, self.low, self.high, CONTRADICTION)
    }
}

#[cfg(test)]
mod tests;

//! Learns one resource's costs from windows.

use super::{
    belief::{Belief, Combination},
    noise::Noise,
    population::Population,
    truncated::{self, Moments},
};
use crate::window::Extent;

/// The belief's variable for what queries cost in general.
pub(super) const TYPICAL: usize = 0;
/// Its variable for what a tick uses when nothing runs.
pub(super) const BACKGROUND: usize = 1;
/// Its variable for the first query.
pub(super) const QUERIES: usize = 2;

/// Standard errors of the difference by which a tick must lead to be the extreme one.
const CERTAIN: f64 = 3.0;
/// Standard deviations beyond which what was measured contradicts what is believed.
const CONTRADICTION: f64 = 5.0;
/// Standard deviations beyond which an interval's border tells nothing.
const TELLING: f64 = 3.5;
/// Variance given to an exact tick sum, so that the covariance stays well conditioned: a hundredth of a
/// unit. What is known better than that is not improved any more: the same sums measured again are the
/// same fact, not more evidence.
const EXACT: f64 = 1e-4;
/// Tick sums are integers, so a bound on one is good to half a unit. Without it a sum that is known and
/// lies on its bound would be cut in half by every window.
const HALF_A_UNIT: f64 = 0.5;

/// A window with its queries numbered as the belief numbers them.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// Each tick's executions, the background included, and how likely it belongs to the window.
    pub(super) ticks: Vec<(Vec<(usize, f64)>, f64)>,
    /// The ticks' sum, weighted by how likely each belongs to the window.
    pub(super) sum: Vec<(usize, f64)>,
    /// Expected number of ticks.
    pub(super) length: f64,
    /// Executions in `sum`.
    pub(super) executions: f64,
}

/// What is believed of one resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learner {
    pub(super) belief: Belief,
    pub(super) population: Population,
    pub(super) average_noise: Noise,
    pub(super) tick_noise: Noise,
}

impl Learner {
    /// Begins with the first window in which something ran: queries cost what they cost there on
    /// average, give or take as much again; the background may be all of it or nothing.
    pub(super) fn new(usage: Extent, equations: &Equations) -> Self {
        let per_tick = usage.average as f64 + 0.5;
        let typical = per_tick * equations.length / equations.executions;
        let mut belief = Belief::new();
        belief.push(typical, typical * typical);
        belief.push(0.0, per_tick * per_tick);
        Self {
            belief,
            population: Population::new(typical * typical),
            average_noise: Noise::default(),
            tick_noise: Noise::default(),
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
    pub(super) fn learn(&mut self, usage: Extent, equations: &Equations) {
        let believed = self.average(usage, equations);
        if believed {
            self.extremes(usage, equations);
            self.bounds(usage, equations);
        }
        self.population.learn(&mut self.belief);
    }

    /// The window's sum lies in `length·average ..= length·average + 9` of ten ticks. Whether that could be believed.
    fn average(&mut self, usage: Extent, equations: &Equations) -> bool {
        let average = usage.average as f64;
        let low = equations.length * average - HALF_A_UNIT;
        let high = low + equations.length;
        let middle = f64::midpoint(low, high);
        let borders: f64 = equations
            .ticks
            .iter()
            .filter(|(_, share)| *share < 1.0)
            .map(|(tick, share)| {
                let apart = self.belief.mean_of(tick) - average;
                share * (1.0 - share) * apart * apart
            })
            .sum();
        let error = self.average_noise.variance(middle);
        let normal = Moments {
            mean: self.belief.mean_of(&equations.sum),
            variance: self.belief.variance_of(&equations.sum) + error + borders,
        };
        let truncation = (high - low) * (high - low) / 12.0;
        let spread = normal.variance + truncation;
        self.average_noise.judge((middle - normal.mean) * (middle - normal.mean) / spread, error / spread);
        if let Some(moments) = truncated::within(normal, low, high, CONTRADICTION) {
            self.assimilate(&equations.sum, normal, moments);
            return true;
        }
        let apart = middle - normal.mean;
        self.loosen(&equations.sum, apart * apart - spread);
        let variance = self.belief.variance_of(&equations.sum) + error + borders;
        let normal = Moments { variance, ..normal };
        if let Some(moments) = truncated::within(normal, low, high, CONTRADICTION) {
            self.assimilate(&equations.sum, normal, moments);
        }
        false
    }

    /// The smallest and the largest tick sum are exact, where it is certain whose they are.
    fn extremes(&mut self, usage: Extent, equations: &Equations) {
        for (value, sign) in [(usage.max as f64, 1.0), (usage.min as f64, -1.0)] {
            let Some(tick) = self.extreme_tick(equations, sign) else { continue };
            self.measured(tick, value, value);
        }
    }

    /// The tick whose sum is the largest (`sign` 1) or the smallest (−1), when that is certain.
    fn extreme_tick<'e>(&self, equations: &'e Equations, sign: f64) -> Option<&'e Combination> {
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
            let noise = self.tick_noise.variance(highest) + self.tick_noise.variance(value);
            let variance = self.belief.variance_of(&difference) + noise;
            let lead = highest - value;
            lead > 0.0 && lead * lead >= CERTAIN * CERTAIN * variance
        };
        (*share >= 1.0 && others.iter().all(leads)).then_some(tick)
    }

    /// Every tick lies between the smallest and the largest.
    fn bounds(&mut self, usage: Extent, equations: &Equations) {
        // All ticks equal: each of them is exact.
        let slack = if usage.min == usage.max { 0.0 } else { HALF_A_UNIT };
        for (tick, share) in &equations.ticks {
            if *share >= 1.0 {
                self.measured(tick, usage.min as f64 - slack, usage.max as f64 + slack);
            }
        }
    }

    /// A tick's sum is known to lie in `low..=high`.
    fn measured(&mut self, tick: &Combination, low: f64, high: f64) {
        let mean = self.belief.mean_of(tick);
        let error = EXACT + self.tick_noise.variance(mean);
        let normal = Moments { mean, variance: self.belief.variance_of(tick) + error };
        let deviation = libm::sqrt(normal.variance);
        if low + TELLING * deviation <= mean && mean <= high - TELLING * deviation {
            return;
        }
        let outside = (low - mean).max(mean - high).max(0.0);
        self.tick_noise.judge(outside * outside / normal.variance, error / normal.variance);
        match truncated::within(normal, low, high, CONTRADICTION) {
            Some(_) if normal.variance - error < EXACT => {}
            Some(moments) => self.assimilate(tick, normal, moments),
            None => self.loosen(tick, outside * outside - normal.variance),
        }
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
                self.belief.loosen(*i, share * variance);
            }
        }
    }
}

/// a − b of two combinations, in order, without what cancels.
fn difference(a: &Combination, b: &Combination) -> Vec<(usize, f64)> {
    let mut terms: Vec<_> = a.iter().copied().chain(b.iter().map(|(i, weight)| (*i, -weight))).collect();
    terms.sort_unstable_by_key(|(i, _)| *i);
    terms.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    terms.retain(|(_, weight)| weight.abs() > f64::EPSILON);
    terms
}

//! How far queries' costs lie apart: what to expect of a query before it is measured.

use super::{
    belief::Belief,
    equations::{QUERIES, TYPICAL},
};

/// Queries that the first guess of the spread counts for. It is as wide as costs are large.
const FIRST_GUESS_WEIGHT: f64 = 1.0;
/// Work that goes into bringing priors up to date with each window, in changes of a covariance: all of a hundred
/// queries, four of five hundred. Each takes a millisecond's fraction.
const CHANGES_A_WINDOW: usize = 1_000_000;
/// Relative change of the precision from which on a query's prior is brought up to date.
const WORTH_UPDATING: f64 = 0.05;

/// Costs are normal around the typical cost, with a variance learned from the costs themselves (empirical Bayes;
/// D. J. C. `MacKay` 1992, Bayesian interpolation, §4).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Population {
    pub(super) variance: f64,
    /// The wide guess that it began with.
    pub(super) first_guess: f64,
    /// 1/variance that each query's prior has had so far; 0 when its prior is what was believed of it
    /// before and not the population.
    pub(super) precision: Vec<f64>,
    /// The query whose prior is looked at next.
    pub(super) next: usize,
}

impl Population {
    pub(super) fn new(variance: f64) -> Self {
        Self { variance, first_guess: variance, precision: Vec::new(), next: 0 }
    }

    pub(super) fn variance(&self) -> f64 {
        self.variance
    }

    pub(super) fn admit(&mut self) {
        self.precision.push(1.0 / self.variance);
    }

    /// What was believed of each query is its prior from now on.
    pub(super) fn forget(&mut self) {
        self.first_guess = self.variance;
        self.precision.fill(0.0);
    }

    /// Learns the spread, and tells it to a few queries that were admitted under a wider one.
    pub(super) fn learn(&mut self, belief: &mut Belief) {
        let mut squares = FIRST_GUESS_WEIGHT * self.first_guess;
        let mut determined = FIRST_GUESS_WEIGHT;
        for (query, precision) in self.precision.iter().enumerate().filter(|(_, precision)| **precision > 0.0)
        {
            let deviation = belief.mean(QUERIES + query) - belief.mean(TYPICAL);
            squares += deviation * deviation;
            determined += (1.0 - deviation_variance(belief, query) * precision).max(0.0);
        }
        self.variance = squares / determined;
        let count = self.precision.len();
        for _ in 0..(CHANGES_A_WINDOW / (count * count).max(1)).min(count) {
            self.next = (self.next + 1) % count;
            self.tighten(belief, self.next);
        }
    }

    /// A narrower prior is the wider one and a measurement of the deviation as 0.
    fn tighten(&mut self, belief: &mut Belief, query: usize) {
        let more = 1.0 / self.variance - self.precision[query];
        if more <= WORTH_UPDATING * self.precision[query] || self.precision[query] <= 0.0 {
            return;
        }
        self.precision[query] = 1.0 / self.variance;
        let deviation = [(TYPICAL, -1.0), (QUERIES + query, 1.0)];
        let spread = belief.variance_of(&deviation) + 1.0 / more;
        let shift = -belief.mean_of(&deviation);
        belief.update(&deviation, spread, shift, 0.0);
    }
}

/// How uncertain a query's deviation from the typical cost is.
pub(super) fn deviation_variance(belief: &Belief, query: usize) -> f64 {
    belief.variance_of(&[(TYPICAL, -1.0), (QUERIES + query, 1.0)])
}

//! Costs of more queries than a full covariance matrix can hold.
//!
//! Windows are kept as sparse equations, and solved again and again, some of them with each new window.
//! Means come from coordinate ascent in the dual of regularised least squares (Hildreth 1957; Shalev-Shwartz
//! and Zhang 2013): it visits one equation at a time and always converges. Variances come from the fixed
//! point of Gaussian belief propagation,
//!
//! ```text
//! 1/v_i = 1/d_i + Σ over equations  a_i² / (error + Σ a_j² v_j − a_i² v_i)
//! ```
//!
//! which is exact on trees and in the limit of many queries that meet at random (Weiss and Freeman 2001), and up to
//! a half too small where there are about as many short equations as queries. An
//! equation that there is no room for any more is folded into its queries' priors.

mod general;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use self::rows::{Measured, Row};
pub(super) use self::{general::General, snapshot::SparseSnapshot};
use super::{
    equations::{Equations, QUERIES},
    model::{CONTRADICTION, EXACT},
    truncated::{self, Moments},
};
use crate::units::{
    resource::{PerResource, Resource},
    window::Extent,
};

/// Size of all equations that are kept, see [`Row::size`]: at rate 10 the windows of two hours. A snapshot has
/// four bytes for each: 11 MB.
const SIZE_MAX: usize = 2_800_000;
/// Relative gain in precision from which on a tick's bounds are kept.
const WORTH_KEEPING: f64 = 0.3;
/// Terms that are visited with each window, besides its own: a millisecond's work.
const TERMS_A_WINDOW: usize = 150_000;

/// Costs by query, three resources each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sparse {
    pub(super) queries: Vec<Query>,
    pub(super) general: PerResource<General>,
    pub(super) rows: VecDeque<Row>,
    /// Size of `rows`.
    pub(super) size: usize,
    /// The row that is visited next.
    pub(super) next: usize,
}

/// One query, resources in the order of [`Resource::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Query {
    /// Whether its prior is what was learned of it before, and not the population.
    pub(super) known: bool,
    pub(super) by_resource: [Cost; 3],
}

/// What is believed of one query's use of one resource: cost = `prior_mean` + `prior_variance`·`pull`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) prior_mean: f64,
    pub(super) prior_variance: f64,
    /// Sum of its equations' pulls, weighted.
    pub(super) pull: f64,
    /// Of the cost, as of the last complete sweep.
    pub(super) variance: f64,
    /// 1/variance that this sweep's equations have given so far.
    pub(super) information: f64,
}

impl Cost {
    fn new(mean: f64, variance: f64) -> Self {
        Self { prior_mean: mean, prior_variance: variance, variance, ..Self::default() }
    }

    pub(super) fn mean(&self) -> f64 {
        self.prior_mean + self.prior_variance * self.pull
    }

    /// Another prior under which it costs the same.
    fn set_prior(&mut self, mean: f64, variance: f64, pull: f64) {
        *self = Self { prior_mean: mean - variance * pull, prior_variance: variance, pull, ..*self };
    }
}

impl Sparse {
    /// Goes on with costs as (mean, variance), each for itself.
    pub(super) fn new(general: PerResource<General>, known: Vec<[(f64, f64); 3]>) -> Self {
        let queries = known
            .into_iter()
            .map(|costs| Query {
                known: true,
                by_resource: costs.map(|(mean, variance)| Cost::new(mean, variance)),
            })
            .collect();
        Self { queries, general, rows: VecDeque::new(), size: 0, next: 0 }
    }

    /// Knows of `count` queries from now on.
    pub(super) fn admit(&mut self, count: usize) {
        let new = Resource::ALL.map(|r| Cost::new(self.general[r].typical(), self.general[r].spread));
        let new = Query { known: false, by_resource: new };
        self.queries.resize(count.max(self.queries.len()), new);
    }

    pub(super) fn cost(&self, query: usize, resource: Resource) -> &Cost {
        &self.queries[query].by_resource[resource as usize]
    }

    /// Learns from a window.
    pub(super) fn learn(&mut self, usage: &PerResource<Extent>, equations: &Equations) {
        let before = self.rows.len();
        for r in Resource::ALL {
            self.general[r].learn(usage[r], equations);
        }
        self.average(usage, equations);
        for r in Resource::ALL {
            self.extremes(r, usage[r], equations);
            self.bounds(r, usage[r], equations);
        }
        for row in before..self.rows.len() {
            self.visit(row, false);
        }
        let mut budget = TERMS_A_WINDOW;
        // A sweep that is done early is not begun again with the same window.
        while self.next < self.rows.len() && budget > 0 {
            budget = budget.saturating_sub(self.rows[self.next].terms.len().max(1));
            self.visit(self.next, true);
            self.next += 1;
        }
        if self.next == self.rows.len() {
            self.finish_sweep();
        }
        while self.size > SIZE_MAX {
            self.fold_oldest();
        }
    }

    /// How likely a window's average is, as a logarithm, up to a constant.
    pub(super) fn likelihood_of_average(&self, r: Resource, usage: Extent, equations: &Equations) -> f64 {
        let (mean, variance) = self.expected(&equations.sum, r);
        self.general[r].likelihood(usage, equations, mean, variance)
    }

    fn average(&mut self, usage: &PerResource<Extent>, equations: &Equations) {
        let mut measured = [None; 3];
        for r in Resource::ALL {
            let (mean, variance) = self.expected(&equations.sum, r);
            let judged = self.general[r].judge_average(usage[r], equations, mean, variance);
            if judged.contradicts > 0.0 {
                self.loosen(&equations.sum, r, judged.contradicts);
            }
            measured[r as usize] = Some(Measured::new(judged.value, judged.error));
        }
        if Resource::ALL.into_iter().any(|r| self.general[r].has_changed()) {
            self.forget();
        }
        self.add(Row::new(&equations.sum, QUERIES, equations.length, measured));
    }

    /// The smallest and the largest tick sum are exact, where it is certain whose they are.
    fn extremes(&mut self, r: Resource, usage: Extent, equations: &Equations) {
        for (value, sign) in [(usage.max as f64, 1.0), (usage.min as f64, -1.0)] {
            let expected = |combination: &[(usize, f64)]| self.expected(combination, r);
            let Some(tick) = self.general[r].extreme_tick(equations, sign, expected) else { continue };
            let mut measured = [None; 3];
            measured[r as usize] =
                Some(Measured::new(value, self.general[r].tick_error(value, equations.length)));
            self.add(Row::new(tick, QUERIES, 1.0, measured));
        }
    }

    /// Every tick lies between the smallest and the largest. What that tells beyond what is believed is kept as a
    /// measurement that would tell the same (expectation propagation with one pass, Minka 2001).
    fn bounds(&mut self, r: Resource, usage: Extent, equations: &Equations) {
        for (tick, _) in equations.ticks.iter().filter(|(_, share)| *share >= 1.0) {
            let (mean, variance) = self.expected(tick, r);
            let expected = Moments { mean, variance };
            let slack = self.general[r].slack(mean, equations.length);
            let (low, high) = (usage.min as f64 - slack, usage.max as f64 + slack);
            let Some(told) = truncated::within(expected, low, high, CONTRADICTION) else { continue };
            let precision = 1.0 / told.variance.max(EXACT) - 1.0 / variance;
            if precision * variance > WORTH_KEEPING {
                let value = (told.mean / told.variance.max(EXACT) - mean / variance) / precision;
                let mut measured = [None; 3];
                measured[r as usize] = Some(Measured::new(value, 1.0 / precision));
                self.add(Row::new(tick, QUERIES, 1.0, measured));
            }
        }
    }

    fn add(&mut self, row: Row) {
        if !row.terms.is_empty() {
            self.size += row.size();
            self.rows.push_back(row);
        }
    }

    /// Mean and variance of a combination, the background included.
    fn expected(&self, combination: &[(usize, f64)], r: Resource) -> (f64, f64) {
        let (mut mean, mut variance) = (0.0, 0.0);
        for (variable, weight) in combination {
            if let Some(query) = variable.checked_sub(QUERIES) {
                let cost = self.cost(query, r);
                mean += weight * cost.mean();
                variance += weight * weight * cost.variance;
            } else {
                mean += weight * self.general[r].background();
            }
        }
        (mean, variance)
    }

    /// Takes the pull that solves this equation given all others; in a sweep, notes what it tells.
    fn visit(&mut self, row: usize, in_sweep: bool) {
        let row = &mut self.rows[row];
        for r in 0..3 {
            let Some(measured) = &mut row.measured[r] else { continue };
            let background = self.general[Resource::ALL[r]].background();
            let (mut mean, mut stiffness, mut variance) = (row.length * background, 0.0, 0.0);
            for (query, weight) in
                row.terms.iter().map(|(query, weight)| (*query as usize, f64::from(*weight)))
            {
                let cost = &self.queries[query].by_resource[r];
                mean += weight * cost.mean();
                stiffness += weight * weight * cost.prior_variance;
                variance += weight * weight * cost.variance;
            }
            let change =
                (measured.value - mean - measured.error * measured.pull) / (stiffness + measured.error);
            measured.pull += change;
            for (query, weight) in
                row.terms.iter().map(|(query, weight)| (*query as usize, f64::from(*weight)))
            {
                let cost = &mut self.queries[query].by_resource[r];
                cost.pull += weight * change;
                if in_sweep {
                    cost.information += information(weight, cost.variance, variance, measured.error);
                }
            }
        }
    }

    /// Every equation has been visited: variances are renewed, and what is known of queries in general.
    fn finish_sweep(&mut self) {
        self.next = 0;
        for r in Resource::ALL {
            let costs = self.queries.iter_mut().map(|query| &mut query.by_resource[r as usize]);
            for cost in costs {
                let variance = 1.0 / (1.0 / cost.prior_variance + cost.information);
                // Half way: it swings when all queries renew theirs at once.
                cost.variance = f64::midpoint(cost.variance, variance);
                cost.information = 0.0;
            }
            let general = &mut self.general[r];
            general.learn_population(self.queries.iter().map(|query| &query.by_resource[r as usize]));
            for query in self.queries.iter_mut().filter(|query| !query.known) {
                let cost = &mut query.by_resource[r as usize];
                cost.prior_mean = general.typical();
                cost.prior_variance = general.spread;
            }
        }
    }

    /// What the oldest equation tells becomes part of its queries' priors.
    fn fold_oldest(&mut self) {
        let Some(row) = self.rows.pop_front() else { return };
        self.size -= row.size();
        let visited = self.next > 0;
        self.next = self.next.saturating_sub(1);
        for (r, measured) in row.measured.iter().enumerate() {
            let Some(measured) = measured else { continue };
            let variance: f64 = row
                .terms()
                .map(|(query, weight)| weight * weight * self.queries[query].by_resource[r].variance)
                .sum();
            for (query, weight) in row.terms() {
                let query = &mut self.queries[query];
                query.known = true;
                let cost = &mut query.by_resource[r];
                let told = information(weight, cost.variance, variance, measured.error);
                if visited {
                    cost.information = (cost.information - told).max(0.0);
                }
                let prior_variance = 1.0 / (1.0 / cost.prior_variance + told);
                cost.set_prior(cost.mean(), prior_variance, cost.pull - weight * measured.pull);
            }
        }
    }

    /// What was measured contradicts what is believed: its queries become as uncertain as explains it.
    fn loosen(&mut self, combination: &[(usize, f64)], r: Resource, unexplained: f64) {
        let spread = self.general[r].spread;
        let explained: f64 = combination
            .iter()
            .filter(|(i, _)| *i >= QUERIES)
            .map(|(_, weight)| weight * weight * spread)
            .sum();
        for (variable, _) in combination.iter().filter(|(i, _)| *i >= QUERIES) {
            let query = &mut self.queries[variable - QUERIES];
            query.known = true;
            let cost = &mut query.by_resource[r as usize];
            let more = ((unexplained / explained).min(1.0) * spread).min((spread - cost.variance).max(0.0));
            cost.variance += more;
            let (mean, variance) = (cost.mean(), cost.prior_variance + more);
            cost.set_prior(mean, variance, cost.pull);
        }
    }

    /// So much has changed that any cost may have: all stay what they are, as uncertain as a new query's.
    fn forget(&mut self) {
        self.rows.clear();
        (self.size, self.next) = (0, 0);
        for query in &mut self.queries {
            query.known = true;
            for (cost, r) in query.by_resource.iter_mut().zip(Resource::ALL) {
                *cost = Cost::new(cost.mean(), self.general[r].spread);
            }
        }
    }
}

/// What an equation tells of one of its queries, with the others as uncertain as they are.
fn information(weight: f64, variance: f64, sum_variance: f64, error: f64) -> f64 {
    let square = weight * weight;
    square / (error + (sum_variance - square * variance).max(0.0))
}

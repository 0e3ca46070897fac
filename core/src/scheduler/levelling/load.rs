//! How much arrives, and how well it is known.

use super::units::{Units, plus, times, units};
use crate::{estimator::Estimates, scheduler::problem::Expected, units::ids::QueryId};

/// Arrivals to be expected a tick.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Executions a tick.
    pub(super) rate: f64,
    /// Units a tick.
    pub(super) work: Units,
    /// Standard error of a tick's sum as a share of it, in the resource that is known least.
    pub(super) uncertainty: f64,
    /// Standard deviation of what an execution costs, over its mean, in the resource in which it is largest.
    pub(super) dispersion: f64,
    /// Executions a tick by query.
    pub(super) by_query: Vec<(QueryId, f64)>,
}

impl Load {
    pub(super) fn new(expected: &[Expected], estimates: &Estimates) -> Self {
        // Both are in the order of the queries: ten thousand are not looked up one by one every tick.
        let mut learned = estimates.iter().peekable();
        let (mut work, mut variance, mut squares) = ([0.0; 3], [0.0; 3], [0.0; 3]);
        for of in expected {
            while learned.next_if(|(query, _)| *query < of.query).is_some() {}
            let estimate =
                learned.peek().filter(|(query, _)| *query == of.query).map(|(_, estimate)| *estimate);
            let Some(estimate) = estimate.or_else(|| estimates.get(of.query)) else {
                // As the searches count it, and not known at all.
                work = plus(work, [of.mean; 3]);
                variance = plus(variance, [of.mean; 3]);
                squares = plus(squares, [of.mean; 3]);
                continue;
            };
            work = plus(work, times(units(&estimate.cost), of.mean));
            squares = plus(squares, times(units(&estimate.cost).map(|c| c * c), of.mean));
            variance = plus(variance, times(units(&estimate.standard_error).map(|e| e * e), of.mean));
        }
        let share = |r: usize| libm::sqrt(variance[r]) / work[r].max(f64::MIN_POSITIVE);
        let rate: f64 = expected.iter().map(|of| of.mean).sum();
        let dispersed = |r: usize| rate * squares[r] / (work[r] * work[r]).max(f64::MIN_POSITIVE) - 1.0;
        Self {
            rate,
            work,
            uncertainty: (0..3).map(share).fold(0.0, f64::max),
            dispersion: libm::sqrt((0..3).map(dispersed).fold(0.0, f64::max)),
            by_query: expected.iter().map(|of| (of.query, of.mean)).collect(),
        }
    }
}

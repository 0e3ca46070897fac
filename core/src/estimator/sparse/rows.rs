//! Windows that are kept, as sparse equations.

use crate::estimator::belief::Combination;

/// A sum of costs that was measured for some resources, in the order of `Resource::ALL`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::estimator) struct Row {
    /// Queries and how often they ran, in order. Kept small: there are millions.
    pub(super) terms: Vec<(u32, f32)>,
    /// Ticks, each with its background.
    pub(super) length: f64,
    pub(super) measured: [Option<Measured>; 3],
}

/// What was measured for one resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    /// Resource units.
    pub(super) value: f64,
    /// Variance of the value.
    pub(super) error: f64,
    /// How strongly it pulls at its queries (its Lagrange multiplier).
    pub(super) pull: f64,
}

impl Measured {
    pub(super) fn new(value: f64, error: f64) -> Self {
        Self { value, error, pull: 0.0 }
    }
}

impl Row {
    /// `combination` without the background, which is `length` times in it; its first query is variable `first`.
    pub(super) fn new(
        combination: &Combination,
        first: usize,
        length: f64,
        measured: [Option<Measured>; 3],
    ) -> Self {
        let queries = combination.iter().filter(|(variable, _)| *variable >= first);
        let terms = queries.map(|(variable, weight)| ((variable - first) as u32, *weight as f32)).collect();
        Self { terms, length, measured }
    }

    /// How much room it takes: a term is one, what was measured and the rest some sixteen each.
    pub(super) fn size(&self) -> usize {
        self.terms.len() + 16 * self.measured.iter().flatten().count() + 5
    }

    /// Queries and weights.
    pub(super) fn terms(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.terms.iter().map(|(query, weight)| (*query as usize, f64::from(*weight)))
    }
}

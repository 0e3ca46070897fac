//! How much arrives.

use super::{
    item::Kinds,
    units::{Units, plus, times},
};
use crate::scheduler::problem::Expected;

/// Arrivals to be expected a tick.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Executions a tick.
    pub(super) rate: f64,
    /// Units a tick.
    pub(super) work: Units,
    /// Executions a tick by kind.
    pub(super) by_kind: Vec<(usize, f64)>,
}

impl Load {
    pub(super) fn new(expected: &[Expected], kinds: &mut Kinds<'_>) -> Self {
        let by_kind: Vec<_> = expected.iter().map(|e| (kinds.of(e.query), e.mean)).collect();
        let work =
            by_kind.iter().fold([0.0; 3], |sum, (kind, mean)| plus(sum, times(kinds.cost(*kind), *mean)));
        Self { rate: by_kind.iter().map(|(_, mean)| mean).sum(), work, by_kind }
    }
}

//! A window and what ran in it.

use crate::units::{ids::QueryId, resource::PerResource, window::Extent};

/// What ran in one tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TickRuns {
    /// Executions by query, each query once and in order. An execution that used resources over k
    /// ticks counts 1/k in each of them.
    pub runs: Vec<(QueryId, f64)>,
    /// How likely the tick belongs to the window: 1 for windows whose borders are known. A window that
    /// was seen from outside, by polling, begins and ends with ticks that may belong to its neighbours.
    pub share: f64,
}

/// A window and what ran in it: the equation from which costs are learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What was used, in resource units a tick.
    pub usage: PerResource<Extent>,
    /// Its ticks in order, those included that may belong to it.
    pub ticks: Vec<TickRuns>,
}

impl TickRuns {
    /// Ticks of `runs` in any order, repeated or not.
    pub fn new(mut runs: Vec<(QueryId, f64)>, share: f64) -> Self {
        runs.sort_by_key(|(query, _)| *query);
        runs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        Self { runs, share }
    }
}

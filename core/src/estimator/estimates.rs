//! Learned costs, as the scheduler and people see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::{ids::QueryId, resource::PerResource};

/// What is known of one query's cost per execution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostEstimate {
    /// Resource units per execution.
    pub cost: PerResource<f64>,
    /// Standard error of `cost`, in the same units.
    pub standard_error: PerResource<f64>,
    /// Executions that were seen in applied windows.
    pub observations: u64,
    /// Whether the windows seen tell this query's cost apart from the others'.
    pub identifiable: bool,
}

/// What is known of the load that no execution explains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Background {
    /// Resource units per tick.
    pub cost: PerResource<f64>,
    /// Standard error of `cost`, in the same units.
    pub standard_error: PerResource<f64>,
}

/// Learned costs by query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimates {
    by_query: BTreeMap<QueryId, CostEstimate>,
    unseen: Option<CostEstimate>,
}

impl Estimates {
    /// Costs by query, and what to expect of a query that was never seen.
    pub fn new(by_query: BTreeMap<QueryId, CostEstimate>, unseen: Option<CostEstimate>) -> Self {
        Self { by_query, unseen }
    }

    /// Takes over what is known now: of all queries, in order, none fewer than before.
    pub(super) fn renew(
        &mut self,
        by_query: impl ExactSizeIterator<Item = (QueryId, CostEstimate)>,
        unseen: CostEstimate,
    ) {
        self.unseen = Some(unseen);
        if by_query.len() == self.by_query.len() {
            // The same queries: ten thousand of them are not sorted anew each second.
            self.by_query.values_mut().zip(by_query).for_each(|(old, (_, new))| *old = new);
        } else {
            self.by_query = by_query.collect();
        }
    }

    /// What is known of `query`, or of queries in general; nothing before the first window.
    pub fn get(&self, query: QueryId) -> Option<&CostEstimate> {
        self.by_query.get(&query).or(self.unseen.as_ref())
    }

    /// What to expect of a query that was never seen; nothing before the first window.
    pub fn unseen(&self) -> Option<&CostEstimate> {
        self.unseen.as_ref()
    }

    /// All queries that were seen.
    pub fn iter(&self) -> impl Iterator<Item = (QueryId, &CostEstimate)> {
        self.by_query.iter().map(|(query, estimate)| (*query, estimate))
    }
}

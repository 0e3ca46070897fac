//! Learned costs, as the scheduler and people see them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ids::QueryId, resource::PerResource};

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

    /// What is known of `query`, or of queries in general; nothing before the first window.
    pub fn get(&self, query: QueryId) -> Option<&CostEstimate> {
        self.by_query.get(&query).or(self.unseen.as_ref())
    }

    /// All queries that were seen.
    pub fn iter(&self) -> impl Iterator<Item = (QueryId, &CostEstimate)> {
        self.by_query.iter().map(|(query, estimate)| (*query, estimate))
    }
}

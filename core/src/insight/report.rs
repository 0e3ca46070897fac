//! What the client tells about itself once a second, for people: in one process as a value, over Redis as JSON.

use serde::{Deserialize, Serialize};

use crate::{
    estimator::{CostEstimate, Estimates},
    insight::{forecast::Forecast, shadow::ShadowReport},
    scheduler::Feasibility,
    units::{ids::QueryId, tick::Tick},
};

/// How the client is, and what it decided last. What a later client tells besides is passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Counts this client's reports: one that stays the same is old, whatever the clocks say.
    pub beat: u64,
    /// What it is to the database: levelling, standing by, gave up, restoring, waiting.
    pub role: String,
    /// What a person should know of that: who levels instead, what is waited for.
    pub note: Option<String>,
    /// Its last decision.
    pub decided: Option<Decided>,
    /// The last minute's windows, as its model sees them; oldest first.
    pub forecasts: Vec<Forecast>,
    /// See [`crate::insight::forecast::Forecaster::residual`].
    pub residual: Option<f64>,
    /// Why its state is not saved, while it is not. A server of an earlier version is told only what it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<String>,
    /// Roughly, seconds until costs are known well enough; none when they are, or something else binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_s: Option<f64>,
    /// The database beside its twin; none before the first comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowReport>,
}

impl Report {
    /// What keeps the corridor out of reach, in words; none when nothing does.
    pub fn reach(&self) -> Option<String> {
        reach(self.decided?.feasibility, self.learning_s)
    }
}

/// The same of a plan, with the seconds that are still to be learned for.
pub fn reach(feasibility: Feasibility, learning_s: Option<f64>) -> Option<String> {
    let sentence = feasibility.sentence()?;
    Some(match learning_s {
        Some(seconds) => format!("learning, about {seconds:.0} s to go: {sentence}"),
        None => sentence,
    })
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// After which tick it was made.
    pub tick: Tick,
    /// Whether the corridor can be reached.
    pub feasibility: Feasibility,
    /// Slots that it placed.
    pub slots: usize,
}

/// Learned costs of all queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedCosts {
    /// By query, in the order of their ids.
    pub queries: Vec<LearnedCost>,
    /// What to expect of one that is not among them.
    pub unseen: Option<CostEstimate>,
}

/// The learned cost of one query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedCost {
    /// Which one.
    pub query: QueryId,
    /// What is known of it.
    pub estimate: CostEstimate,
}

impl From<&Estimates> for LearnedCosts {
    fn from(estimates: &Estimates) -> Self {
        let queries = estimates.iter().map(|(query, estimate)| LearnedCost { query, estimate: *estimate });
        Self { queries: queries.collect(), unseen: estimates.unseen().copied() }
    }
}

impl From<&LearnedCosts> for Estimates {
    fn from(costs: &LearnedCosts) -> Self {
        let by_query = costs.queries.iter().map(|learned| (learned.query, learned.estimate));
        Self::new(by_query.collect(), costs.unseen)
    }
}

impl LearnedCosts {
    /// What is known of `query` itself.
    pub fn get(&self, query: QueryId) -> Option<&CostEstimate> {
        let at = self.queries.binary_search_by_key(&query, |learned| learned.query).ok()?;
        Some(&self.queries[at].estimate)
    }
}

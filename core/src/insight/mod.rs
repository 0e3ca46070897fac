//! What people are told: what happened, what is expected, and what would have been without evenkeel.

pub mod benefit;
pub mod counterfactual;
pub mod forecast;
pub mod headline;
pub mod learning;
pub mod minutes;
pub mod objective;
pub mod outlook;
pub mod recap;
pub mod report;
pub mod shadow;

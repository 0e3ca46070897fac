//! What each query costs, learned from 1-second averages.

mod estimates;

pub use estimates::{CostEstimate, Estimates};

use crate::{journal::Executed, window::Window};

/// Learns costs from executions and the windows that they ran in.
#[derive(Clone, Debug, Default)]
pub struct Estimator {
    estimates: Estimates,
}

impl Estimator {
    /// Notes an execution; it counts once the windows of its ticks are closed.
    pub fn executed(&mut self, _executed: &Executed) {}

    /// Notes a closed window; it is applied once the executions that it counts have been seen.
    pub fn window(&mut self, _window: &Window) {}

    /// What is known.
    pub fn estimates(&self) -> &Estimates {
        &self.estimates
    }
}

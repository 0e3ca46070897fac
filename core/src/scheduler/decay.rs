//! Sums that forget exponentially.

use serde::{Deserialize, Serialize};

use crate::tick::Tick;

/// A sum, as of a tick, whose terms weigh e^(−age / time constant).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decaying {
    sum: f64,
    at: Tick,
}

impl Decaying {
    /// Adds `term` as of `tick`.
    pub(super) fn add(&mut self, term: f64, tick: Tick, time_constant_ticks: f64) {
        let later = self.at.max(tick);
        let age = later.since(tick) as f64;
        self.sum = self.value(later, time_constant_ticks) + term * libm::exp(-age / time_constant_ticks);
        self.at = later;
    }

    /// The sum as of `tick`.
    pub(super) fn value(&self, tick: Tick, time_constant_ticks: f64) -> f64 {
        self.sum * libm::exp(-(tick.since(self.at) as f64) / time_constant_ticks)
    }

    /// Whether it can have come from adding what is not negative.
    pub(super) fn is_sane(&self) -> bool {
        self.sum.is_finite() && self.sum >= 0.0
    }
}

//! Sums that forget exponentially.

use serde::{Deserialize, Serialize};

use crate::units::tick::Tick;

/// A sum, as of a tick, whose terms weigh e^(−age / time constant).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decaying {
    /// Stored bit for bit: decimal text may lose the last bit, and with it the same plan.
    #[serde(with = "bits")]
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

mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde hands the field over by reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

//! Learns one resource's costs from windows that may be exact or not.

use super::{equations::Equations, model::Model, noise::Exactness};
use crate::units::window::Extent;

/// Weight of a window in the comparison of models when the next one comes: it looks back on some fifty.
const KEEP: f64 = 0.98;

/// From here on down the exact model is refuted: its windows were e⁸ times less likely. Where windows are
/// exact the two predict averages all but equally well in the end, and chance would decide.
const REFUTED: f64 = -8.0;

/// Two models: one takes windows to be exact, which in a database that is alone with its counters tells
/// costs apart very fast, and goes wrong when they are not; the other learns how far they stray. What
/// counts is what the one says that has predicted the last windows better (prequential comparison,
/// Dawid 1984).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Learner {
    pub(super) exact: Model,
    pub(super) noisy: Model,
    /// Discounted sum over windows: log-likelihood under `exact` less that under `noisy`.
    pub(super) exact_leads: f64,
}

impl Learner {
    /// Begins with the first window in which something ran.
    pub(super) fn new(usage: Extent, equations: &Equations) -> Self {
        Self {
            exact: Model::new(usage, equations, Exactness::Exact),
            noisy: Model::new(usage, equations, Exactness::Noisy),
            exact_leads: 0.0,
        }
    }

    /// Knows of `count` queries from now on.
    pub(super) fn admit(&mut self, count: usize) {
        self.exact.admit(count);
        self.noisy.admit(count);
    }

    /// Learns from a window. Whether the exact model forgot what was before it.
    pub(super) fn learn(&mut self, usage: Extent, equations: &Equations) -> bool {
        let exact = self.exact.learn(usage, equations);
        let noisy = self.noisy.learn(usage, equations);
        self.exact_leads = KEEP * self.exact_leads + exact.likelihood - noisy.likelihood;
        exact.forgot
    }

    /// The model that has predicted better of late.
    pub(super) fn model(&self) -> &Model {
        if self.exact_leads > REFUTED { &self.exact } else { &self.noisy }
    }
}

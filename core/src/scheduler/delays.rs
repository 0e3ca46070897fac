//! The mean delay of what ran, folded from the executions stream.

use serde::{Deserialize, Serialize};

use super::decay::Decaying;
use crate::{journal::Executed, units::tick::Tick};

/// Time constant of the mean: what was saved in busy hours may be spent in quiet ones, within a
/// quarter of an hour at the default pace.
const TICKS: f64 = 10_000.0;

/// Exponentially forgotten sum of delays, and number of executions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentDelays {
    delay_ticks: Decaying,
    executions: Decaying,
}

impl RecentDelays {
    /// Notes an execution.
    pub(super) fn executed(&mut self, executed: &Executed) {
        self.delay_ticks.add(executed.delay_ticks() as f64, executed.tick, TICKS);
        self.executions.add(1.0, executed.tick, TICKS);
    }

    /// The mean, as of `tick`; none before the first execution.
    pub(super) fn mean_ticks(&self, tick: Tick) -> Option<f64> {
        let executions = self.executions.value(tick, TICKS);
        (executions > 0.0).then(|| self.delay_ticks.value(tick, TICKS) / executions)
    }

    /// Whether both numbers can have come from counting.
    pub(super) fn is_sane(&self) -> bool {
        self.delay_ticks.is_sane() && self.executions.is_sane()
    }
}

//! What a plan is made from, and what it says.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::recent::Ran;
use crate::{
    estimator::Estimates,
    server::control::{SET_MAX, SetSlot},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};

/// A waiting execution, as the journal tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which one.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
    /// When it arrived.
    pub queued_tick: Tick,
    /// Its base due tick: it cannot run earlier.
    pub due_tick: Tick,
    /// Its maximum delay as a tick: it cannot be held longer.
    pub deadline: Tick,
}

/// Arrivals to come: `mean` a tick from `tick` on, until a later entry for the same query says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The first tick.
    pub tick: Tick,
    /// Of which query.
    pub query: QueryId,
    /// Mean arrivals a tick.
    pub mean: f64,
    /// Their standard deviation.
    pub spread: f64,
}

/// Everything that a plan may depend on, besides what its policy carries over.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// How long windows and the delay that nobody asked for are.
    pub lengths: Lengths,
    /// The last tick that has begun: every slot is later.
    pub tick: Tick,
    /// What waits, by (queued tick, id).
    pub pending: &'a [Pending],
    /// What each query costs.
    pub estimates: &'a Estimates,
    /// What is expected to arrive.
    pub expected: &'a [Expected],
    /// What ran in the open window and the one before it.
    pub recent: &'a [Ran],
    /// Mean delay of what ran lately, in ticks; none before the first execution.
    pub recent_delay: Option<f64>,
    /// Ceiling for the mean delay in ticks, if any.
    pub delay_budget: Option<f64>,
}

/// What keeps the load out of the corridor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Binding {
    /// Too few executions arrive to fill every tick.
    Arrivals,
    /// The delay budget is too small to hold what would be needed.
    Budget,
    /// Costs are not known well enough.
    Estimates,
    /// Maximum delays force executions to run.
    Deadlines,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arrivals => "arrivals",
            Self::Budget => "budget",
            Self::Estimates => "estimates",
            Self::Deadlines => "deadlines",
        })
    }
}

/// Whether the corridor can be reached, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feasibility {
    /// Whether the next window is expected to stay in the corridor.
    pub feasible: bool,
    /// What binds when it is not.
    pub binding: Option<Binding>,
    /// Whether peaks are cut with the delay that is allowed, although the corridor is out of reach. Clients of
    /// earlier versions do not tell it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cuts_peaks: bool,
}

impl Feasibility {
    /// The corridor can be reached.
    pub const FEASIBLE: Self = Self { feasible: true, binding: None, cuts_peaks: false };

    /// It cannot, because of `binding`.
    pub const fn bound_by(binding: Binding) -> Self {
        Self { feasible: false, binding: Some(binding), cuts_peaks: false }
    }

    /// It cannot, because of `binding`; peaks are cut all the same.
    pub const fn only_peaks(binding: Binding) -> Self {
        Self { feasible: false, binding: Some(binding), cuts_peaks: true }
    }

    /// Said by a policy that does not know of the corridor.
    pub const UNKNOWN: Self = Self { feasible: false, binding: None, cuts_peaks: false };

    /// What a person should know of it; none where the corridor can be reached, or nothing is known.
    pub fn sentence(&self) -> Option<String> {
        let because = match self.binding? {
            Binding::Arrivals => "while so few executions arrive",
            Binding::Budget => "with this budget",
            Binding::Estimates => "until costs are known better",
            Binding::Deadlines => "with these maximum delays",
        };
        let peaks = if self.cuts_peaks { "; peaks are cut" } else { "" };
        Some(format!("the corridor is out of reach {because}{peaks}"))
    }
}

/// When executions should run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Every waiting execution that has a slot, with the reason.
    pub set: Vec<SetSlot>,
    /// Whether the corridor can be reached.
    pub feasibility: Feasibility,
}

impl Plan {
    /// The slots that fit into one control request: those that come first.
    pub fn into_request(self) -> Vec<SetSlot> {
        let mut set = self.set;
        if set.len() > SET_MAX {
            set.sort_by_key(|slot| slot.due_tick);
            set.truncate(SET_MAX);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_is_said_with_why_and_what_is_done_instead() {
        let budget = Feasibility::only_peaks(Binding::Budget).sentence().unwrap();
        assert_eq!(budget, "the corridor is out of reach with this budget; peaks are cut");
        let arrivals = Feasibility::bound_by(Binding::Arrivals).sentence().unwrap();
        assert_eq!(arrivals, "the corridor is out of reach while so few executions arrive");
        assert_eq!(Feasibility::FEASIBLE.sentence(), None);
    }

    #[test]
    fn a_request_holds_the_slots_that_come_first() {
        let slot = |n: u64| SetSlot {
            execution: ExecutionId::new(n, 0),
            due_tick: Tick(100_000 - n),
            reason: String::new(),
        };
        let set = (0..SET_MAX as u64 + 5).map(slot).collect();
        let request = Plan { set, feasibility: Feasibility::FEASIBLE }.into_request();
        assert_eq!(request.len(), SET_MAX);
        assert!(request.iter().all(|slot| slot.due_tick <= Tick(100_000 - 5)));
    }
}

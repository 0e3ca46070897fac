//! Nobody levels.

use super::Policy;
use crate::scheduler::problem::{Feasibility, Plan, Problem};

/// Chooses no slot.
pub(super) struct NoPolicy;

impl Policy for NoPolicy {
    fn plan(&mut self, _problem: &Problem<'_>) -> Plan {
        Plan { set: Vec::new(), feasibility: Feasibility::UNKNOWN }
    }
}

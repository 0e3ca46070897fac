//! evenkeel's own policy: [`levelling::plan`](crate::scheduler::plan), and what it carries over.

use super::Policy;
use crate::scheduler::{
    levelling::{self, Carry},
    problem::{Plan, Problem},
};

/// Levels.
#[derive(Default)]
pub(super) struct Evenkeel {
    carry: Carry,
}

impl Policy for Evenkeel {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        let (plan, carry) = levelling::plan(problem, &self.carry);
        self.carry = carry;
        plan
    }
}

//! A token bucket: as many executions a tick as arrived a tick lately, oldest first, whatever they cost.

use super::Policy;
use crate::{
    scheduler::problem::{Feasibility, Plan, Problem},
    server::control::SetSlot,
};

/// Tokens that can be saved up, in ticks' worth: a tick may run twice the mean and not more.
const BURST_TICKS: f64 = 1.0;
/// Tokens a tick above the mean of arrivals, so that a backlog ends.
const HEADROOM: f64 = 1.02;

/// Counts executions.
#[derive(Default)]
pub(super) struct TokenBucket {
    tokens: f64,
}

impl Policy for TokenBucket {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        let rate: f64 = problem.expected.iter().map(|expected| expected.mean).sum();
        let earned = (rate * HEADROOM).max(f64::MIN_POSITIVE);
        self.tokens = (self.tokens + earned).min(earned.max(1.0) * (1.0 + BURST_TICKS));
        let next = problem.tick.next();
        let ready = problem.pending.iter().filter(|pending| pending.due_tick <= next);
        let mut set = Vec::new();
        for pending in ready.take(self.tokens as usize) {
            self.tokens -= 1.0;
            let waited = next.since(pending.queued_tick);
            set.push(SetSlot {
                execution: pending.execution,
                due_tick: next,
                reason: format!("waited {waited} ticks for one of {rate:.2} tokens a tick"),
            });
        }
        Plan { set, feasibility: Feasibility::UNKNOWN }
    }
}

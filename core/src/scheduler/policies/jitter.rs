//! Jitter: every execution is put off by a random number of ticks, as cron jobs are.

use std::collections::BTreeMap;

use super::Policy;
use crate::{
    chance,
    scheduler::problem::{Feasibility, Plan, Problem},
    server::control::SetSlot,
    units::{ids::ExecutionId, tick::Tick},
};

/// Most ticks that are added when no budget is given: a second at the default pace.
const SPREAD_TICKS: f64 = 10.0;

/// Slots by execution.
#[derive(Default)]
pub(super) struct Jitter {
    slots: BTreeMap<ExecutionId, Tick>,
}

impl Policy for Jitter {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        let unasked = problem.lengths.default_delay_ticks as f64;
        // Uniform on 0..=n adds n / 2 ticks on average.
        let added = problem.delay_budget.map_or(SPREAD_TICKS, |budget| 2.0 * (budget - unasked).max(0.0));
        let slots = problem.pending.iter().map(|pending| {
            let slot = self.slots.get(&pending.execution).copied();
            let slot = slot.unwrap_or_else(|| pending.due_tick.after(draw(pending.execution, added as u64)));
            (pending.execution, slot)
        });
        self.slots = slots.collect();
        let set = self.slots.iter().map(|(execution, slot)| SetSlot {
            execution: *execution,
            due_tick: *slot,
            reason: format!("put off at random by at most {added:.0} ticks"),
        });
        Plan { set: set.collect(), feasibility: Feasibility::UNKNOWN }
    }
}

/// Uniform in `0..=most`, the same whenever the same execution is seen.
fn draw(execution: ExecutionId, most: u64) -> u64 {
    let id = execution.0.as_u128();
    let bits = (id >> 64) as u64 ^ (id as u64).wrapping_mul(chance::STEP);
    chance::mixed(bits) % (most + 1)
}

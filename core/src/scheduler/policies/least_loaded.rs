//! Least loaded: each arrival takes, of the next ticks, the one that has the least planned so far.

use std::collections::BTreeMap;

use super::Policy;
use crate::{
    scheduler::problem::{Feasibility, Pending, Plan, Problem},
    server::control::SetSlot,
    units::{ids::ExecutionId, resource::Resource, tick::Tick},
};

/// Ticks that are looked at when no budget is given: a second at the default pace.
const AHEAD_TICKS: f64 = 10.0;

/// Slots by execution.
#[derive(Default)]
pub(super) struct LeastLoaded {
    slots: BTreeMap<ExecutionId, Tick>,
}

impl Policy for LeastLoaded {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        let unasked = (problem.lengths.default_delay_ticks - 1) as f64;
        let ahead =
            problem.delay_budget.map_or(AHEAD_TICKS, |budget| 2.0 * (budget - unasked) - 1.0).max(1.0) as u64;
        let mut planned: BTreeMap<Tick, [f64; 3]> = BTreeMap::new();
        let mut slots = BTreeMap::new();
        let known = |pending: &&Pending| self.slots.contains_key(&pending.execution);
        for pending in problem.pending.iter().filter(known) {
            let slot = self.slots[&pending.execution];
            add(planned.entry(slot).or_default(), cost(problem, pending));
            slots.insert(pending.execution, slot);
        }
        for pending in problem.pending.iter().filter(|pending| !known(pending)) {
            let cost = cost(problem, pending);
            let first = pending.due_tick.max(problem.tick.next());
            let ticks = (first.0..first.0.saturating_add(ahead)).map(Tick);
            let least = ticks.min_by(|a, b| peak(&planned, *a, cost).total_cmp(&peak(&planned, *b, cost)));
            let slot = least.unwrap_or(first);
            add(planned.entry(slot).or_default(), cost);
            slots.insert(pending.execution, slot);
        }
        self.slots = slots;
        let set = self.slots.iter().map(|(execution, slot)| SetSlot {
            execution: *execution,
            due_tick: *slot,
            reason: format!("tick {slot} had the least planned of the next {ahead} ticks"),
        });
        Plan { set: set.collect(), feasibility: Feasibility::UNKNOWN }
    }
}

fn cost(problem: &Problem<'_>, pending: &Pending) -> [f64; 3] {
    problem.estimates.get(pending.query).map_or([1.0; 3], |known| Resource::ALL.map(|r| known.cost[r]))
}

fn add(sums: &mut [f64; 3], cost: [f64; 3]) {
    sums.iter_mut().zip(cost).for_each(|(sum, cost)| *sum += cost);
}

/// The largest resource of a tick, with one more execution in it.
fn peak(planned: &BTreeMap<Tick, [f64; 3]>, tick: Tick, cost: [f64; 3]) -> f64 {
    let sums = planned.get(&tick).copied().unwrap_or_default();
    sums.into_iter().zip(cost).map(|(sum, cost)| sum + cost).fold(0.0, f64::max)
}

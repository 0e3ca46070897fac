//! What one plan leaves to the next.

use std::collections::BTreeMap;

use super::{by_window::WindowPlan, cap::Cap, item::Item, late::Late, units::Units, way::Way};
use crate::{
    scheduler::problem::Feasibility,
    server::control::SetSlot,
    units::{ids::ExecutionId, tick::Tick},
};

/// What one tick's plan leaves to the next. Soft: without it the next plans find the way back within
/// two windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carry {
    /// The last plan, and the tick that it was made from.
    pub(super) last: Option<(Tick, Feasibility)>,
    /// Slots that the queue knows.
    pub(super) slots: BTreeMap<ExecutionId, Slot>,
    /// What was done.
    pub(super) way: Option<Way>,
    /// Mean of what waited of late, in ticks of arrivals.
    pub(super) waiting_ticks: Option<f64>,
    /// What each tick shall sum to, while planning tick by tick.
    pub(super) target: Option<Units>,
    /// The window that is being filled, while planning whole windows.
    pub(super) window: Option<WindowPlan>,
    /// What no tick shall pass, while only peaks are cut.
    pub(super) cap: Option<Cap>,
    /// Whether plans come in time.
    pub(super) late: Late,
}

/// A slot, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) tick: Tick,
    pub(super) reason: String,
}

impl Carry {
    /// Places among `waiting` of what has a slot at `tick` or must run then.
    pub(super) fn planned(&self, tick: Tick, waiting: &[Item]) -> Vec<usize> {
        let has_slot = |item: &Item| self.slots.get(&item.execution).is_some_and(|slot| slot.tick <= tick);
        let runs = |item: &Item| item.earliest <= tick && (item.deadline <= tick || has_slot(item));
        waiting.iter().enumerate().filter(|(_, item)| runs(item)).map(|(place, _)| place).collect()
    }

    /// All slots, as a control request says them.
    pub(super) fn set(&self) -> Vec<SetSlot> {
        let set = self.slots.iter().map(|(execution, slot)| SetSlot {
            execution: *execution,
            due_tick: slot.tick,
            reason: slot.reason.clone(),
        });
        set.collect()
    }
}

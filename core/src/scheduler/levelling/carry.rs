//! What one plan leaves to the next.

use std::collections::BTreeMap;

use super::{by_window::WindowPlan, units::Units};
use crate::{control::SetSlot, ids::ExecutionId, scheduler::problem::Feasibility, tick::Tick};

/// What one tick's plan leaves to the next. Soft: without it the next plans find the way back within
/// two windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carry {
    /// The last plan, and the tick that it was made from.
    pub(super) last: Option<(Tick, Feasibility)>,
    /// Slots that the queue knows.
    pub(super) slots: BTreeMap<ExecutionId, Slot>,
    /// What each tick shall sum to, while planning tick by tick.
    pub(super) target: Option<Units>,
    /// The window that is being filled, while planning whole windows.
    pub(super) window: Option<WindowPlan>,
}

/// A slot, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) tick: Tick,
    pub(super) reason: String,
}

impl Carry {
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

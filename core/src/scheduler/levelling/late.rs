//! Whether plans reach the queue before the tick that they are for has begun.

use super::carry::Carry;
use crate::{
    scheduler::problem::{Pending, Problem},
    units::tick::Tick,
};

/// How long it is minded: a minute at the default pace. Then plans count on being in time again, which
/// costs a window or two when they still are not.
const MINDED_TICKS: u64 = 600;

/// What is known about it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Late {
    /// When a plan came late the last time.
    last: Option<Tick>,
    /// When two in a row did.
    last_two: Option<Tick>,
}

impl Late {
    /// What `problem` tells: an execution that still waits after its slot had a slot that came late.
    pub(super) fn after(self, before: &Carry, problem: &Problem<'_>) -> Self {
        let tick = problem.tick;
        let waits_after_its_slot = |pending: &Pending| {
            let slot = before.slots.get(&pending.execution);
            slot.is_some_and(|slot| pending.due_tick.max(slot.tick) <= tick)
        };
        if !problem.pending.iter().any(waits_after_its_slot) {
            return self;
        }
        let again = self.last.is_some_and(|last| last.next() == tick);
        Self { last: Some(tick), last_two: if again { Some(tick) } else { self.last_two } }
    }

    /// Ticks that more should wait when plans come late now and then: what runs meanwhile waits already.
    pub(super) fn ahead_ticks(self, tick: Tick) -> f64 {
        if Self::minded(self.last, tick) { 1.0 } else { 0.0 }
    }

    /// Whether the plan of `tick` should expect to come late.
    pub(super) fn usually(self, tick: Tick) -> bool {
        Self::minded(self.last_two, tick)
    }

    fn minded(last: Option<Tick>, tick: Tick) -> bool {
        last.is_some_and(|last| tick.since(last) < MINDED_TICKS)
    }
}

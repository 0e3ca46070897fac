//! Whether plans reach the queue before the tick that they are for has begun.

use super::carry::Carry;
use crate::{
    scheduler::problem::{Pending, Problem},
    units::tick::Tick,
};

/// What is known about it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Late {
    /// When a plan came late the last time.
    last: Option<Tick>,
    /// When two in a row did.
    last_two: Option<Tick>,
    /// How long that is minded: a minute. Then plans count on being in time again, which costs a window or two when they
    /// still are not.
    minded_ticks: u64,
}

impl Late {
    /// What `problem` tells: an execution that still waits after its slot had a slot that came late.
    pub(super) fn after(self, before: &Carry, problem: &Problem<'_>) -> Self {
        let tick = problem.tick;
        let minded_ticks = problem.lengths.minute_ticks();
        let waits_after_its_slot = |pending: &Pending| {
            let slot = before.slots.get(&pending.execution);
            slot.is_some_and(|slot| pending.due_tick.max(slot.tick) <= tick)
        };
        if !problem.pending.iter().any(waits_after_its_slot) {
            return self;
        }
        let again = self.last.is_some_and(|last| last.next() == tick);
        let last_two = if again { Some(tick) } else { self.last_two };
        Self { last: Some(tick), last_two, minded_ticks }
    }

    /// Ticks that more should wait when plans come late now and then: what runs meanwhile waits already.
    pub(super) fn ahead_ticks(self, tick: Tick) -> f64 {
        if self.minded(self.last, tick) { 1.0 } else { 0.0 }
    }

    /// Whether the plan of `tick` should expect to come late.
    pub(super) fn usually(self, tick: Tick) -> bool {
        self.minded(self.last_two, tick)
    }

    fn minded(self, last: Option<Tick>, tick: Tick) -> bool {
        last.is_some_and(|last| tick.since(last) < self.minded_ticks)
    }
}

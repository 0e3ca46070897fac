//! Which executions run in a tick: by their slots, in silence, or by their base due ticks.

use super::{Queue, silence};
use crate::{
    journal::Mode,
    server::control::SetSlot,
    units::{ids::ExecutionId, tick::Tick},
};

impl Queue {
    /// What runs at `tick`.
    pub(super) fn due(&mut self, tick: Tick) -> Vec<ExecutionId> {
        if self.mode != Mode::Enforce || !(self.lease_lives() || self.silence.holds()) {
            return self.due_by_base(tick);
        }
        if self.silence.has_plan() {
            return self.due_by_slot(tick);
        }
        if !self.lease_lives() && !self.silence.keeps_slots() {
            self.void_slots();
        }
        self.due_in_silence(tick)
    }

    /// What has its slot at `tick` runs, and what has reached its deadline. What should have run before, because a plan
    /// came late, leaves oldest first, within the same room as what is overdue: the end of a late plan's wait is not a
    /// peak.
    fn due_by_slot(&self, tick: Tick) -> Vec<ExecutionId> {
        let due = self.by_slot.iter().copied().take_while(|(due, _)| *due <= tick);
        let must_run = |id: &ExecutionId| self.waiting[id].deadline <= tick;
        let is_late = |(due, id): &(Tick, ExecutionId)| *due < tick && !must_run(id);
        let (late, on_time): (Vec<_>, Vec<_>) = due.partition(is_late);
        let (must, mut on_time): (Vec<_>, Vec<_>) = on_time.into_iter().partition(|(_, id)| must_run(id));
        on_time.truncate(self.most_on_time().saturating_sub(must.len()));
        let room = self.drain_per_tick().saturating_sub(must.len() + on_time.len()).max(1);
        late.into_iter().take(room).chain(must).chain(on_time).map(|(_, id)| id).collect()
    }

    /// Slots of one tick. Right after a silence, slots of two plans may meet, of which neither knows the other.
    fn most_on_time(&self) -> usize {
        match self.minute.mean_per_tick() {
            Some(mean) if !self.silence.is_long_over() => silence::most(mean) + 1,
            _ => usize::MAX,
        }
    }

    /// Whether the next tick has what it needs from a plan that has just been placed. After a silence the first plan may
    /// be made for ticks that have begun: those executions have run, and the load would stand still.
    pub(super) fn is_served_by(&self, set: &[SetSlot]) -> bool {
        let next = self.next_tick;
        let is_ahead = |slot: &SetSlot| slot.due_tick >= next && self.waiting.contains_key(&slot.execution);
        if set.is_empty() || set.iter().all(|slot| slot.due_tick >= next) {
            return true;
        }
        if !self.silence.was_silent() {
            return set.iter().any(is_ahead);
        }
        let least = self.minute.mean_per_tick().map_or(1, silence::least);
        self.by_slot.iter().take_while(|(due, _)| *due <= next).count() >= least
    }

    /// The same in a tick that nobody has planned; what has no slot then fills it up to the pace, oldest first.
    fn due_in_silence(&mut self, tick: Tick) -> Vec<ExecutionId> {
        let mut due = self.due_by_slot(tick);
        let pace = self.silence.pace(self.minute.mean_per_tick(), self.waiting.len());
        let room = pace.saturating_sub(due.len());
        let may_run = self.by_due.iter().take_while(|(base, _)| *base <= tick).map(|(_, id)| *id);
        let unplanned = |id: &ExecutionId| {
            let waiting = &self.waiting[id];
            waiting.slot.is_none() && waiting.levelled_tick() > tick
        };
        let more: Vec<_> = may_run.filter(unplanned).take(room).collect();
        due.splice(0..0, more);
        self.silence.ran(due.len());
        due
    }

    /// What is due at `tick` runs; what is overdue leaves oldest first, within a quarter more than the last minute's
    /// mean of executions per tick, so that the end of levelling is not a peak.
    fn due_by_base(&self, tick: Tick) -> Vec<ExecutionId> {
        let on_time = self.by_due.range((tick, ExecutionId(uuid::Uuid::nil()))..);
        let on_time: Vec<_> = on_time.take_while(|(due, _)| *due == tick).map(|(_, id)| *id).collect();
        // At least one, so that a backlog ends whatever arrives.
        let room = self.drain_per_tick().saturating_sub(on_time.len()).max(1);
        let overdue = self.by_due.iter().take_while(|(due, _)| *due < tick).map(|(_, id)| *id);
        overdue.take(room).chain(on_time).collect()
    }

    /// Slots count no more: those of a leader whose lease is over, or who has been replaced.
    pub(super) fn void_slots(&mut self) {
        let slotted = self.waiting.values().filter(|waiting| waiting.slot.is_some());
        let slotted: Vec<_> = slotted.map(|waiting| waiting.queued).collect();
        for queued in slotted {
            self.remove(queued.execution);
            self.insert(queued, None);
        }
    }

    /// A quarter more than the last minute's mean; before its first window nothing is known.
    fn drain_per_tick(&self) -> usize {
        self.minute.mean_per_tick().map_or(2, silence::most).max(1)
    }
}

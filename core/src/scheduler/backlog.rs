//! What waits, folded from the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::Pending;
use crate::{
    journal::{Executed, QueueEvent, QueueRecord, Queued},
    server::queue::HoldLimits,
    units::{ids::ExecutionId, tick::Tick},
};

/// Waiting executions. Streams may be read one ahead of the other, so an execution can be seen to run
/// before it is seen to arrive: its arrival is then ignored. One that has been released waits no more, and is known until
/// its outcome has been seen, too.
#[derive(Clone, Debug)]
pub struct Backlog {
    limits: HoldLimits,
    waiting: BTreeMap<(Tick, ExecutionId), Pending>,
    queued_tick: BTreeMap<ExecutionId, Tick>,
    ran_before_queued: BTreeSet<ExecutionId>,
    released: BTreeSet<ExecutionId>,
}

impl Backlog {
    /// Nothing waits.
    pub fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            queued_tick: BTreeMap::new(),
            ran_before_queued: BTreeSet::new(),
            released: BTreeSet::new(),
        }
    }

    /// Applies an event of the queue.
    pub fn queue_event(&mut self, record: &QueueRecord) {
        match record.event {
            QueueEvent::Queued => {
                if !self.ran_before_queued.remove(&record.execution) {
                    self.insert(Queued {
                        execution: record.execution,
                        query: record.query,
                        queued_tick: record.tick,
                        due_tick: record.due_tick,
                    });
                }
            }
            QueueEvent::Delayed => self.delayed(record.execution, record.due_tick),
            // In the stream it comes after its arrival: what does not wait was never queued, or has run.
            QueueEvent::Released => {
                if self.leave(record.execution) {
                    self.released.insert(record.execution);
                }
            }
            QueueEvent::Dropped => drop(self.leave(record.execution)),
        }
    }

    /// Applies an execution.
    pub fn executed(&mut self, executed: &Executed) {
        let known = self.leave(executed.execution) || self.released.remove(&executed.execution);
        // What ran in the tick of its arrival never waited.
        if !known && executed.tick > executed.queued_tick {
            self.ran_before_queued.insert(executed.execution);
        }
    }

    /// Takes it out of what waits; whether it did.
    fn leave(&mut self, execution: ExecutionId) -> bool {
        let Some(tick) = self.queued_tick.remove(&execution) else { return false };
        self.waiting.remove(&(tick, execution));
        true
    }

    /// What waits, by (queued tick, id).
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &Pending> {
        self.waiting.values()
    }

    /// Whether it waits.
    pub(super) fn contains(&self, execution: ExecutionId) -> bool {
        self.queued_tick.contains_key(&execution)
    }

    /// Executions seen to run and not yet seen to arrive.
    pub fn ran_before_queued(&self) -> impl Iterator<Item = ExecutionId> + '_ {
        self.ran_before_queued.iter().copied()
    }

    /// Executions seen to be released and not yet seen to end.
    pub fn released(&self) -> impl Iterator<Item = ExecutionId> + '_ {
        self.released.iter().copied()
    }

    /// Puts back what [`Backlog::pending`], [`Backlog::ran_before_queued`] and [`Backlog::released`] said; false when an
    /// execution is named twice.
    pub(super) fn restore(
        &mut self,
        waiting: &[Queued],
        ran_before_queued: &[ExecutionId],
        released: &[ExecutionId],
    ) -> bool {
        for queued in waiting {
            self.insert(*queued);
        }
        self.ran_before_queued.extend(ran_before_queued);
        self.released.extend(released);
        let waits = |id: &ExecutionId| self.queued_tick.contains_key(id);
        self.queued_tick.len() == waiting.len()
            && self.ran_before_queued.len() == ran_before_queued.len()
            && self.released.len() == released.len()
            && !self.ran_before_queued.iter().any(|id| waits(id) || self.released.contains(id))
            && !self.released.iter().any(waits)
    }

    fn insert(&mut self, queued: Queued) {
        let Queued { execution, query, queued_tick, due_tick } = queued;
        let deadline = self.limits.deadline(query, queued_tick, due_tick);
        // A second arrival of the same execution replaces the first: it waits once.
        if let Some(before) = self.queued_tick.insert(execution, queued_tick) {
            self.waiting.remove(&(before, execution));
        }
        let pending = Pending { execution, query, queued_tick, due_tick, deadline };
        self.waiting.insert((queued_tick, execution), pending);
    }

    fn delayed(&mut self, execution: ExecutionId, due_tick: Tick) {
        let Some(queued_tick) = self.queued_tick.get(&execution) else { return };
        if let Some(pending) = self.waiting.get_mut(&(*queued_tick, execution)) {
            pending.due_tick = due_tick;
            pending.deadline = self.limits.deadline(pending.query, *queued_tick, due_tick);
        }
    }
}

//! What waits, folded from the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Pending, Plan};
use crate::{
    ids::ExecutionId,
    journal::{Executed, QueueEvent, QueueRecord},
    queue::HoldLimits,
    tick::Tick,
};

/// Waiting executions. Streams may be read one ahead of the other, so an execution can be seen to run
/// before it is seen to arrive: its arrival is then ignored.
#[derive(Clone, Debug)]
pub struct Backlog {
    limits: HoldLimits,
    waiting: BTreeMap<(Tick, ExecutionId), Pending>,
    queued_tick: BTreeMap<ExecutionId, Tick>,
    ran_before_queued: BTreeSet<ExecutionId>,
}

impl Backlog {
    /// Nothing waits.
    pub fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            waiting: BTreeMap::new(),
            queued_tick: BTreeMap::new(),
            ran_before_queued: BTreeSet::new(),
        }
    }

    /// Applies an event of the queue.
    pub fn queue_event(&mut self, record: &QueueRecord) {
        match record.event {
            QueueEvent::Queued => {
                if self.ran_before_queued.remove(&record.execution) {
                    return;
                }
                self.queued_tick.insert(record.execution, record.tick);
                self.waiting.insert(
                    (record.tick, record.execution),
                    Pending {
                        execution: record.execution,
                        query: record.query,
                        queued_tick: record.tick,
                        due_tick: record.due_tick,
                        deadline: self.limits.deadline(record.query, record.tick, record.due_tick),
                        slot: None,
                    },
                );
            }
            QueueEvent::Delayed => {
                if let Some(pending) = self.pending_mut(record.execution) {
                    pending.due_tick = record.due_tick;
                    let (query, queued) = (pending.query, pending.queued_tick);
                    let deadline = self.limits.deadline(query, queued, record.due_tick);
                    if let Some(pending) = self.pending_mut(record.execution) {
                        pending.deadline = deadline;
                    }
                }
            }
            QueueEvent::Released => {}
        }
    }

    /// Applies an execution.
    pub fn executed(&mut self, executed: &Executed) {
        match self.queued_tick.remove(&executed.execution) {
            Some(tick) => {
                self.waiting.remove(&(tick, executed.execution));
            }
            None => {
                self.ran_before_queued.insert(executed.execution);
            }
        }
    }

    /// Notes the slots of a plan.
    pub fn planned(&mut self, plan: &Plan) {
        for set in &plan.set {
            if let Some(pending) = self.pending_mut(set.execution) {
                pending.slot = Some(set.due_tick);
            }
        }
    }

    /// What waits, by (queued tick, id).
    pub fn pending(&self) -> Vec<Pending> {
        self.waiting.values().copied().collect()
    }

    fn pending_mut(&mut self, execution: ExecutionId) -> Option<&mut Pending> {
        let tick = *self.queued_tick.get(&execution)?;
        self.waiting.get_mut(&(tick, execution))
    }
}

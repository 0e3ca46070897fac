//! What the scheduler knows from the journal: everything that a plan depends on and that must survive
//! a restart. A pure fold: the same entries give the same state however the streams interleave.

use serde::{Deserialize, Serialize};

use super::{arrivals::ArrivalRates, backlog::Backlog, delays::RecentDelays, recent::RecentTicks};
use crate::{
    journal::{Executed, QueueEvent, QueueRecord, Queued},
    server::queue::HoldLimits,
    units::{ids::ExecutionId, lengths::Lengths},
};

/// The fold's state.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    lengths: Lengths,
    pub(super) backlog: Backlog,
    pub(super) arrivals: ArrivalRates,
    pub(super) recent: RecentTicks,
    pub(super) delays: RecentDelays,
}

/// The fold's state as it is stored. Limits are configuration and not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerSnapshot {
    waiting: Vec<Queued>,
    ran_before_queued: Vec<ExecutionId>,
    arrivals: ArrivalRates,
    recent: RecentTicks,
    delays: RecentDelays,
    /// Format 2 of the client's state added it, at its end: see [`crate::leveller::ClientState`].
    released: Vec<ExecutionId>,
}

/// A snapshot that no sequence of entries leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// An execution is named twice.
    #[error("the scheduler's snapshot names an execution twice")]
    Twice,
    /// A count is negative or not a number.
    #[error("the scheduler's snapshot has a count that is negative or not a number")]
    Count,
}

impl Fold {
    pub(super) fn new(lengths: Lengths, limits: HoldLimits) -> Self {
        Self {
            lengths,
            backlog: Backlog::new(limits),
            arrivals: ArrivalRates::default(),
            recent: RecentTicks::default(),
            delays: RecentDelays::default(),
        }
    }

    pub(super) fn queue_event(&mut self, record: &QueueRecord) {
        self.backlog.queue_event(record);
        if record.event == QueueEvent::Queued {
            self.arrivals.arrived(record.query, record.tick);
        }
    }

    pub(super) fn executed(&mut self, executed: &Executed) {
        self.backlog.executed(executed);
        self.recent.executed(executed, self.lengths);
        self.delays.executed(executed);
    }

    pub(super) fn snapshot(&self) -> SchedulerSnapshot {
        let waiting = self.backlog.pending().map(|pending| Queued {
            execution: pending.execution,
            query: pending.query,
            queued_tick: pending.queued_tick,
            due_tick: pending.due_tick,
        });
        SchedulerSnapshot {
            waiting: waiting.collect(),
            ran_before_queued: self.backlog.ran_before_queued().collect(),
            arrivals: self.arrivals.clone(),
            recent: self.recent.clone(),
            delays: self.delays.clone(),
            released: self.backlog.released().collect(),
        }
    }

    pub(super) fn restore(
        lengths: Lengths,
        limits: HoldLimits,
        snapshot: SchedulerSnapshot,
    ) -> Result<Self, SnapshotError> {
        let SchedulerSnapshot { waiting, ran_before_queued, arrivals, recent, delays, released } = snapshot;
        let mut backlog = Backlog::new(limits);
        if !backlog.restore(&waiting, &ran_before_queued, &released) {
            return Err(SnapshotError::Twice);
        }
        if !arrivals.is_sane() || !delays.is_sane() {
            return Err(SnapshotError::Count);
        }
        Ok(Self { lengths, backlog, arrivals, recent, delays })
    }
}

//! What an audit knows of a database whose outcome is uncertain: what was released to it, and what never will be.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings};
use crate::{
    journal::{Executed, QueueRecord, Released},
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};

/// A release that was seen, and no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Release {
    pub(super) query: QueryId,
    pub(super) due_tick: Tick,
    pub(super) tick: Tick,
    /// None where what it was queued by is no longer there.
    pub(super) queued_tick: Option<Tick>,
}

impl Release {
    /// One that was never queued says so by being due when it is released.
    pub(super) fn unqueued(event: &QueueRecord) -> Self {
        let QueueRecord { query, due_tick, tick, .. } = *event;
        Self { query, due_tick, tick, queued_tick: Some(tick) }
    }

    fn compare(self, executed: &Executed, findings: &mut Findings) {
        let mut compare = |field, executed_says: String, queued: String| {
            if executed_says != queued {
                let (execution, executed) = (executed.execution, executed_says);
                findings.add(Finding::Contradiction { execution, field, executed, queued });
            }
        };
        compare("query", executed.query.to_string(), self.query.to_string());
        compare("due_tick", executed.due_tick.to_string(), self.due_tick.to_string());
        compare("tick", executed.tick.to_string(), self.tick.to_string());
        if let Some(queued) = self.queued_tick {
            compare("queued_tick", executed.queued_tick.to_string(), queued.to_string());
        }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    open: BTreeMap<ExecutionId, Release>,
    dropped: Vec<ExecutionId>,
    /// Outcomes of this tick whose release has not been seen: within a tick the streams have no order.
    early: BTreeMap<ExecutionId, Executed>,
    /// What waited and ended in this tick: it may have been released in between.
    waited: (Tick, Vec<(ExecutionId, Release)>),
    /// What waited and has ended with a later due tick than it had, as far as that is known: what has delayed it may
    /// follow in the same tick.
    delayed: BTreeMap<ExecutionId, (Executed, Tick)>,
    rows: Option<Vec<Released>>,
}

impl Sent {
    /// The store's rows, to be compared in the end.
    pub(super) fn with_rows(self, rows: Vec<Released>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    pub(super) fn is_open(&self, execution: ExecutionId) -> bool {
        self.open.contains_key(&execution)
    }

    pub(super) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// When what is open was released.
    pub(super) fn ticks(&self) -> impl Iterator<Item = Tick> + '_ {
        self.open.values().map(|release| release.tick)
    }

    pub(super) fn released(&mut self, execution: ExecutionId, release: Release, findings: &mut Findings) {
        match self.early.remove(&execution) {
            Some(executed) => release.compare(&executed, findings),
            None => drop(self.open.insert(execution, release)),
        }
    }

    pub(super) fn dropped(&mut self, execution: ExecutionId) {
        self.dropped.push(execution);
    }

    /// An outcome; whether it is one of what was released.
    pub(super) fn ended(&mut self, executed: &Executed, findings: &mut Findings) -> bool {
        let release = self.open.remove(&executed.execution);
        if let Some(release) = release {
            release.compare(executed, findings);
        }
        release.is_some()
    }

    /// An outcome that comes in the tick of its release, which may follow.
    pub(super) fn may_be_released(&mut self, executed: &Executed) -> bool {
        let may = executed.finished_tick == executed.tick;
        if may {
            self.early.insert(executed.execution, executed.clone());
        }
        may
    }

    /// What waited has ended in the tick in which it ran.
    pub(super) fn waited(&mut self, executed: &Executed) {
        let Executed { execution, query, queued_tick, due_tick, tick, finished_tick, .. } = *executed;
        if tick != finished_tick {
            return;
        }
        if self.waited.0 != tick {
            self.waited = (tick, Vec::new());
        }
        let queued_tick = Some(queued_tick);
        self.waited.1.push((execution, Release { query, due_tick, tick, queued_tick }));
    }

    /// When what waited was due before it ended, where `waiting` is known so far. Within a tick the streams have no order:
    /// what has delayed it may follow.
    pub(super) fn known_due(&mut self, executed: &Executed, waiting: Tick) -> Tick {
        let Executed { tick, finished_tick, due_tick, .. } = *executed;
        let may_follow = tick == finished_tick && due_tick > waiting && executed.statement.is_some();
        if may_follow {
            self.delayed.insert(executed.execution, (executed.clone(), waiting));
        }
        if may_follow { due_tick } else { waiting }
    }

    /// Whether this delay is one of those that made what has just ended due when it was.
    pub(super) fn delays_what_has_just_ended(&mut self, event: &QueueRecord) -> bool {
        let QueueRecord { execution, tick, due_tick, added_ticks, .. } = *event;
        let Some((executed, known)) = self.delayed.get_mut(&execution) else { return false };
        let fits = executed.tick == tick && known.after(added_ticks) == due_tick;
        if fits {
            *known = due_tick;
        }
        if *known == executed.due_tick {
            self.delayed.remove(&execution);
        }
        fits
    }

    /// Whether this is the release of what has just ended.
    pub(super) fn has_just_ended(&mut self, event: &QueueRecord) -> bool {
        let QueueRecord { execution, query, tick, due_tick, .. } = *event;
        let same = |(of, found): &(ExecutionId, Release)| {
            *of == execution && (found.query, found.due_tick, found.tick) == (query, due_tick, tick)
        };
        let at = self.waited.1.iter().position(same);
        at.map(|at| self.waited.1.swap_remove(at)).is_some()
    }

    /// Those of ticks before `tick`, whose release never came.
    pub(super) fn never_released(&mut self, tick: Option<Tick>) -> Vec<Executed> {
        if self.early.is_empty() {
            return Vec::new();
        }
        let late = |executed: &Executed| tick.is_none_or(|tick| executed.finished_tick < tick);
        let (late, early) =
            std::mem::take(&mut self.early).into_iter().partition(|(_, executed)| late(executed));
        self.early = early;
        let late: BTreeMap<ExecutionId, Executed> = late;
        late.into_values().collect()
    }

    /// Nothing follows. `executed` are the executions that have an outcome, in the order of their ids.
    pub(super) fn finish(self, first_tick: Tick, executed: &[ExecutionId], findings: &mut Findings) {
        for (execution, (executed, known)) in &self.delayed {
            let (execution, field) = (*execution, "due_tick");
            let (executed, queued) = (executed.due_tick.to_string(), known.to_string());
            findings.add(Finding::Contradiction { execution, field, executed, queued });
        }
        let ran = |execution: &ExecutionId| executed.binary_search(execution).is_ok();
        for execution in self.dropped.iter().filter(|execution| ran(execution)) {
            findings.add(Finding::DroppedAndRan(*execution));
        }
        for execution in self.dropped.iter().filter(|execution| self.open.contains_key(execution)) {
            findings.add(Finding::DroppedAndRan(*execution));
        }
        for execution in self.open.keys().filter(|execution| ran(execution)) {
            findings.add(Finding::ReleasedAfterItRan(*execution));
        }
        let Some(rows) = self.rows else { return };
        let mut open = self.open;
        for row in rows {
            let Released { execution, query, queued_tick, due_tick, tick, .. } = row;
            let same = |found: Release| {
                (found.query, found.due_tick, found.tick) == (query, due_tick, tick)
                    && found.queued_tick.is_none_or(|found| found == queued_tick)
            };
            match open.remove(&execution) {
                Some(found) if same(found) => {}
                None if tick < first_tick => {}
                _ => findings.add(Finding::ReleasedRow { execution, row: true }),
            }
        }
        for (execution, _) in open {
            findings.add(Finding::ReleasedRow { execution, row: false });
        }
    }
}

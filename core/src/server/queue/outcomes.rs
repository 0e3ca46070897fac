//! A database whose outcomes are uncertain: what is released is recorded before it is sent, and its outcome when that is
//! known, in a tick or between two.
//!
//! ```text
//! due ──────▶ released (durable) ─▶ sent ─▶ Finished ─▶ executed, with its outcome
//! admitted ─▶                         └ the process dies ─▶ resolved at the next start, never sent again
//! waiting ──▶ dropped
//! ```
//!
//! Invariant: an execution has one release and at most one outcome, whatever the database tells, how late and how often.

use std::collections::BTreeMap;

use super::{DelayError, RecordedQueue};
#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::{
    journal::{
        Commit, Ended, EndedIn, Executed, Outcome, QueueChange, QueueEvent, QueueRecord, Record, Recovered,
        Released, ReleasedChange,
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
        window::{Measured, Window},
    },
};

/// How an execution ended, as the database tells it, or as it was found out after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub execution: ExecutionId,
    /// When, as far as that is known.
    pub tick: Tick,
    /// How.
    pub outcome: Outcome,
}

/// What has been released and has no outcome, and what of that windows have to count.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcomes {
    lengths: Lengths,
    open: BTreeMap<ExecutionId, Released>,
    pub(super) ended: Ended,
}

impl Outcomes {
    pub(super) fn recover(lengths: Lengths, recovered: &Recovered) -> Self {
        let open = recovered.released.iter().map(|row| (row.execution, row.clone())).collect();
        Self { lengths, open, ended: recovered.state.ended.clone() }
    }

    fn release(&mut self, row: Released) -> (Record, ReleasedChange) {
        let Released { execution, query, due_tick, tick, .. } = row;
        let event = QueueEvent::Released;
        let record = QueueRecord { event, execution, query, tick, due_tick, added_ticks: 0 };
        self.open.insert(execution, row.clone());
        (Record::Queue(record), ReleasedChange::Put(row))
    }

    /// The outcome of what has none yet. Its end is not before what windows have counted, nor after what has begun.
    fn end(
        &mut self,
        finished: &Finished,
        first_open: Tick,
        last_tick: Tick,
    ) -> Option<(Option<Record>, ReleasedChange)> {
        let row = self.take(finished.execution)?;
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::LateOutcomeLost) && finished.tick < first_open {
            return Some((None, ReleasedChange::Remove(row.execution)));
        }
        let counted = self.ended.last.max(first_open).max(row.tick);
        let executed = row.ended(finished.outcome, finished.tick.min(last_tick).max(counted));
        self.count(&executed, first_open);
        let gone = ReleasedChange::Remove(executed.execution);
        Some((Some(Record::Executed(executed)), gone))
    }

    /// Counts it in the window in which it ended, and in those before through which it ran.
    fn count(&mut self, executed: &Executed, first_open: Tick) {
        self.ended.last = executed.finished_tick;
        let window_ticks = self.lengths.window_ticks;
        let number = |tick: Tick| (tick.since(first_open) / window_ticks) as usize;
        let (began, ended) = (number(executed.tick), number(executed.finished_tick));
        let windows = &mut self.ended.windows;
        windows.resize(windows.len().max(ended + 1), EndedIn::default());
        windows[ended].executed += 1;
        for window in &mut windows[began..ended] {
            window.running += 1;
        }
    }

    /// What a window that closes counts.
    fn close(&mut self, window: &mut Window) {
        let known =
            if self.ended.windows.is_empty() { EndedIn::default() } else { self.ended.windows.remove(0) };
        let open = self.open.values().filter(|row| row.tick <= window.last_tick).count() as u64;
        (window.executed, window.running) = (known.executed, known.running + open);
    }

    fn take(&mut self, execution: ExecutionId) -> Option<Released> {
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::SecondOutcome) {
            return self.open.get(&execution).cloned();
        }
        self.open.remove(&execution)
    }
}

impl RecordedQueue {
    /// The same for a database whose outcomes are uncertain.
    #[must_use]
    pub fn uncertain(mut self) -> Self {
        self.uncertain = true;
        self
    }

    /// What has been released and has no outcome, in the order of the ids. After a start the database is asked about each:
    /// it is never sent again.
    pub fn released(&self) -> impl ExactSizeIterator<Item = &Released> {
        self.outcomes.open.values()
    }

    /// Releases executions that nobody defers, between two ticks; to be sent once the commit is durable.
    pub fn admit(
        &mut self,
        at_ms: u64,
        arrivals: impl IntoIterator<Item = (ExecutionId, QueryId)>,
    ) -> (Commit, Vec<Released>) {
        let tick = self.queue.last_tick();
        let admitted: Vec<_> = arrivals
            .into_iter()
            .map(|(execution, query)| Released {
                execution,
                query,
                queued_tick: tick,
                due_tick: tick,
                tick,
                at_ms,
                reason: String::new(),
                tenant: None,
                trace: None,
            })
            .collect();
        let released = admitted.iter().map(|row| self.outcomes.release(row.clone()));
        let (records, rows) = released.unzip();
        (self.commit(at_ms, records, Vec::new(), rows), admitted)
    }

    /// Records what has ended since the last time, in one group. What has an outcome already, or was never released, is
    /// passed over; no commit when nothing is left.
    pub fn ended(&mut self, at_ms: u64, finished: &[Finished]) -> Option<Commit> {
        let (first_open, last_tick) = (self.measured.first_open(), self.queue.last_tick());
        let ends = finished.iter().filter_map(|finished| self.outcomes.end(finished, first_open, last_tick));
        let (records, rows): (Vec<_>, Vec<_>) = ends.unzip();
        let records = records.into_iter().flatten().collect();
        (!rows.is_empty()).then(|| self.commit(at_ms, records, Vec::new(), rows))
    }

    /// Gives up what waits: it will never be sent.
    ///
    /// # Errors
    /// [`DelayError::NotQueued`]; nothing is changed then.
    pub fn drop_waiting(&mut self, execution: ExecutionId, at_ms: u64) -> Result<Commit, DelayError> {
        let queued = self.queue.give_up(execution).ok_or(DelayError::NotQueued(execution))?;
        let record = QueueRecord {
            event: QueueEvent::Dropped,
            execution,
            query: queued.query,
            tick: self.queue.last_tick(),
            due_tick: queued.due_tick,
            added_ticks: 0,
        };
        Ok(self.commit(at_ms, vec![Record::Queue(record)], vec![QueueChange::Remove(execution)], Vec::new()))
    }

    /// What is recorded of a tick's batch before it is started.
    pub(super) fn intents(&mut self, batch: &[Executed]) -> (Vec<Record>, Vec<ReleasedChange>) {
        if self.uncertain {
            batch.iter().map(|executed| self.outcomes.release(Released::of(executed))).unzip()
        } else {
            (batch.iter().cloned().map(Record::Executed).collect(), Vec::new())
        }
    }

    /// A window counts the executions that ended in it, of which the queue alone knows here.
    pub(super) fn counted(&mut self, mut measured: Measured) -> Measured {
        if self.uncertain {
            if let Some(window) = &mut measured.closed {
                self.outcomes.close(window);
            }
            measured.last = measured.closed.or(self.measured.last);
        }
        measured
    }
}

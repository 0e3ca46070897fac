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

use std::{collections::BTreeMap, sync::Arc};

use super::{Arrival, DelayError, RecordedQueue};
#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::{
    journal::{
        Answer, Commit, Ended, EndedIn, Executed, Outcome, QueryText, QueueChange, QueueEvent, QueueRecord,
        Queued, Record, Recovered, Released, ReleasedChange, Statement,
    },
    units::{
        ids::ExecutionId,
        lengths::Lengths,
        tick::Tick,
        window::{Measured, Window},
    },
};

/// How an execution ended, as the database tells it, or as it was found out after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub execution: ExecutionId,
    /// When, as far as that is known.
    pub tick: Tick,
    /// How.
    pub outcome: Outcome,
    /// What the database answered, where it was a real one and has.
    pub answer: Option<Answer>,
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
        let statement = row.statement.clone();
        let record = QueueRecord { event, execution, query, tick, due_tick, added_ticks: 0, statement };
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
        let end = finished.tick.min(last_tick).max(counted);
        let executed = row.ended(finished.outcome, end, finished.answer.clone());
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
    /// The same for a database whose outcomes are uncertain. Of what has waited, at most `at_once` run at a time.
    #[must_use]
    pub fn uncertain(mut self, at_once: Option<usize>) -> Self {
        (self.uncertain, self.at_once) = (true, at_once);
        self
    }

    /// The same, which knows whose statements wait: those of a queue before it, in the same process.
    #[must_use]
    pub fn knowing(mut self, statements: BTreeMap<ExecutionId, Arc<Statement>>) -> Self {
        self.statements = statements;
        self.statements.retain(|execution, _| self.queue.is_waiting(*execution));
        self
    }

    /// Whose statements wait, for a queue that takes this one's place.
    pub fn into_statements(self) -> BTreeMap<ExecutionId, Arc<Statement>> {
        self.statements
    }

    /// Gives up what waits and has no statement that is known: its client was one of a process that is gone. No commit
    /// when there is nothing of the kind.
    pub fn drop_orphans(&mut self, at_ms: u64) -> Option<Commit> {
        let waiting = self.queue.planned().map(|planned| planned.queued.execution);
        let orphans: Vec<_> = waiting.filter(|execution| !self.statements.contains_key(execution)).collect();
        let dropped = orphans.into_iter().filter_map(|execution| self.dropped(execution));
        let (records, changes): (Vec<_>, Vec<_>) = dropped.unzip();
        (!records.is_empty()).then(|| self.commit(at_ms, records, changes, Vec::new()))
    }

    /// How many of those that wait a tick may let go.
    pub(super) fn room(&self) -> usize {
        let Some(at_once) = self.at_once else { return usize::MAX };
        let running = self.outcomes.open.values().filter(|row| row.waited()).count();
        at_once.saturating_sub(running)
    }

    /// What has been released and has no outcome, in the order of the ids. After a start the database is asked about each:
    /// it is never sent again.
    pub fn released(&self) -> impl ExactSizeIterator<Item = &Released> {
        self.outcomes.open.values()
    }

    /// Releases executions between two ticks: those that nobody defers, and those that wait and shall wait no longer. They
    /// are to be sent once the commit is durable. What has been released already is passed over.
    pub fn admit(
        &mut self,
        at_ms: u64,
        arrivals: impl IntoIterator<Item = Arrival>,
        texts: Vec<QueryText>,
    ) -> (Commit, Vec<Released>) {
        let (mut admitted, mut records, mut rows, mut changes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for arrival in arrivals {
            let waited = self.queue.run_now(arrival.execution);
            if waited.is_none() && self.is_released(arrival.execution) {
                continue;
            }
            changes.extend(waited.map(|queued| QueueChange::Remove(queued.execution)));
            let row = self.released_now(at_ms, arrival, waited);
            let (record, change) = self.outcomes.release(row.clone());
            records.push(record);
            rows.push(change);
            admitted.push(row);
        }
        let commit = self.commit(at_ms, records, changes, rows);
        (Commit { texts, ..commit }, admitted)
    }

    fn is_released(&self, execution: ExecutionId) -> bool {
        self.outcomes.open.contains_key(&execution) || self.queue.ran_at(execution).is_some()
    }

    /// The row of what is released now.
    fn released_now(&mut self, at_ms: u64, arrival: Arrival, waited: Option<Queued>) -> Released {
        let tick = self.queue.last_tick();
        let Arrival { execution, query, statement, reason } = arrival;
        let known = self.statements.remove(&execution);
        let (query, queued_tick, due_tick) =
            waited.map_or((query, tick, tick), |row| (row.query, row.queued_tick, row.due_tick));
        Released {
            execution,
            query,
            queued_tick,
            due_tick,
            tick,
            at_ms,
            reason: reason.unwrap_or_default(),
            tenant: None,
            trace: None,
            statement: statement.or(known),
        }
    }

    /// Records what has ended since the last time, in one group. What has an outcome already, or was never released, is
    /// passed over; no commit when nothing is left.
    pub fn ended(&mut self, at_ms: u64, finished: &[Finished]) -> Option<Commit> {
        let (first_open, last_tick) = (self.measured.first_open(), self.queue.last_tick());
        let ends = finished.iter().filter_map(|finished| self.outcomes.end(finished, first_open, last_tick));
        let (records, rows): (Vec<_>, Vec<_>) = ends.unzip();
        let records = records.into_iter().flatten().collect();
        (!rows.is_empty()).then(|| Commit { patient: true, ..self.commit(at_ms, records, Vec::new(), rows) })
    }

    /// Gives up what waits: it will never be sent.
    ///
    /// # Errors
    /// [`DelayError::NotQueued`]; nothing is changed then.
    pub fn drop_waiting(&mut self, execution: ExecutionId, at_ms: u64) -> Result<Commit, DelayError> {
        let (record, change) = self.dropped(execution).ok_or(DelayError::NotQueued(execution))?;
        Ok(self.commit(at_ms, vec![record], vec![change], Vec::new()))
    }

    fn dropped(&mut self, execution: ExecutionId) -> Option<(Record, QueueChange)> {
        let queued = self.queue.give_up(execution)?;
        let record = QueueRecord {
            event: QueueEvent::Dropped,
            execution,
            query: queued.query,
            tick: self.queue.last_tick(),
            due_tick: queued.due_tick,
            added_ticks: 0,
            statement: self.statements.remove(&execution),
        };
        Some((Record::Queue(record), QueueChange::Remove(execution)))
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

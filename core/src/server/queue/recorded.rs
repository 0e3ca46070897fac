//! The queue as the server runs it: every durable change comes with the commit that records it.

use std::{collections::BTreeMap, sync::Arc};

use super::{Arrival, DelayError, HoldLimits, OutOfStep, Queue, Step, outcomes::Outcomes};
#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::{
    journal::{
        Commit, Executed, Mode, QueueChange, QueueEvent, QueueRecord, Record, Recovered, ReleasedChange,
        ServerState, Statement,
    },
    server::control::{ControlError, ControlRequest, ControlResponse},
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick, window::Measured},
};

/// A queue and the revision of the commit that made it what it is.
///
/// The revision counts on with every commit that is handed out, so a commit that failed is followed by
/// ones that the store refuses, until [`RecordedQueue::recover`] starts again from what is durable.
#[derive(Clone, Debug)]
pub struct RecordedQueue {
    pub(super) queue: Queue,
    pub(super) measured: Measured,
    revision: u64,
    /// See [`Recovered::recovery`].
    recovery: u64,
    /// Whether a batch can be started only once, and tells its outcome later.
    pub(super) uncertain: bool,
    /// How many of those that waited may run at once; no limit without one.
    pub(super) at_once: Option<usize>,
    /// Whose statements wait. Nothing durable: who waits for them is gone with the process.
    pub(super) statements: BTreeMap<ExecutionId, Arc<Statement>>,
    pub(super) outcomes: Outcomes,
    /// With [`Mutant::NoIntent`]: what ran and has not been recorded.
    #[cfg(feature = "mutants")]
    unrecorded: Vec<Executed>,
}

impl RecordedQueue {
    /// The queue that the store found.
    pub fn recover(lengths: Lengths, limits: HoldLimits, recovered: &Recovered) -> Self {
        let Recovered { revision, recovery, state, queue, .. } = recovered;
        let measured = Measured::recover(lengths, state.open_window, state.last_window);
        Self {
            queue: Queue::recover(lengths, limits, state, queue),
            measured,
            revision: *revision,
            recovery: *recovery,
            uncertain: false,
            at_once: None,
            statements: BTreeMap::new(),
            outcomes: Outcomes::recover(lengths, recovered),
            #[cfg(feature = "mutants")]
            unrecorded: Vec::new(),
        }
    }

    /// A tick; see [`Queue::advance`].
    ///
    /// # Errors
    /// [`OutOfStep`] when it is not this tick's turn; nothing is changed then.
    pub fn advance(
        &mut self,
        tick: Tick,
        at_ms: u64,
        arrivals: Vec<Arrival>,
        measured: Measured,
    ) -> Result<(Commit, Vec<Executed>), OutOfStep> {
        let measured = if tick == self.queue.next_tick() { self.counted(measured) } else { measured };
        if let Some(window) = &measured.closed
            && tick == self.queue.next_tick()
        {
            self.queue.window_closed(window);
        }
        let ids = arrivals.iter().map(|arrival| (arrival.execution, arrival.query));
        let room = self.room();
        let Step { mut executed, queued } = self.queue.advance_at_most(tick, at_ms, ids, room)?;
        self.measured = measured;
        for executed in &mut executed {
            executed.statement = self.statements.remove(&executed.execution);
        }
        let told = arrivals.into_iter().filter_map(|arrival| Some((arrival.execution, arrival.statement?)));
        self.statements.extend(told);
        let removed = executed.iter().map(|executed| QueueChange::Remove(executed.execution));
        let put = queued.iter().map(|queued| QueueChange::Put(*queued));
        let changes = removed.chain(put).collect();
        let statements = &self.statements;
        let arrived = queued.iter().map(|queued| QueueRecord {
            event: QueueEvent::Queued,
            execution: queued.execution,
            query: queued.query,
            tick,
            due_tick: queued.due_tick,
            added_ticks: 0,
            statement: statements.get(&queued.execution).cloned(),
        });
        let arrived = arrived.map(Record::Queue).collect::<Vec<_>>();
        let ran = executed.clone();
        #[cfg(feature = "mutants")]
        let ran = if mutant::is(Mutant::NoIntent) && !self.uncertain {
            std::mem::replace(&mut self.unrecorded, ran)
        } else {
            ran
        };
        let (records, released) = self.intents(&ran);
        let records = records.into_iter().chain(arrived);
        let records = records.chain(measured.closed.map(Record::Window)).collect();
        Ok((self.commit(at_ms, records, changes, released), executed))
    }

    /// A `/delay`; see [`Queue::delay`].
    ///
    /// # Errors
    /// [`DelayError`]; nothing is changed then.
    pub fn delay(&mut self, execution: ExecutionId, ticks: u64, at_ms: u64) -> Result<Commit, DelayError> {
        let (queued, record) = self.queue.delay(execution, ticks)?;
        Ok(self.commit(at_ms, vec![Record::Queue(record)], vec![QueueChange::Put(queued)], Vec::new()))
    }

    /// A change of the mode.
    pub fn set_mode(&mut self, mode: Mode, at_ms: u64) -> Commit {
        self.queue.set_mode(mode);
        self.commit(at_ms, Vec::new(), Vec::new(), Vec::new())
    }

    /// A client's request. Slots are soft, the lease is recorded with the next commit: nothing to commit.
    ///
    /// # Errors
    /// [`ControlError`]; nothing is changed then.
    pub fn control(&mut self, request: &ControlRequest) -> Result<ControlResponse, ControlError> {
        self.queue.control(request)
    }

    /// The recovery that it began with: see [`Recovered::recovery`].
    pub fn recovery(&self) -> u64 {
        self.recovery
    }

    /// Whose statement waits, where that is known.
    pub fn statement(&self, execution: ExecutionId) -> Option<&Arc<Statement>> {
        self.statements.get(&execution)
    }

    /// The queue itself, to be read.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn commit(
        &mut self,
        at_ms: u64,
        records: Vec<Record>,
        queue: Vec<QueueChange>,
        released: Vec<ReleasedChange>,
    ) -> Commit {
        self.revision += 1;
        let state = ServerState {
            next_tick: self.queue.next_tick(),
            open_window: self.measured.open,
            last_window: self.measured.last,
            executed_by_window: self.queue.executed_by_window().to_vec(),
            mode: self.queue.mode(),
            lease: self.queue.lease().cloned(),
            ended: self.outcomes.ended.clone(),
        };
        Commit {
            recovery: self.recovery,
            revision: self.revision,
            at_ms,
            records,
            queue,
            released,
            texts: Vec::new(),
            state,
            patient: false,
        }
    }
}

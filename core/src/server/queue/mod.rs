//! The queue: what waits, when each execution is due, and who may say otherwise.
//!
//! ```text
//!            base due tick = queued tick + default delay + every /delay
//! levelled   runs at max(base, slot); without a slot it is held; never later than its deadline; what is late drains
//! silent     nobody plans: what has a valid slot runs, and the stock goes on at the pace of the last minute
//! otherwise  slots are void: runs at its base; what is overdue then drains, oldest first
//!
//! lease alive and mode enforce ──▶ levelled; a tick without a new plan ──▶ silent, for a while: see `silence.rs`
//! deadline = max(base, queued tick + maximum delay): it binds slots, never /delay
//! ```

mod arrival;
mod due;
mod executed;
mod hold;
mod minute;
mod outcomes;
mod recorded;
mod silence;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use self::{
    arrival::Arrival,
    hold::{HoldLimits, HoldSettings},
    outcomes::Finished,
    recorded::RecordedQueue,
};
use self::{executed::ExecutedTicks, minute::Minute, silence::Silence};
use crate::{
    journal::{Executed, Lease, Mode, Outcome, QueueEvent, QueueRecord, Queued, ServerState},
    server::control::{
        CLIENT_BYTES_MAX, ControlError, ControlRequest, ControlResponse, EPOCH_MAX, LEASE_TICKS_MAX,
        REASON_BYTES_MAX, SET_MAX, SetOutcome, SetResult, SetSlot, highest_epoch,
    },
    text,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        span::Span,
        tick::Tick,
        window::Window,
    },
};

/// Longest delay of one `/delay`: a day at the default pace.
pub const DELAY_TICKS_MAX: u64 = 864_000;

/// A waiting execution, with when it will run as things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned<'a> {
    /// Its row.
    pub queued: Queued,
    /// The tick in which it runs if nothing changes.
    pub tick: Tick,
    /// Whether it waits for a slot.
    pub held: bool,
    /// Why its slot was chosen; none without a slot.
    pub reason: Option<&'a Arc<str>>,
}

/// What one tick does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Executions that run, in the order in which they run.
    pub executed: Vec<Executed>,
    /// Arrivals.
    pub queued: Vec<Queued>,
}

/// `/delay` asked for something that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelayError {
    /// The execution has run, or never was.
    #[error("execution {0} is not queued")]
    NotQueued(ExecutionId),
    /// Out of range.
    #[error("`delay` is {0}: expected an integer of 1..={DELAY_TICKS_MAX} ticks")]
    OutOfRange(u64),
}

/// The queue did not expect this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue expects tick {expected} and was given {got}")]
pub struct OutOfStep {
    /// Its next tick.
    pub expected: Tick,
    /// The tick that came.
    pub got: Tick,
}

#[derive(Clone, Debug)]
struct Waiting {
    queued: Queued,
    deadline: Tick,
    slot: Option<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    tick: Tick,
    /// Shared with those who read what waits.
    reason: Arc<str>,
}

impl Waiting {
    /// When it runs while slots decide.
    fn levelled_tick(&self) -> Tick {
        let slot = self.slot.as_ref().map_or(self.deadline, |slot| slot.tick);
        slot.max(self.queued.due_tick).min(self.deadline)
    }
}

/// The queue of one database.
#[derive(Clone, Debug)]
pub struct Queue {
    next_tick: Tick,
    lengths: Lengths,
    limits: HoldLimits,
    waiting: BTreeMap<ExecutionId, Waiting>,
    /// (levelled tick, id): what runs while slots decide.
    by_slot: BTreeSet<(Tick, ExecutionId)>,
    /// (base due tick, id): what runs otherwise, oldest first.
    by_due: BTreeSet<(Tick, ExecutionId)>,
    mode: Mode,
    lease: Option<Lease>,
    minute: Minute,
    executed: ExecutedTicks,
    silence: Silence,
}

impl Queue {
    /// An empty queue before its first tick.
    pub fn new(lengths: Lengths, limits: HoldLimits, mode: Mode) -> Self {
        Self {
            next_tick: Tick(0),
            lengths,
            limits,
            waiting: BTreeMap::new(),
            by_slot: BTreeSet::new(),
            by_due: BTreeSet::new(),
            mode,
            lease: None,
            minute: Minute::new(lengths),
            executed: ExecutedTicks::default(),
            silence: Silence::new(lengths),
        }
    }

    /// The queue that a stopped server left. Slots are void; the last lease counts as just renewed, so
    /// that its holder finds what it held.
    pub fn recover(lengths: Lengths, limits: HoldLimits, state: &ServerState, rows: &[Queued]) -> Self {
        let mut queue = Self::new(lengths, limits, state.mode);
        queue.next_tick = state.next_tick;
        queue.minute = Minute::recover(lengths, &state.executed_by_window, state.last_window.as_ref());
        // Nobody could go above an epoch that is out of range: an older evenkeel took any.
        let lease = state.lease.clone().filter(|lease| lease.epoch < EPOCH_MAX);
        queue.lease = lease.map(|mut lease| {
            lease.until = state.next_tick.after(lease.ticks);
            // Names had no limit once, and this one is written with each tick.
            lease.client = text::shown(&lease.client, CLIENT_BYTES_MAX);
            lease
        });
        for row in rows {
            queue.insert(*row, None);
        }
        if queue.lease.is_some() {
            queue.silence.begin(rows.len());
        }
        queue
    }

    /// Runs what is due and takes the arrivals, which are due no earlier than the next tick.
    /// `arrivals` come with ids that the queue has not seen.
    ///
    /// # Errors
    /// [`OutOfStep`] when it is not this tick's turn; nothing is changed then.
    pub fn advance(
        &mut self,
        tick: Tick,
        at_ms: u64,
        arrivals: impl IntoIterator<Item = (ExecutionId, QueryId)>,
    ) -> Result<Step, OutOfStep> {
        self.advance_at_most(tick, at_ms, arrivals, usize::MAX)
    }

    /// The same, with at most so many that run: the rest waits on, and the oldest go first.
    ///
    /// # Errors
    /// [`OutOfStep`], as [`Queue::advance`].
    pub fn advance_at_most(
        &mut self,
        tick: Tick,
        at_ms: u64,
        arrivals: impl IntoIterator<Item = (ExecutionId, QueryId)>,
        most: usize,
    ) -> Result<Step, OutOfStep> {
        if tick != self.next_tick {
            return Err(OutOfStep { expected: self.next_tick, got: tick });
        }
        let mut due = self.due(tick);
        if due.len() > most {
            due.sort_unstable_by_key(|id| (self.waiting[id].queued.queued_tick, *id));
            due.truncate(most);
        }
        let executed = due.into_iter().map(|id| self.run(id, tick, at_ms)).collect();
        let queued: Vec<_> = arrivals
            .into_iter()
            .map(|(execution, query)| Queued {
                execution,
                query,
                queued_tick: tick,
                due_tick: self.lengths.base_of(tick),
            })
            .collect();
        for &row in &queued {
            self.insert(row, None);
        }
        self.next_tick = tick.next();
        self.silence.ticked(self.waiting.len());
        Ok(Step { executed, queued })
    }

    /// Notes a closed window, whose executions count towards the drain's mean.
    pub fn window_closed(&mut self, window: &Window) {
        self.minute.closed(window);
    }

    /// Adds `ticks` to an execution's base due tick.
    ///
    /// # Errors
    /// [`DelayError`]; nothing is changed then.
    pub fn delay(&mut self, execution: ExecutionId, ticks: u64) -> Result<(Queued, QueueRecord), DelayError> {
        if !(1..=DELAY_TICKS_MAX).contains(&ticks) {
            return Err(DelayError::OutOfRange(ticks));
        }
        let mut waiting = self.remove(execution).ok_or(DelayError::NotQueued(execution))?;
        waiting.queued.due_tick = waiting.queued.due_tick.after(ticks);
        let queued = waiting.queued;
        self.insert(queued, waiting.slot);
        let record = QueueRecord {
            event: QueueEvent::Delayed,
            execution,
            query: queued.query,
            tick: self.last_tick(),
            due_tick: queued.due_tick,
            added_ticks: ticks,
            statement: None,
        };
        Ok((queued, record))
    }

    /// Renews the sender's lease and places its slots.
    ///
    /// # Errors
    /// [`ControlError`]; nothing is changed then.
    pub fn control(&mut self, request: &ControlRequest) -> Result<ControlResponse, ControlError> {
        self.check(request)?;
        // A leader that hands over leaves slots that need no lease, and the lease to whom comes next.
        let lease_until =
            if request.handover { self.last_tick() } else { self.last_tick().after(request.lease_ticks) };
        if request.handover || self.silence.keeps_slots() {
            // What a leader leaves is all that there is, until somebody plans again: of both nothing else counts.
            self.void_slots();
        }
        self.lease = Some(Lease {
            client: request.client.clone(),
            epoch: request.epoch,
            until: lease_until,
            ticks: request.lease_ticks,
        });
        let results = request.set.iter().map(|set| self.set_slot(set)).collect();
        self.silence.planned(request.handover, self.is_served_by(&request.set));
        Ok(ControlResponse {
            tick: self.last_tick(),
            tick_ms: self.lengths.tick_ms,
            mode: self.mode,
            lease_until,
            results,
        })
    }

    /// Changes who decides.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Who decides.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The last lease, living or not.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The first tick that has not begun.
    pub fn next_tick(&self) -> Tick {
        self.next_tick
    }

    /// The last tick that has begun; 0 before the first.
    pub fn last_tick(&self) -> Tick {
        self.next_tick.previous()
    }

    /// Executions that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it waits.
    pub fn is_waiting(&self, execution: ExecutionId) -> bool {
        self.waiting.contains_key(&execution)
    }

    /// In which tick it ran, while that is remembered.
    pub fn ran_at(&self, execution: ExecutionId) -> Option<Tick> {
        self.executed.tick_of(execution)
    }

    /// What waits, in the order of the ids.
    pub fn planned(&self) -> impl Iterator<Item = Planned<'_>> {
        let (levelled, slots_count) = (self.levelled(), self.slots_count());
        let by_slot = move |waiting: &Waiting| levelled || slots_count && waiting.slot.is_some();
        self.waiting.values().map(move |waiting| Planned {
            queued: waiting.queued,
            tick: if by_slot(waiting) { waiting.levelled_tick() } else { waiting.queued.due_tick }
                .max(self.next_tick),
            held: levelled && waiting.slot.is_none(),
            reason: waiting.slot.as_ref().map(|slot| &slot.reason),
        })
    }

    /// Executions of the windows of the last minute, oldest first: of each, or of several at a time where a minute has
    /// more than 60.
    pub fn executed_by_window(&self) -> &[u64] {
        self.minute.executed()
    }

    /// Whether slots decide at the next tick.
    pub fn levelled(&self) -> bool {
        self.mode == Mode::Enforce && self.lease_lives()
    }

    /// Whether the slots that there are count at the next tick.
    fn slots_count(&self) -> bool {
        let handed_over = self.mode == Mode::Enforce && self.silence.keeps_slots() && self.silence.holds();
        self.levelled() || handed_over
    }

    fn lease_lives(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until >= self.next_tick)
    }

    fn run(&mut self, execution: ExecutionId, tick: Tick, at_ms: u64) -> Executed {
        let levelled = self.levelled();
        let slots_count = self.slots_count();
        let shadow = self.mode == Mode::Shadow && self.lease_lives();
        let waiting = self.remove(execution).expect("due executions wait");
        self.executed.note(execution, tick);
        let Queued { query, queued_tick, due_tick, .. } = waiting.queued;
        let reason = match &waiting.slot {
            Some(slot) if shadow => {
                let chosen = waiting.levelled_tick();
                format!("shadow: would run at tick {chosen}. {}", slot.reason).trim_end().to_owned()
            }
            None if shadow => "shadow: would be held, no slot had been chosen".to_owned(),
            _ if tick == self.lengths.base_of(queued_tick) => String::new(),
            Some(slot) if slots_count && !slot.reason.is_empty() && tick > due_tick => {
                slot.reason.to_string()
            }
            _ if levelled && tick >= waiting.deadline && tick > due_tick => {
                let most = Span::of(tick.since(queued_tick), self.lengths.tick_ms);
                format!("held without a slot until its maximum delay, {most}")
            }
            Some(_) if slots_count && tick > due_tick => "held to its slot".to_owned(),
            _ if tick > due_tick && self.mode == Mode::Enforce && self.silence.holds() => {
                "held for a plan, which did not come: let go at the pace of the last minute, oldest first"
                    .to_owned()
            }
            _ if tick > due_tick => {
                format!("overdue since tick {due_tick} and nobody levels: drained, oldest first")
            }
            _ => format!("delayed on request to tick {due_tick}"),
        };
        Executed {
            execution,
            query,
            queued_tick,
            due_tick,
            tick,
            finished_tick: tick,
            reason,
            outcome: Outcome::Ok,
            executed_at_ms: at_ms,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        }
    }

    fn check(&self, request: &ControlRequest) -> Result<(), ControlError> {
        if !(1..=CLIENT_BYTES_MAX).contains(&request.client.len()) {
            return Err(ControlError::ClientLength(request.client.len()));
        }
        if !request.client.chars().all(text::is_plain) {
            return Err(ControlError::ClientNotPlain);
        }
        if !(1..=LEASE_TICKS_MAX).contains(&request.lease_ticks) {
            return Err(ControlError::LeaseTicks(request.lease_ticks));
        }
        if request.set.len() > SET_MAX {
            return Err(ControlError::TooManySlots(request.set.len()));
        }
        if let Some(set) = request.set.iter().find(|set| set.reason.len() > REASON_BYTES_MAX) {
            return Err(ControlError::ReasonTooLong { execution: set.execution, bytes: set.reason.len() });
        }
        if let Some(set) = request.set.iter().find(|set| !set.reason.chars().all(text::is_plain)) {
            return Err(ControlError::ReasonNotPlain(set.execution));
        }
        let known = self.lease.as_ref().map_or(0, |lease| lease.epoch);
        if request.epoch > highest_epoch(known) {
            return Err(ControlError::EpochJump { got: request.epoch, known });
        }
        match &self.lease {
            Some(lease)
                if request.epoch < lease.epoch
                    || request.epoch == lease.epoch && request.client != lease.client =>
            {
                Err(ControlError::Fenced {
                    client: request.client.clone(),
                    got: request.epoch,
                    holder: lease.client.clone(),
                    current: lease.epoch,
                })
            }
            _ => Ok(()),
        }
    }

    fn set_slot(&mut self, set: &SetSlot) -> SetResult {
        let execution = set.execution;
        let Some(waiting) = self.remove(execution) else {
            let ran = self.executed.tick_of(execution);
            let result = if ran.is_some() { SetOutcome::Executed } else { SetOutcome::Unknown };
            return SetResult { execution, result, due_tick: ran };
        };
        let slot = Slot { tick: set.due_tick, reason: Arc::from(set.reason.as_str()) };
        self.insert(waiting.queued, Some(slot));
        // A slot in the past is meant for the next tick.
        let due_tick = self.waiting[&execution].levelled_tick().max(self.next_tick);
        SetResult { execution, result: SetOutcome::Set, due_tick: Some(due_tick) }
    }

    /// Takes what waits out of the queue, and knows nothing of it any more.
    fn give_up(&mut self, execution: ExecutionId) -> Option<Queued> {
        self.remove(execution).map(|waiting| waiting.queued)
    }

    /// Takes what waits out of the queue, to run now, between two ticks.
    fn run_now(&mut self, execution: ExecutionId) -> Option<Queued> {
        let queued = self.give_up(execution)?;
        self.executed.note(execution, self.last_tick());
        Some(queued)
    }

    fn insert(&mut self, queued: Queued, slot: Option<Slot>) {
        let deadline = self.limits.deadline(queued.query, queued.queued_tick, queued.due_tick);
        let waiting = Waiting { queued, deadline, slot };
        self.by_slot.insert((waiting.levelled_tick(), queued.execution));
        self.by_due.insert((queued.due_tick, queued.execution));
        self.waiting.insert(queued.execution, waiting);
    }

    fn remove(&mut self, execution: ExecutionId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&execution)?;
        self.by_slot.remove(&(waiting.levelled_tick(), execution));
        self.by_due.remove(&(waiting.queued.due_tick, execution));
        Some(waiting)
    }
}

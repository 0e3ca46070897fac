//! A foreign server, watched from outside: what it shows twice a tick, turned into what a journal would say.
//!
//! ```text
//! looks at /queued ────▶ appeared: queued in this tick, due after the default ─▶ queue events
//!                        vanished: ran in the tick that it was due in        ─▶ executions
//! looks at /resources ─▶ changed: a window ended between the two looks       ─▶ windows, observations
//! own delays ──────────▶ when each execution is due: that tells ticks apart
//! ```
//!
//! An execution that nobody delays is shown for one tick only. What comes and goes between two looks is never
//! seen: how much that may be is estimated and said.

mod clock;
mod windows;

use std::collections::BTreeMap;

use self::{
    clock::TickClock,
    windows::{Border, Windows},
};
use crate::{
    estimator::Observation,
    journal::{Executed, Mode, Outcome, QueueEvent, QueueRecord, Record},
    server::control::{ControlRequest, ControlResponse, SetOutcome, SetResult, SetSlot},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::PerResource,
        tick::Tick,
        window::Extent,
    },
};

/// Executions that must vanish before they are due, all at once, for the server to have started anew.
const RESTART_VANISHED: usize = 3;
/// Ticks that a look may be wrong about: those nearest to what the clock says are tried.
const TRIED_TICKS: u64 = 4;
/// Ticks not looked at after which the server may have been away, and tick in another phase.
const LOST_TICKS: u64 = 20;
/// Time constant of the arrival rate, in ticks.
const RATE_TICKS: f64 = 300.0;
/// Windows after the last seen end of a window from which on another end may have been missed.
const WINDOWS_MAX: f64 = 1.4;

/// What a server's queue showed. Times are microseconds of one monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// When it was asked.
    pub asked_us: u64,
    /// When the answer was there.
    pub answered_us: u64,
    /// What waits there.
    pub queued: Vec<(ExecutionId, QueryId)>,
}

/// What a server said of its last window.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it was asked.
    pub asked_us: u64,
    /// When the answer was there.
    pub answered_us: u64,
    /// The window.
    pub usage: PerResource<Extent>,
    /// Differs from that of the window before.
    pub mark: String,
}

/// What a look tells.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What a journal would say.
    pub records: Vec<Record>,
    /// Windows to learn from.
    pub observations: Vec<Observation>,
    /// The tick that began since the last look, if one did.
    pub began: Option<Tick>,
}

/// What became of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DelayOutcome {
    /// It was added.
    Added,
    /// It was not: the execution has run, or is not known.
    Refused,
    /// No answer came: it was added or not.
    Unknown,
}

/// How much was seen. Completeness cannot be proved from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Executions seen to wait.
    pub seen: u64,
    /// Executions that may have come and gone unseen: the arrival rate times the ticks not looked at.
    pub missed: f64,
    /// Ticks not looked at.
    pub ticks_missed: u64,
    /// Windows whose executions are not clear; nothing is learned from them.
    pub windows_unclear: u64,
    /// Times that the server started anew.
    pub restarts: u64,
    /// Delays that came too late.
    pub late: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    query: QueryId,
    queued_tick: Tick,
    due: Due,
}

/// When it will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    At(Tick),
    /// At the first when its delay was not added, at the second when it was.
    Either(Tick, Tick),
    /// Somebody else delays it.
    Unknown,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Watcher {
    lengths: Lengths,
    clock: TickClock,
    waiting: BTreeMap<ExecutionId, Waiting>,
    windows: Windows,
    /// The last look at the queue: when it was asked and answered, and its tick.
    last: Option<(f64, f64, Tick)>,
    /// The last look at the resources that said something: when, and the mark.
    read: Option<(f64, String)>,
    rate: f64,
    coverage: Coverage,
}

impl Watcher {
    /// A watcher that has seen nothing of a server of these lengths. Its ticks may last a little more or less.
    pub fn new(lengths: Lengths) -> Self {
        Self {
            lengths,
            clock: TickClock::new(lengths.tick_ms as f64 * 1_000.0),
            waiting: BTreeMap::new(),
            windows: Windows::new(lengths),
            last: None,
            read: None,
            rate: 0.0,
            coverage: Coverage::default(),
        }
    }

    /// How much was seen so far.
    pub fn coverage(&self) -> Coverage {
        Coverage { windows_unclear: self.windows.unclear, ..self.coverage }
    }

    /// The last tick seen to begin.
    pub fn tick(&self) -> Tick {
        self.last.map_or(Tick(0), |(_, _, tick)| tick)
    }

    /// Length of a tick, in microseconds.
    pub fn tick_us(&self) -> u64 {
        self.clock.tick_us() as u64
    }

    /// Ticks that must be added for `execution` to run in `slot`, when it has none yet; none when it runs
    /// then anyway, was delayed before, or is not known to wait.
    pub fn ticks_to(&self, execution: ExecutionId, slot: Tick) -> Option<u64> {
        let waiting = self.waiting.get(&execution)?;
        let base = self.lengths.base_of(waiting.queued_tick);
        match waiting.due {
            Due::At(due) if due == base && slot > base => Some(slot.since(base)),
            _ => None,
        }
    }

    /// What must be delayed for `request` to come true, by how many ticks, each execution once; and the answer. Slots are
    /// taken as set: whether the server takes a delay is told later.
    pub fn place(&mut self, request: &ControlRequest) -> (Vec<(ExecutionId, u64)>, ControlResponse) {
        let mut delays = Vec::new();
        for slot in &request.set {
            if let Some(ticks) = self.ticks_to(slot.execution, slot.due_tick) {
                self.delaying(slot.execution, ticks);
                delays.push((slot.execution, ticks));
            }
        }
        let set = |slot: &SetSlot| SetResult {
            execution: slot.execution,
            result: SetOutcome::Set,
            due_tick: Some(slot.due_tick),
        };
        let tick = self.tick();
        let response = ControlResponse {
            tick,
            tick_ms: self.tick_us().div_ceil(1_000),
            mode: Mode::Enforce,
            lease_until: tick.after(request.lease_ticks),
            results: request.set.iter().map(set).collect(),
        };
        (delays, response)
    }

    /// A delay is on its way: until its outcome is known, either may be.
    pub fn delaying(&mut self, execution: ExecutionId, ticks: u64) {
        if let Some(waiting) = self.waiting.get_mut(&execution)
            && let Due::At(due) = waiting.due
        {
            waiting.due = Due::Either(due, due.after(ticks));
        }
    }

    /// What became of a delay.
    pub fn delayed(&mut self, execution: ExecutionId, outcome: DelayOutcome) {
        self.coverage.late += u64::from(outcome == DelayOutcome::Refused);
        if let Some(waiting) = self.waiting.get_mut(&execution)
            && let Due::Either(base, later) = waiting.due
        {
            match outcome {
                DelayOutcome::Added => waiting.due = Due::At(later),
                DelayOutcome::Refused => waiting.due = Due::At(base),
                DelayOutcome::Unknown => {}
            }
        }
    }

    /// Everything that is known to wait, as if it had just been queued: for a reader that starts afresh.
    pub fn all_waiting(&self) -> Vec<Record> {
        self.waiting.iter().map(|(execution, waiting)| queued(self.lengths, *execution, waiting)).collect()
    }

    /// What the server showed. Looks come in the order in which they were asked.
    pub fn look(&mut self, look: &Look) -> Seen {
        let (asked, answered) = (look.asked_us as f64, look.answered_us as f64);
        let shown: BTreeMap<ExecutionId, QueryId> = look.queued.iter().copied().collect();
        let vanished: Vec<(ExecutionId, Waiting)> =
            self.waiting.iter().filter(|(id, _)| !shown.contains_key(id)).map(|(id, w)| (*id, *w)).collect();
        let appeared: Vec<(ExecutionId, QueryId)> =
            shown.iter().filter(|(id, _)| !self.waiting.contains_key(id)).map(|(id, q)| (*id, *q)).collect();
        let mut seen = Seen::default();
        let restarted = self.has_restarted(&vanished, answered);
        let tick = self.tick_of(asked, answered, &vanished, &appeared, restarted);
        let before = self.last.map(|(_, _, tick)| tick);
        self.note_tick(tick, asked, answered, restarted);
        for (execution, waiting) in vanished {
            self.waiting.remove(&execution);
            seen.records.push(self.vanished(execution, &waiting, before, tick, restarted));
        }
        self.mind_overdue(tick);
        // What was there before anybody looked may have been delayed by anybody.
        let is_new = before.is_some() && !restarted;
        for (execution, query) in appeared {
            seen.records.push(self.appeared(execution, query, tick, is_new));
        }
        for told in self.windows.told(&self.clock, tick) {
            seen.observations.extend(told.observation);
            seen.records.push(Record::Window(told.window));
        }
        seen.began = (before < Some(tick)).then_some(tick);
        self.last = Some((asked, answered, tick));
        seen
    }

    /// What the server said of its last window; what it means is told by the looks to come.
    pub fn read(&mut self, reading: Reading) {
        let Reading { asked_us, answered_us, usage, mark } = reading;
        let asked = asked_us as f64;
        if let Some((before_asked, before)) = &self.read {
            // Answers may overtake each other.
            if asked < *before_asked {
                return;
            }
            if *before != mark {
                let border = Border { from_us: *before_asked, to_us: answered_us as f64 };
                self.windows.closed(
                    border,
                    usage,
                    WINDOWS_MAX * self.lengths.window_ticks as f64 * self.clock.tick_us(),
                );
            }
        }
        self.read = Some((asked, mark));
    }

    /// Many that were to wait longer are gone at once.
    fn has_restarted(&self, vanished: &[(ExecutionId, Waiting)], answered_us: f64) -> bool {
        let soon = self.clock.tick_at(answered_us).after(1);
        let is_later = |waiting: &Waiting| matches!(waiting.due, Due::At(due) if due > soon);
        let early = vanished.iter().filter(|(_, waiting)| is_later(waiting)).count();
        let later = self.waiting.values().filter(|waiting| is_later(waiting)).count();
        early >= RESTART_VANISHED && 10 * early >= 9 * later
    }

    /// The last tick that had begun: of those that the clock allows, the one that contradicts fewest dues.
    fn tick_of(
        &self,
        asked_us: f64,
        answered_us: f64,
        vanished: &[(ExecutionId, Waiting)],
        appeared: &[(ExecutionId, QueryId)],
        restarted: bool,
    ) -> Tick {
        let by_clock = self.clock.tick_at(f64::midpoint(asked_us, answered_us));
        let Some((_, _, last)) = self.last else { return by_clock };
        let soon = self.clock.tick_at(answered_us + 0.35 * self.clock.tick_us());
        let moved = !vanished.is_empty() || (!appeared.is_empty() && soon > last);
        let earliest = last.after(u64::from(moved));
        let by_clock = by_clock.max(earliest);
        if restarted {
            return by_clock;
        }
        let ran: Vec<Tick> = vanished.iter().filter_map(|(_, waiting)| sure(waiting.due)).collect();
        let is_gone = |id: &ExecutionId| vanished.binary_search_by_key(id, |(gone, _)| *gone).is_ok();
        let stays = self.waiting.iter().filter(|(id, _)| !is_gone(id));
        let stay: Vec<Tick> = stays.filter_map(|(_, waiting)| sure(waiting.due)).collect();
        let contradicted = |tick: Tick| {
            ran.iter().filter(|due| **due > tick).count() + stay.iter().filter(|due| **due <= tick).count()
        };
        let from = by_clock.0.saturating_sub(TRIED_TICKS).max(earliest.0);
        let tried = (from..=by_clock.0 + TRIED_TICKS).map(Tick);
        let best = tried.min_by_key(|tick| (contradicted(*tick), tick.0.abs_diff(by_clock.0)));
        best.unwrap_or(by_clock)
    }

    fn note_tick(&mut self, tick: Tick, asked_us: f64, answered_us: f64, restarted: bool) {
        let Some((last_asked, _, last)) = self.last else { return };
        if restarted {
            self.coverage.restarts += 1;
            self.clock.restart(tick, asked_us);
            self.windows.forget_border();
            self.read = None;
            return;
        }
        self.clock.seen(tick, asked_us, answered_us);
        if tick == last.next() {
            self.clock.began(tick, last_asked, answered_us);
        }
        // What arrived in the ticks between has run in the ticks after them, unseen.
        let unseen = tick.since(last).saturating_sub(1);
        self.coverage.ticks_missed += unseen;
        self.coverage.missed += unseen as f64 * self.rate;
        if unseen > LOST_TICKS {
            self.clock.restart(tick, asked_us);
        }
        for n in 2..=(unseen + 1).min(LOST_TICKS) {
            self.windows.unsure(last.after(n));
        }
        let keep = libm::exp(-(tick.since(last) as f64) / RATE_TICKS);
        self.rate *= keep;
    }

    /// An execution is gone.
    fn vanished(
        &mut self,
        execution: ExecutionId,
        waiting: &Waiting,
        before: Option<Tick>,
        now: Tick,
        restarted: bool,
    ) -> Record {
        let after = before.unwrap_or(now);
        let is_between = |due: &Tick| after < *due && *due <= now;
        let due = match waiting.due {
            Due::At(due) => Some(due),
            Due::Either(base, later) => [base, later].into_iter().find(is_between),
            Due::Unknown => None,
        };
        // When only one tick has begun it was that one.
        let only = (now == after.next()).then_some(now);
        let known = only.or(due.filter(is_between));
        let tick = known.unwrap_or(now);
        if !restarted {
            self.windows.ran(tick, waiting.query);
            if known.is_none() {
                self.windows.unsure(tick);
            }
        }
        Record::Executed(Executed {
            execution,
            query: waiting.query,
            queued_tick: waiting.queued_tick,
            due_tick: self.lengths.base_of(waiting.queued_tick),
            tick,
            finished_tick: tick,
            reason: String::new(),
            outcome: if restarted { Outcome::Unknown } else { Outcome::Ok },
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        })
    }

    /// What waits longer than it should is delayed by somebody, or its delay was added without an answer.
    fn mind_overdue(&mut self, now: Tick) {
        for waiting in self.waiting.values_mut() {
            match waiting.due {
                Due::At(due) if due < now => waiting.due = Due::Unknown,
                Due::Either(base, later) if base < now => waiting.due = Due::At(later),
                _ => {}
            }
        }
    }

    fn appeared(&mut self, execution: ExecutionId, query: QueryId, tick: Tick, is_new: bool) -> Record {
        self.coverage.seen += 1;
        self.rate += 1.0 / RATE_TICKS;
        let due = if is_new { Due::At(self.lengths.base_of(tick)) } else { Due::Unknown };
        let waiting = Waiting { query, queued_tick: tick, due };
        self.waiting.insert(execution, waiting);
        queued(self.lengths, execution, &waiting)
    }
}

fn sure(due: Due) -> Option<Tick> {
    match due {
        Due::At(tick) => Some(tick),
        Due::Either(..) | Due::Unknown => None,
    }
}

fn queued(lengths: Lengths, execution: ExecutionId, waiting: &Waiting) -> Record {
    Record::Queue(QueueRecord {
        event: QueueEvent::Queued,
        execution,
        query: waiting.query,
        tick: waiting.queued_tick,
        due_tick: lengths.base_of(waiting.queued_tick),
        added_ticks: 0,
        statement: None,
    })
}

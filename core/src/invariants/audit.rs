//! The audit: fed with a journal's entries in the order of [`super::Merge`].
//!
//! Where retention has trimmed the beginnings of the streams, everything is known from the latest of
//! the three beginnings on: that tick is where the proof starts. What was queued before it may be met
//! without its queue entry, and is still found when it is executed twice.

use std::collections::BTreeMap;

use super::{
    extents::extents_fit,
    finding::{Finding, Findings},
    running::Running,
    sent::{Release, Sent},
    statements::Statements,
    truth::{Truth, TruthRow},
};
use crate::{
    journal::{
        Entry, EntryId, Executed, FIRST_FORMAT, PerStream, QueueEvent, QueueRecord, Queued, Record, Released,
        Start, Stream,
    },
    server::meter::window_late_ticks_max,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
        window::Window,
    },
};

/// What an audit proved, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first and the last tick for which everything has been checked; none while no window has
    /// closed.
    pub proved: Option<(Tick, Tick)>,
    /// Entries seen.
    pub entries: PerStream<u64>,
    /// Executions in the proved range.
    pub executed: u64,
    /// Entries younger than the last closed window: checked, except against a window.
    pub open_entries: u64,
    /// Executions that wait.
    pub waiting: u64,
    /// Executions that were released and have no outcome.
    pub released: u64,
    /// Windows whose count cannot be judged, because an entry of theirs cannot be read.
    pub unjudged: u64,
    /// What does not hold.
    pub findings: Findings,
}

/// Checks a journal entry by entry.
///
/// Memory: what waits, and 16 bytes for each execution (80 MB for a full stream of 5 million), without
/// which a second run long after the first could not be told from a first one.
#[derive(Clone, Debug)]
pub struct Audit {
    lengths: Lengths,
    first_tick: Tick,
    last: PerStream<Last>,
    waiting: BTreeMap<ExecutionId, Waiting>,
    sent: Sent,
    statements: Statements,
    executed: Vec<ExecutionId>,
    /// Executions of each window, by its number, until its entry comes.
    by_window: BTreeMap<u64, u64>,
    running: Running,
    last_window: Option<Tick>,
    /// Whether windows may close late: a database whose outcomes are uncertain tells its usage when it likes.
    late: bool,
    truth: Option<Truth>,
    starts: Vec<Start>,
    /// Entries that could not be read since the last one of their stream that could.
    unread: PerStream<u64>,
    /// Executions that may have been queued by an entry that could not be read.
    unread_queued: u64,
    /// Ticks in which an execution may have run whose entry could not be read; the last span may still be open.
    blind: Vec<(Tick, Option<Tick>)>,
    report: Report,
}

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    next_seq: u64,
    id: Option<EntryId>,
    tick: Tick,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    query: QueryId,
    due_tick: Tick,
    /// None when it was queued before the first entry that is left.
    queued_tick: Option<Tick>,
}

impl Audit {
    /// An audit of streams that begin with `first`, of a journal of these lengths.
    pub fn new(lengths: Lengths, first: &PerStream<Option<Entry>>) -> Self {
        // A trimmed stream may have lost a part of its first tick; a window is whole.
        let first_ticks = Stream::ALL.into_iter().filter_map(|stream| {
            let entry = first[stream].as_ref().filter(|entry| entry.seq > 1)?;
            Some(match &entry.record {
                Record::Window(window) => window.first_tick,
                record => record.tick().next(),
            })
        });
        Self {
            lengths,
            first_tick: first_ticks.max().unwrap_or_default(),
            last: PerStream::from_fn(|stream| Last {
                next_seq: first[stream].as_ref().map_or(1, |entry| entry.seq),
                ..Last::default()
            }),
            waiting: BTreeMap::new(),
            sent: Sent::default(),
            statements: Statements::default(),
            executed: Vec::new(),
            by_window: BTreeMap::new(),
            running: Running::new(lengths),
            last_window: None,
            late: false,
            truth: None,
            starts: Vec::new(),
            unread: PerStream::default(),
            unread_queued: 0,
            blind: Vec::new(),
            report: Report::default(),
        }
    }

    /// The first tick of which everything is known.
    #[cfg(test)]
    pub(super) fn first_tick(&self) -> Tick {
        self.first_tick
    }

    /// The streams go on at `begins`, the beginning of a window: no window lies before it.
    #[must_use]
    pub fn after_gap(mut self, begins: Tick) -> Self {
        self.last_window = begins.0.checked_sub(1).map(Tick);
        self.first_tick = self.first_tick.max(begins);
        self
    }

    /// Compares with what the database really ran, too.
    pub fn with_truth(mut self, rows: impl IntoIterator<Item = TruthRow>) -> Self {
        self.truth = Some(Truth::new(rows, &mut self.report.findings));
        self
    }

    /// Compares with the rows of what was released and has no outcome, too.
    pub fn with_released(self, rows: Vec<Released>) -> Self {
        Self { sent: self.sent.with_rows(rows), ..self }
    }

    /// Looks for writers that lived at the same time, too.
    pub fn with_starts(self, starts: Vec<Start>) -> Self {
        Self { starts, ..self }
    }

    /// Takes the next entry.
    pub fn entry(&mut self, entry: &Entry) {
        let stream = entry.record.stream();
        self.report.entries[stream] += 1;
        for executed in self.sent.never_released(Some(entry.record.tick())) {
            self.not_queued(&executed);
        }
        let unread_windows = self.unread.windows;
        self.check_order(stream, entry);
        match &entry.record {
            Record::Executed(executed) => {
                self.statements.executed(executed, &mut self.report.findings);
                self.executed(entry, executed);
            }
            Record::Queue(event) => {
                self.statements.queue_event(entry.seq, event, &mut self.report.findings);
                self.queue_event(entry.seq, event);
            }
            Record::Window(window) => self.window(entry.seq, window, unread_windows),
        }
    }

    /// An entry of `stream` stands here and cannot be read. Whoever feeds this names it; what follows from it alone is no
    /// finding of its own.
    pub fn unreadable(&mut self, stream: Stream) {
        self.unread[stream] += 1;
        match stream {
            Stream::Executions if self.blind.last().is_none_or(|(_, to)| to.is_some()) => {
                self.blind.push((self.last[stream].tick, None));
            }
            Stream::Queue => {
                self.unread_queued += 1;
                self.statements.unreadable();
            }
            Stream::Executions | Stream::Windows => {}
        }
    }

    /// What came out so far, where the rest cannot be read: nothing is said of how it ends.
    pub fn so_far(self) -> Report {
        Report { waiting: self.waiting.len() as u64, ..self.report }
    }

    /// Everything has been fed: what came out. `next_tick` is the first tick that has not been
    /// committed, `rows` are the queue's rows of the same moment, if they are known.
    pub fn finish(mut self, next_tick: Tick, rows: Option<&[Queued]>) -> Report {
        for executed in self.sent.never_released(None) {
            self.not_queued(&executed);
        }
        self.executed.sort_unstable();
        let twice = self.executed.chunk_by(|a, b| a == b).filter(|runs| runs.len() > 1);
        twice.for_each(|runs| self.report.findings.add(Finding::ExecutedTwice(runs[0])));
        for execution in self.waiting.keys() {
            if self.executed.binary_search(execution).is_ok() {
                self.report.findings.add(Finding::QueuedAfterItRan(*execution));
            }
        }
        if let Some(rows) = rows {
            self.check_rows(rows);
        }
        self.report.released = self.sent.open();
        // What could not be read may have ended in any window.
        if self.blind.is_empty() && self.report.unjudged == 0 {
            let open = self.sent.ticks();
            std::mem::take(&mut self.running).finish(self.first_tick, open, &mut self.report.findings);
        }
        std::mem::take(&mut self.sent).finish(self.first_tick, &self.executed, &mut self.report.findings);
        std::mem::take(&mut self.statements).finish(self.first_tick, &mut self.report.findings);
        self.check_last_window(next_tick);
        self.check_writers();
        if let Some(truth) = self.truth.take() {
            truth.finish(self.first_tick, next_tick, &mut self.report.findings);
        }
        self.report.waiting = rows.map_or(self.waiting.len(), <[_]>::len) as u64;
        self.report
    }

    fn check_order(&mut self, stream: Stream, entry: &Entry) {
        let findings = &mut self.report.findings;
        let last = &mut self.last[stream];
        let Entry { id, seq, record, .. } = entry;
        // One that cannot be read has a number, or is a stranger's and has none.
        let unread = std::mem::take(&mut self.unread[stream]);
        if !(last.next_seq..=last.next_seq.saturating_add(unread)).contains(seq) {
            findings.add(Finding::Sequence { stream, expected: last.next_seq, found: *seq });
        }
        if let Some(before) = last.id
            && *id <= before
        {
            findings.add(Finding::IdOrder { stream, seq: *seq, id: *id, before });
        }
        let tick = record.tick();
        if stream == Stream::Executions
            && let Some((_, to @ None)) = self.blind.last_mut()
        {
            *to = Some(tick);
        }
        if tick < last.tick {
            findings.add(Finding::TickOrder { stream, seq: *seq, tick, before: last.tick });
        }
        *last = Last { next_seq: seq.saturating_add(1), id: Some(*id), tick: tick.max(last.tick) };
        if self.last_window.is_none_or(|closed| tick > closed) {
            self.report.open_entries += 1;
        }
    }

    fn executed(&mut self, entry: &Entry, executed: &Executed) {
        let Executed { execution, query, queued_tick, due_tick, tick, finished_tick, .. } = *executed;
        for (holds, what) in [
            // One that never waited is due when it comes.
            (
                due_tick > queued_tick || (due_tick, tick) == (queued_tick, queued_tick),
                "it was due before it could be",
            ),
            (tick >= due_tick || executed.statement.is_some(), "it ran before it was due"),
            (finished_tick >= tick, "it finished before it ran"),
            (
                executed.delay_ticks() <= self.lengths.default_delay_ticks || !executed.reason.is_empty(),
                "it was delayed, and nothing says why",
            ),
        ] {
            self.require(holds, Stream::Executions, entry.seq, what);
        }
        self.executed.push(execution);
        *self.by_window.entry(self.lengths.window_of(finished_tick)).or_default() += 1;
        self.running.executed(executed);
        if let Some(truth) = &mut self.truth {
            truth.journalled(executed, &mut self.report.findings);
        }
        let findings = &mut self.report.findings;
        if self.sent.ended(executed, findings) {
            return;
        }
        let Some(waiting) = self.waiting.remove(&execution) else {
            if entry.version == FIRST_FORMAT || !self.sent.may_be_released(executed) {
                self.not_queued(executed);
            }
            return;
        };
        self.sent.waited(executed);
        let known_due = self.sent.known_due(executed, waiting.due_tick);
        let mut compare = |field, executed: String, queued: String| {
            if executed != queued {
                findings.add(Finding::Contradiction { execution, field, executed, queued });
            }
        };
        compare("query", query.to_string(), waiting.query.to_string());
        compare("due_tick", due_tick.to_string(), known_due.to_string());
        match waiting.queued_tick {
            Some(queued) => compare("queued_tick", queued_tick.to_string(), queued.to_string()),
            None if queued_tick >= self.first_tick => findings.add(Finding::NotQueued { execution, tick }),
            None => {}
        }
    }

    /// It ran, and neither waited nor was released.
    fn not_queued(&mut self, executed: &Executed) {
        let Executed { execution, queued_tick, tick, .. } = *executed;
        if tick >= self.first_tick && queued_tick >= self.first_tick {
            if self.unread_queued > 0 {
                self.unread_queued -= 1;
                return;
            }
            self.report.findings.add(Finding::NotQueued { execution, tick });
        }
    }

    fn queue_event(&mut self, seq: u64, event: &QueueRecord) {
        let QueueRecord { event: kind, execution, query, tick, due_tick, added_ticks, .. } = *event;
        self.late |= kind == QueueEvent::Released;
        if let (QueueEvent::Released, Some(truth)) = (kind, &mut self.truth) {
            truth.released(execution);
        }
        match kind {
            QueueEvent::Queued => {
                let first_due = self.lengths.base_of(tick);
                let holds = due_tick == first_due && added_ticks == 0;
                self.require(holds, Stream::Queue, seq, "it is not due after the default delay");
                let waiting = Waiting { query, due_tick, queued_tick: Some(tick) };
                if self.waiting.insert(execution, waiting).is_some() {
                    self.report.findings.add(Finding::QueuedTwice { execution, tick });
                }
            }
            QueueEvent::Delayed | QueueEvent::Released | QueueEvent::Dropped => {
                let adds = (kind == QueueEvent::Delayed) == (added_ticks > 0);
                self.require(adds, Stream::Queue, seq, "only `delayed` adds ticks, and at least one");
                if let Some(waiting) = self.waiting.get_mut(&execution) {
                    let holds = waiting.query == query && waiting.due_tick.after(added_ticks) == due_tick;
                    waiting.due_tick = due_tick;
                    let what = "its query or due tick does not follow from the event before it";
                    self.require(holds, Stream::Queue, seq, what);
                    self.leaves(seq, event);
                } else if kind == QueueEvent::Released && self.sent.is_open(execution) {
                    self.report.findings.add(Finding::ReleasedTwice { execution, tick });
                } else if kind == QueueEvent::Delayed && self.sent.delays_what_has_just_ended(event) {
                    // As below.
                } else if kind == QueueEvent::Released && self.sent.has_just_ended(event) {
                    // Within a tick the streams have no order.
                } else if kind == QueueEvent::Released && due_tick == tick {
                    let release = Release::unqueued(event);
                    self.sent.released(execution, release, &mut self.report.findings);
                } else if self.first_tick > Tick(0) {
                    // Its queue entry has been trimmed; when it has run, the end shows that.
                    self.waiting.insert(execution, Waiting { query, due_tick, queued_tick: None });
                    self.leaves(seq, event);
                } else {
                    self.report.findings.add(Finding::NotWaiting { execution, event: kind, tick });
                }
            }
        }
    }

    /// What waits leaves the queue by being released or dropped.
    fn leaves(&mut self, seq: u64, event: &QueueRecord) {
        let QueueRecord { event: kind, execution, query, tick, due_tick, .. } = *event;
        if kind == QueueEvent::Delayed {
            return;
        }
        let queued_tick = self.waiting.remove(&execution).and_then(|waiting| waiting.queued_tick);
        if kind == QueueEvent::Dropped {
            return self.sent.dropped(execution);
        }
        // A client waits no longer than its class, its session or its statement allows, whatever `/delay` says.
        let may = tick >= due_tick || event.statement.is_some();
        self.require(may, Stream::Queue, seq, "it was released before it was due");
        let release = Release { query, due_tick, tick, queued_tick };
        self.sent.released(execution, release, &mut self.report.findings);
    }

    fn window(&mut self, seq: u64, window: &Window, unread: u64) {
        let Window { first_tick, last_tick, executed, .. } = *window;
        let window_ticks = self.lengths.window_ticks;
        let aligned = self.lengths.is_border(first_tick) && last_tick == first_tick.after(window_ticks - 1);
        self.require(
            aligned,
            Stream::Windows,
            seq,
            "it is not a window of the journal's length from a border on",
        );
        self.require(
            extents_fit(window_ticks, window),
            Stream::Windows,
            seq,
            "its averages, extremes and corridor contradict each other",
        );
        let expected = match self.last_window {
            Some(closed) => Some(closed.next()),
            None if seq == 1 => Some(Tick(0)),
            None => None,
        };
        if let Some(expected) = expected
            && !(0..=unread).any(|skipped| first_tick == expected.after(skipped * window_ticks))
        {
            self.report.findings.add(Finding::WindowHole { expected, found: first_tick });
        }
        self.running.window(window);
        self.late |= window.running > 0 || window.incomplete;
        let number = self.lengths.window_of(first_tick);
        let counted = self.by_window.get(&number).copied().unwrap_or_default();
        // Counts of windows that never come are of no use any more.
        self.by_window = self.by_window.split_off(&(number + 1));
        if first_tick >= self.first_tick {
            let blind = |(from, to): &(Tick, Option<Tick>)| {
                *from <= last_tick && to.is_none_or(|to| first_tick <= to)
            };
            if counted != executed && self.blind.iter().any(blind) {
                self.report.unjudged += 1;
            } else if counted != executed {
                self.report.findings.add(Finding::WindowCount { first_tick, recorded: executed, counted });
            }
            self.report.executed += counted;
            let from = self.report.proved.map_or(first_tick, |(from, _)| from);
            self.report.proved = Some((from, last_tick));
        }
        self.last_window = Some(last_tick);
        self.report.open_entries = 0;
    }

    /// A window is recorded with the commit of the tick after it, or later, where usage is told late.
    fn check_last_window(&mut self, next_tick: Tick) {
        let Some(reached) = next_tick.0.checked_sub(1).map(Tick) else { return };
        let window_ticks = self.lengths.window_ticks;
        // Before anything has happened, nothing has told yet that usage comes late.
        let entries = &self.report.entries;
        let idle = entries[Stream::Executions] == 0 && entries[Stream::Queue] == 0;
        let late = self.late || idle && self.last_window.is_none();
        let late = if late { window_late_ticks_max(self.lengths) } else { 0 };
        let due = self.lengths.border_before(Tick(reached.0.saturating_sub(late))).0;
        let unread = self.unread.windows * window_ticks;
        let closed = self.last_window.map_or(0, |closed| closed.next().0) + unread;
        if closed < due {
            let closed = Tick(closed.saturating_sub(1));
            self.report.findings.add(Finding::WindowMissing { reached, closed });
        }
    }

    /// A writer that was replaced while it lived may have started its last batch after its successor did.
    fn check_writers(&mut self) {
        for start in &self.starts {
            let last_tick = start.replaced.and_then(|replaced| replaced.last_tick);
            if let Some(tick) = last_tick.filter(|tick| *tick >= self.first_tick) {
                self.report.findings.add(Finding::TwoWriters { writer_epoch: start.writer_epoch, tick });
            }
        }
    }

    fn check_rows(&mut self, rows: &[Queued]) {
        let findings = &mut self.report.findings;
        let mut waiting = self.waiting.clone();
        for row in rows {
            match waiting.remove(&row.execution) {
                None if row.queued_tick < self.first_tick => {}
                None => findings.add(Finding::QueueRow { execution: row.execution, row: true }),
                // It was delayed, and the entry that says when it was queued should be left.
                Some(found) if found.queued_tick.is_none() && row.queued_tick >= self.first_tick => {
                    findings.add(Finding::QueueRow { execution: row.execution, row: true });
                }
                Some(found)
                    if (found.query, found.due_tick) == (row.query, row.due_tick)
                        && found.queued_tick.is_none_or(|tick| tick == row.queued_tick) => {}
                Some(_) => findings.add(Finding::QueueRow { execution: row.execution, row: false }),
            }
        }
        // What was queued before the proof starts may have run before the executions that are left.
        let known = |waiting: &Waiting| waiting.queued_tick.is_some_and(|tick| tick >= self.first_tick);
        for (execution, _) in waiting.into_iter().filter(|(_, waiting)| known(waiting)) {
            findings.add(Finding::QueueRow { execution, row: false });
        }
    }

    fn require(&mut self, holds: bool, stream: Stream, seq: u64, what: &'static str) {
        if !holds {
            self.report.findings.add(Finding::Impossible { stream, seq, what });
        }
    }
}

//! What the server remembers of its journal for people: the last hours window by window, the last minutes in
//! delays and by query.
//!
//! A fold over journal entries, and soft: after a restart it is filled again from what the outbox keeps.

mod delays;
mod queries;

use std::collections::{BTreeMap, VecDeque};

use self::queries::QueryRing;
pub use self::{
    delays::{DELAY_BOUNDS, DelayCounts, DelaySummary, DelayTotals},
    queries::QueryActivity,
};
use crate::{
    insight::forecast::Forecast,
    journal::{Entry, EntryId, Executed, Record},
    units::{ids::QueryId, lengths::Lengths, resource::PerResource, tick::Tick, window::Window},
};

/// The spans that shares and delays are told for have no more windows than this.
const SPAN_WINDOWS_MAX: u64 = 3_000;
/// Nor are more remembered than this: about 7 MB. The journal has the rest.
pub const HISTORY_WINDOWS_MAX: u64 = 21_600;

/// Windows of the spans that people are told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// In the shorter of the two spans that shares and delays are told for: a minute.
    pub minute: usize,
    /// In the longer one: five minutes. A window has settled once the next one has closed, so two at least.
    pub recent: usize,
    /// Windows that are remembered: six hours, at most [`HISTORY_WINDOWS_MAX`].
    pub history: usize,
}

impl Spans {
    /// At least one window each. Short ones do not cover the whole time.
    pub fn of(lengths: Lengths) -> Self {
        let windows = |minutes: u64, most: u64| lengths.windows_in_ms(minutes * 60_000).min(most) as usize;
        Self {
            minute: windows(1, SPAN_WINDOWS_MAX),
            recent: windows(5, SPAN_WINDOWS_MAX).max(2),
            history: windows(360, HISTORY_WINDOWS_MAX),
        }
    }
}

/// A window, with what else is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// As it was measured.
    pub window: Window,
    /// When its entry was made, Unix ms.
    pub closed_at_ms: u64,
    /// What waited when it closed; none when nobody looked.
    pub waiting: Option<Waiting>,
    /// Delays of what ran in it; none when nothing did.
    pub delays: Option<DelaySummary>,
    /// As the client's model sees it; none while no client has told.
    pub forecast: Option<Forecast>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Executions.
    pub executions: u64,
    /// Ticks since the oldest of them was queued.
    pub oldest_ticks: Option<u64>,
}

/// Shares and delays over a span of windows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpanSummary {
    /// Windows in it.
    pub windows: usize,
    /// Share of them in the corridor; none before the first.
    pub in_corridor: Option<f64>,
    /// Share that would have been in it without levelling, of those for which that is known.
    pub in_corridor_without: Option<f64>,
    /// Executions that ran in them.
    pub executed: u64,
    /// Their delays.
    pub delays: Option<DelaySummary>,
    /// Their peaks, over those windows of which is known what would have been without levelling.
    pub peaks: Option<PerResource<Peak>>,
}

/// The largest tick of a span, in resource units, as it was and as it would have been without levelling.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// As measured.
    pub with: f64,
    /// Every execution at its base due tick, at learned costs.
    pub without: f64,
    /// Mean of a tick, as measured.
    pub mean: f64,
}

/// None before something is known of what would have been without levelling.
fn peaks<'a>(steps: impl Iterator<Item = &'a Step>) -> Option<PerResource<Peak>> {
    let known: Vec<_> =
        steps.filter_map(|step| Some((step.window.usage, step.forecast?.without?.usage))).collect();
    (!known.is_empty()).then(|| {
        PerResource::from_fn(|r| Peak {
            with: known.iter().map(|(with, _)| with[r].max).max().unwrap_or_default() as f64,
            without: known.iter().map(|(_, without)| without[r].max).fold(0.0, f64::max),
            mean: known.iter().map(|(with, _)| with[r].average as f64).sum::<f64>() / known.len() as f64,
        })
    })
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Recap {
    lengths: Lengths,
    spans: Spans,
    steps: VecDeque<Step>,
    /// Of the last five minutes' windows.
    delays: VecDeque<DelayCounts>,
    /// Of the ticks after the last window.
    open: BTreeMap<Tick, DelayCounts>,
    queries: QueryRing,
    statements: bool,
    totals: DelayTotals,
    /// The last tick whose entries have been applied, perhaps not all: a tick has several commits.
    applied: Option<Tick>,
    /// The last execution's entry that has been applied.
    last_executed: EntryId,
}

impl Default for Recap {
    fn default() -> Self {
        Self::new(Lengths::default())
    }
}

impl Recap {
    /// Of a database of these lengths, before the first entry.
    pub fn new(lengths: Lengths) -> Self {
        Self {
            lengths,
            spans: Spans::of(lengths),
            steps: VecDeque::new(),
            delays: VecDeque::new(),
            open: BTreeMap::new(),
            queries: QueryRing::default(),
            statements: false,
            totals: DelayTotals::default(),
            applied: None,
            last_executed: EntryId::default(),
        }
    }

    /// How far each span goes.
    pub fn spans(&self) -> Spans {
        self.spans
    }

    /// Applies the entries of a commit, or of several in order. What has been applied before is passed over.
    ///
    /// `waiting` is what waits after them, where that is known.
    pub fn apply(&mut self, entries: &[Entry], last_tick: Tick, waiting: Option<Waiting>) {
        for entry in entries {
            match &entry.record {
                Record::Executed(executed) if entry.id > self.last_executed => {
                    self.last_executed = entry.id;
                    self.executed(executed);
                }
                Record::Window(window) => self.window(window, entry.id.ms, waiting),
                _ => {}
            }
        }
        self.applied = self.applied.max(Some(last_tick));
    }

    /// Adds what the client's model says. It comes again and again, and later than the windows.
    pub fn forecasts(&mut self, forecasts: &[Forecast]) {
        for forecast in forecasts {
            let at = self.steps.binary_search_by_key(&forecast.first_tick, |step| step.window.first_tick);
            if let Ok(at) = at
                && let Some(step) = self.steps.get_mut(at)
            {
                step.forecast = Some(*forecast);
            }
        }
    }

    /// What is remembered of the windows that begin at `from` or later, oldest first.
    pub fn steps(&self, from: Tick) -> impl ExactSizeIterator<Item = &Step> {
        self.steps.range(self.steps.partition_point(|step| step.window.first_tick < from)..)
    }

    /// The last windows, at most `windows` of them.
    pub fn last_steps(&self, windows: usize) -> impl ExactSizeIterator<Item = &Step> {
        self.steps.range(self.steps.len().saturating_sub(windows)..)
    }

    /// The same, each with the delays in it, as far as these are remembered.
    pub fn last_with_delays(
        &self,
        windows: usize,
    ) -> impl DoubleEndedIterator<Item = (&Step, Option<&DelayCounts>)> + Clone {
        let skipped = self.steps.len().saturating_sub(windows);
        let without_delays = self.steps.len() - self.delays.len();
        self.steps.range(skipped..).enumerate().map(move |(at, step)| {
            (step, (skipped + at).checked_sub(without_delays).and_then(|at| self.delays.get(at)))
        })
    }

    /// The last `windows` windows, at most those of five minutes.
    pub fn summary(&self, windows: usize) -> SpanSummary {
        let steps = || self.last_steps(windows.min(self.spans.recent));
        let mut delays = DelayCounts::default();
        let skipped = self.delays.len().saturating_sub(windows);
        self.delays.range(skipped..).for_each(|counts| delays.merge(counts));
        let share = |level: usize, of: usize| (of > 0).then(|| level as f64 / of as f64);
        let level = steps().filter(|step| step.window.in_corridor).count();
        let without = || steps().filter_map(|step| step.forecast?.without);
        SpanSummary {
            windows: steps().len(),
            in_corridor: share(level, steps().len()),
            in_corridor_without: share(
                without().filter(|without| without.in_corridor).count(),
                without().count(),
            ),
            executed: delays.executions(),
            delays: delays.summary(),
            peaks: peaks(steps()),
        }
    }

    /// What each query did in the last five minutes' windows and since.
    pub fn queries(&self) -> &BTreeMap<QueryId, QueryActivity> {
        self.queries.sum()
    }

    /// Ticks that [`Recap::queries`] covers.
    pub fn queries_ticks(&self) -> u64 {
        let first = self.last_steps(self.spans.recent).next().map(|step| step.window.first_tick);
        first.zip(self.applied).map_or(0, |(first, last)| last.next().since(first))
    }

    /// Whether what has been applied tells of statements of a real database.
    pub fn has_statements(&self) -> bool {
        self.statements
    }

    /// Delays of everything that has been applied.
    pub fn delay_totals(&self) -> &DelayTotals {
        &self.totals
    }

    fn executed(&mut self, executed: &Executed) {
        self.statements |= executed.statement.is_some();
        self.totals.add(executed.delay_ticks());
        self.open.entry(executed.finished_tick).or_default().add(executed.delay_ticks());
        self.queries.executed(executed, self.lengths.default_delay_ticks);
    }

    fn window(&mut self, window: &Window, closed_at_ms: u64, waiting: Option<Waiting>) {
        if self.steps.back().is_some_and(|last| last.window.first_tick >= window.first_tick) {
            return;
        }
        // The entry that closes a window comes with the executions of the tick after it.
        let later = self.open.split_off(&window.last_tick.next());
        let mut delays = DelayCounts::default();
        for counts in std::mem::replace(&mut self.open, later).values() {
            delays.merge(counts);
        }
        let step = Step { window: *window, closed_at_ms, waiting, delays: delays.summary(), forecast: None };
        if self.steps.len() >= self.spans.history {
            self.steps.pop_front();
        }
        self.steps.push_back(step);
        if self.delays.len() >= self.spans.recent {
            self.delays.pop_front();
        }
        self.delays.push_back(delays);
        self.queries.window(self.spans.recent);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        insight::counterfactual::Without,
        journal::{Answer, Outcome},
        units::{ids::ExecutionId, window::Extent},
    };

    fn entry(record: Record) -> Entry {
        Entry { id: EntryId { ms: 5, n: 0 }, seq: 1, version: crate::journal::FORMAT, record }
    }

    fn ran(tick: u64, delay: u64) -> Entry {
        let id = EntryId { ms: tick, n: 0 };
        let record = Record::Executed(Executed {
            execution: ExecutionId::new(tick, 0),
            query: QueryId(Uuid::nil()),
            queued_tick: Tick(tick - delay),
            due_tick: Tick(tick),
            tick: Tick(tick),
            finished_tick: Tick(tick),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        });
        Entry { id, ..entry(record) }
    }

    fn window(first: u64, in_corridor: bool) -> Entry {
        entry(Record::Window(Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent::default()),
            executed: 1,
            in_corridor,
            running: 0,
            incomplete: false,
        }))
    }

    #[test]
    fn delays_belong_to_the_window_in_which_they_ended() {
        let mut recap = Recap::default();
        recap.apply(&[ran(9, 3)], Tick(9), None);
        recap.apply(&[ran(10, 7), window(0, true)], Tick(10), None);
        let first = *recap.last_steps(1).next().unwrap();
        assert_eq!(first.delays.unwrap().max, 3);
        recap.apply(&[window(10, false)], Tick(20), None);
        assert_eq!(recap.last_steps(1).next().unwrap().delays.unwrap().max, 7);
        let summary = recap.summary(recap.spans().minute);
        assert_eq!((summary.windows, summary.executed), (2, 2));
        assert_eq!(summary.in_corridor, Some(0.5));
        let activity = recap.queries()[&QueryId(Uuid::nil())];
        assert_eq!((activity.executed, activity.added_ticks), (2, 8));
        assert_eq!(recap.queries_ticks(), 21);
    }

    #[test]
    fn answers_are_added_up_and_forgotten_with_their_windows() {
        let mut recap = Recap::default();
        let answered = |tick: u64, cpu_us| {
            let mut entry = ran(tick, 1);
            let Record::Executed(executed) = &mut entry.record else { unreachable!("it is one") };
            let answer = Answer { duration_us: 100, cpu_us, ..Answer::default() };
            executed.answer = Some(Box::new(answer));
            entry
        };
        recap.apply(&[ran(1, 1), answered(2, Some(7)), answered(3, None)], Tick(3), None);
        let activity = recap.queries()[&QueryId(Uuid::nil())];
        assert_eq!((activity.executed, activity.answered, activity.duration_us), (3, 2, 200));
        assert_eq!((activity.measured, activity.cpu_us), (1, 7));
        recap.apply(&[window(0, true), ran(15, 1)], Tick(15), None);
        for k in 1..=recap.spans().recent as u64 {
            recap.apply(&[window(k * 10, true)], Tick(k * 10 + 10), None);
        }
        let left = recap.queries()[&QueryId(Uuid::nil())];
        assert_eq!(left, QueryActivity { executed: 1, ..QueryActivity::default() });
    }

    #[test]
    fn what_comes_twice_counts_once() {
        let mut recap = Recap::default();
        for _ in 0..2 {
            recap.apply(&[ran(10, 1), window(0, true)], Tick(10), None);
        }
        assert_eq!(recap.steps(Tick(0)).len(), 1);
        assert_eq!(recap.queries()[&QueryId(Uuid::nil())].executed, 1);
    }

    #[test]
    fn what_ends_late_counts_where_it_ended_though_its_tick_has_been_seen() {
        let mut recap = Recap::default();
        let late = |ended: u64| {
            let mut entry = ran(3, 1);
            entry.id.ms = ended;
            let Record::Executed(executed) = &mut entry.record else { unreachable!("it is one") };
            executed.finished_tick = Tick(ended);
            entry
        };
        recap.apply(&[ran(3, 1)], Tick(9), None);
        // Between two ticks, which begin no new one.
        recap.apply(&[late(9)], Tick(9), None);
        recap.apply(&[late(12), window(0, true)], Tick(12), None);
        recap.apply(&[window(10, true)], Tick(20), None);
        let executed: Vec<_> = recap.delays.iter().map(DelayCounts::executions).collect();
        assert_eq!(executed, [2, 1]);
    }

    #[test]
    fn forecasts_find_their_windows_and_are_judged_where_they_are_known() {
        let mut recap = Recap::default();
        for k in 0..4 {
            recap.apply(&[window(k * 10, true)], Tick(k * 10 + 10), None);
        }
        let without = |in_corridor| Without { usage: PerResource::default(), in_corridor };
        let forecast = |first, without| Forecast { first_tick: Tick(first), predicted: None, without };
        recap.forecasts(&[
            forecast(10, Some(without(false))),
            forecast(20, Some(without(true))),
            forecast(30, None),
            forecast(40, Some(without(true))),
        ]);
        assert_eq!(recap.summary(recap.spans().minute).in_corridor_without, Some(0.5));
        assert_eq!(recap.summary(1).in_corridor_without, None);
        assert_eq!(recap.summary(1).peaks, None);
        assert!(recap.summary(recap.spans().minute).peaks.is_some());
        assert!(recap.steps(Tick(0)).next().unwrap().forecast.is_none());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recap = Recap::default();
        let recent = recap.spans().recent;
        let windows = recent as u64 + 20;
        for k in 0..windows {
            recap.apply(&[ran(k * 10 + 9, 1), window(k * 10, true)], Tick(k * 10 + 10), None);
        }
        assert_eq!(recap.delays.len(), recent);
        assert_eq!(recap.queries()[&QueryId(Uuid::nil())].executed, recent as u64);
        assert_eq!(recap.summary(recent).executed, recent as u64);
    }
}

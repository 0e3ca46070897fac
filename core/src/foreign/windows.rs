//! Which ticks a foreign server's windows count. Their borders are seen only as a change of `/resources`
//! between two looks, and its monitor may count a tick when it begins, when it ends, or in between.

use std::collections::{BTreeMap, VecDeque};

use super::clock::TickClock;
use crate::{
    estimator::{Observation, TickRuns},
    units::{
        ids::QueryId,
        lengths::Lengths,
        resource::{PerResource, Resource},
        tick::Tick,
        window::{Extent, Window},
    },
};

/// When a tick is counted, as a share of a tick after it began: what is tried.
const LAGS: [f64; 6] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5];
/// Windows before the lag is judged.
const WINDOWS_FIRST: usize = 8;
/// Windows until which the lag that fits best is taken: later ones are levelled and tell little about it.
const WINDOWS_TELLING: usize = 25;
/// Weight of a window in that judgement when the next one comes.
const KEEP: f64 = 0.99;
/// By how much another lag must fit better, so that level windows, which fit all, change nothing.
const CLEARLY: f64 = 0.7;
/// How unsure the beginning of a tick is, as a share of a tick.
const JITTER: f64 = 0.15;
/// Ticks of a window, over what it should have; with fewer or more something was missed.
const TICKS: std::ops::RangeInclusive<f64> = 0.6..=1.5;
/// Ticks in doubt that can be weighed.
const IN_DOUBT_MAX: usize = 4;
/// Windows whose runs are remembered: those that wait for the lag, and more.
const KEPT_WINDOWS: u64 = 15;

/// When a window ended: some time in this span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Border {
    pub(super) from_us: f64,
    pub(super) to_us: f64,
}

/// What ran in a tick.
#[derive(Clone, Debug, Default)]
struct Ran {
    queries: Vec<QueryId>,
    /// Whether some may have run unseen, or in another tick.
    unsure: bool,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    begin: Border,
    end: Border,
    usage: PerResource<Extent>,
}

/// Sums over windows, to fit usage in proportion to executions.
#[derive(Clone, Copy, Debug, Default)]
struct Proportion {
    usage2: f64,
    cross: f64,
    executions2: f64,
}

impl Proportion {
    fn add(&mut self, usage: f64, executions: f64) {
        self.usage2 = KEEP * self.usage2 + usage * usage;
        self.cross = KEEP * self.cross + usage * executions;
        self.executions2 = KEEP * self.executions2 + executions * executions;
    }

    /// What is left of usage when it is as many times the executions as fits best.
    fn residual(&self) -> f64 {
        (self.usage2 - self.cross * self.cross / self.executions2.max(1e-9)).max(1e-9)
    }
}

/// Puts windows together with what ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    lengths: Lengths,
    ran: BTreeMap<Tick, Ran>,
    border: Option<Border>,
    /// Waits until all that it may count has been seen.
    closed: VecDeque<Closed>,
    /// Waits until the lag is known.
    judged: Vec<Closed>,
    proportions: [Proportion; LAGS.len()],
    seen: usize,
    lag: usize,
    /// Windows whose ticks could not be told.
    pub(super) unclear: u64,
}

/// A window whose ticks are known as well as they can be.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) observation: Option<Observation>,
    pub(super) window: Window,
}

impl Windows {
    pub(super) fn new(lengths: Lengths) -> Self {
        Self { lengths, ..Self::default() }
    }

    fn kept_ticks(&self) -> u64 {
        KEPT_WINDOWS * self.lengths.window_ticks
    }

    pub(super) fn ran(&mut self, tick: Tick, query: QueryId) {
        self.ran.entry(tick).or_default().queries.push(query);
    }

    pub(super) fn unsure(&mut self, tick: Tick) {
        self.ran.entry(tick).or_default().unsure = true;
    }

    /// Nothing is known of the window that is open.
    pub(super) fn forget_border(&mut self) {
        self.border = None;
    }

    /// A window ended, which lasts at most `most_us`: a longer one is two, one of which was not seen.
    pub(super) fn closed(&mut self, end: Border, usage: PerResource<Extent>, most_us: f64) {
        let begin = self.border.replace(end);
        if let Some(begin) = begin.filter(|begin| end.to_us - begin.from_us <= most_us) {
            self.closed.push_back(Closed { begin, end, usage });
        }
    }

    /// The windows that are complete when `now` is the last tick seen.
    pub(super) fn told(&mut self, clock: &TickClock, now: Tick) -> Vec<Told> {
        while let Some(closed) = self.closed.front().copied()
            && clock.start_us(now) >= closed.end.to_us
        {
            self.closed.pop_front();
            self.judge_lag(clock, &closed);
            self.judged.push(closed);
        }
        let told = if self.seen < WINDOWS_FIRST {
            Vec::new()
        } else {
            let judged = std::mem::take(&mut self.judged);
            judged.iter().filter_map(|closed| self.tell(clock, closed)).collect()
        };
        let oldest = Tick(now.0.saturating_sub(self.kept_ticks()));
        self.ran = self.ran.split_off(&oldest);
        told
    }

    /// Compares how well each lag explains what was used by what ran.
    fn judge_lag(&mut self, clock: &TickClock, closed: &Closed) {
        self.seen += 1;
        let usage: u64 = Resource::ALL.into_iter().map(|r| closed.usage[r].average).sum();
        let kept = self.kept_ticks();
        for (lag, proportion) in LAGS.into_iter().zip(&mut self.proportions) {
            let shares = shares(clock, closed, lag, kept);
            let length: f64 = shares.iter().map(|(_, share)| share).sum();
            let executions = shares
                .iter()
                .map(|(tick, share)| share * self.ran.get(tick).map_or(0.0, |ran| ran.queries.len() as f64));
            proportion.add(usage as f64 * length, executions.sum());
        }
        let residuals = self.proportions.map(|proportion| proportion.residual());
        let best = (0..LAGS.len()).min_by(|a, b| residuals[*a].total_cmp(&residuals[*b])).unwrap_or_default();
        if self.seen <= WINDOWS_TELLING || residuals[best] < CLEARLY * residuals[self.lag] {
            self.lag = best;
        }
    }

    fn tell(&mut self, clock: &TickClock, closed: &Closed) -> Option<Told> {
        let shares = shares(clock, closed, LAGS[self.lag], self.kept_ticks());
        let length: f64 = shares.iter().map(|(_, share)| share).sum();
        let (first, last) = (shares.first()?.0, shares.last()?.0);
        let sure = |(tick, _): &(Tick, f64)| self.ran.get(tick).is_none_or(|ran| !ran.unsure);
        let in_doubt = shares.iter().filter(|(_, share)| *share < 1.0).count();
        let clear = shares.iter().all(sure)
            && TICKS.contains(&(length / self.lengths.window_ticks as f64))
            && in_doubt <= IN_DOUBT_MAX;
        self.unclear += u64::from(!clear);
        let queries = |tick: &Tick| self.ran.get(tick).map_or(&[][..], |ran| &ran.queries);
        let runs = |tick: &Tick| queries(tick).iter().map(|query| (*query, 1.0)).collect();
        let observation = clear.then(|| Observation {
            usage: closed.usage,
            ticks: shares.iter().map(|(tick, share)| TickRuns::new(runs(tick), *share)).collect(),
        });
        let executed = shares.iter().map(|(tick, _)| queries(tick).len() as u64).sum();
        let in_corridor = in_corridor(&closed.usage);
        let window = Window {
            first_tick: first,
            last_tick: last,
            usage: closed.usage,
            executed,
            in_corridor,
            running: 0,
            incomplete: false,
        };
        Some(Told { observation, window })
    }
}

/// The ticks that a window may count, and how likely it counts each of them.
fn shares(clock: &TickClock, closed: &Closed, lag: f64, kept_ticks: u64) -> Vec<(Tick, f64)> {
    let tick_us = clock.tick_us();
    let before = |tick: Tick, border: Border| {
        let counted = clock.start_us(tick) + lag * tick_us;
        let (from, to) = (border.from_us - JITTER * tick_us, border.to_us + JITTER * tick_us);
        ((to - counted) / (to - from)).clamp(0.0, 1.0)
    };
    let first = clock.tick_at(closed.begin.from_us - 3.0 * tick_us);
    let last = clock.tick_at(closed.end.to_us + tick_us);
    // A span that cannot be a window is cut: it is not learned from.
    let ticks = (first.0..=last.0.min(first.0 + kept_ticks)).map(Tick);
    let share = |tick| (tick, (1.0 - before(tick, closed.begin)) * before(tick, closed.end));
    let snapped = ticks.map(share).map(|(tick, share)| (tick, if share > 0.97 { 1.0 } else { share }));
    snapped.filter(|(_, share)| *share > 0.03).collect()
}

/// Whether a window is certainly level: its mean is known up to what the average's truncation leaves.
fn in_corridor(usage: &PerResource<Extent>) -> bool {
    Resource::ALL.into_iter().all(|r| {
        let Extent { average, min, max } = usage[r];
        average > 0 && 10 * max <= 11 * average && 10 * min >= 9 * (average + 1)
    })
}

//! A day, minute by minute: what the page shows of longer ago than windows are remembered, and after a restart.
//!
//! A fold over windows and the delays in them. Minutes are those of the wall clock that stands in the entries' ids. A
//! window is counted five seconds after it has closed: the client tells of it later than the journal does.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::recap::{DelayCounts, DelaySummary, Step};
use crate::units::{resource::PerResource, tick::Tick, window::Extent};

/// Minutes that are remembered: a day.
pub const MINUTES: usize = 1_440;
/// By then the client has told what it makes of a window: it tells once a second, and again for a minute.
const SETTLED_MS: u64 = 5_000;
const MINUTE_MS: u64 = 60_000;

/// One minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minute {
    /// Since 1970.
    pub minute: u64,
    /// First tick of its first window.
    pub first_tick: Tick,
    /// Last tick of its last window.
    pub last_tick: Tick,
    /// When that closed, Unix ms.
    pub closed_at_ms: u64,
    /// Windows that closed in it.
    pub windows: u64,
    /// Those of them that were in the corridor.
    pub in_corridor: u64,
    /// Executions that ran in them.
    pub executed: u64,
    /// Resource units a tick, as measured.
    pub measured: PerResource<Extent<f64>>,
    /// What would have been without levelling; none while that is not known of any window.
    pub without: Option<WithoutMinute>,
    /// Most executions that waited at the end of a window.
    pub queued: Option<u64>,
    /// Longest that the oldest of them had waited, in ticks.
    pub oldest_wait_ticks: Option<u64>,
    /// Delays of what ran.
    pub delays: Option<DelaySummary>,
}

/// What would have been without levelling, over those windows of a minute of which that is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithoutMinute {
    /// So many.
    pub windows: u64,
    /// Those of them that would have been in the corridor.
    pub in_corridor: u64,
    /// Resource units a tick.
    pub usage: PerResource<Extent<f64>>,
}

/// The last [`MINUTES`] in which windows closed, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    all: VecDeque<Minute>,
    /// Delays of the last minute, and those that an earlier process saw in it.
    counts: DelayCounts,
    before: Option<(u64, DelaySummary)>,
}

impl Minutes {
    /// What was stored, as far as `next_tick` of the journal: of what lies behind it another journal may have told.
    pub fn restore(mut stored: Vec<Minute>, next_tick: Tick) -> Self {
        stored.retain(|minute| minute.last_tick < next_tick);
        stored.sort_by_key(|minute| (minute.minute, minute.first_tick));
        stored.dedup_by_key(|minute| minute.minute);
        let skipped = stored.len().saturating_sub(MINUTES);
        let before = stored.last().and_then(|last| Some((last.executed, last.delays?)));
        Self { all: stored.into_iter().skip(skipped).collect(), counts: DelayCounts::default(), before }
    }

    /// Counts those of `steps` that have settled and are newer than what has been counted; oldest first, each with the
    /// delays in it. One of which the client has not told yet is waited for, a minute at most.
    pub fn fold<'a>(
        &mut self,
        steps: impl DoubleEndedIterator<Item = (&'a Step, Option<&'a DelayCounts>)> + Clone,
    ) {
        // While ticks run ahead of their time, many windows close before the client tells of the first.
        self.count_while(steps, |step, newest_ms| {
            step.forecast.is_some() || step.closed_at_ms + MINUTE_MS <= newest_ms
        });
    }

    /// The same of a time before this process, of which nobody will tell.
    pub fn fold_past<'a>(
        &mut self,
        steps: impl DoubleEndedIterator<Item = (&'a Step, Option<&'a DelayCounts>)> + Clone,
    ) {
        self.count_while(steps, |_, _| true);
    }

    fn count_while<'a>(
        &mut self,
        steps: impl DoubleEndedIterator<Item = (&'a Step, Option<&'a DelayCounts>)> + Clone,
        told: impl Fn(&Step, u64) -> bool,
    ) {
        let Some((newest, _)) = steps.clone().next_back() else { return };
        let settled = newest.closed_at_ms.saturating_sub(SETTLED_MS);
        let counted = self.all.back().map(|last| last.last_tick);
        for (step, delays) in steps.filter(|(step, _)| Some(step.window.first_tick) > counted) {
            if step.closed_at_ms > settled || !told(step, newest.closed_at_ms) {
                break;
            }
            self.count(step, delays);
        }
    }

    /// Oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Minute> + DoubleEndedIterator {
        self.all.iter()
    }

    fn count(&mut self, step: &Step, delays: Option<&DelayCounts>) {
        // Entry ids never go back, and a file may be from a later time.
        let last = self.all.back().map_or(0, |last| last.minute);
        let minute = (step.closed_at_ms / MINUTE_MS).max(last);
        if self.all.is_empty() || minute > last {
            if self.all.len() == MINUTES {
                self.all.pop_front();
            }
            self.all.push_back(Minute::begun(minute, step));
            (self.counts, self.before) = (DelayCounts::default(), None);
        }
        if let Some(delays) = delays {
            self.counts.merge(delays);
        }
        let all = together(self.before, &self.counts);
        let Some(minute) = self.all.back_mut() else { return };
        minute.count(step);
        minute.delays = all;
    }
}

/// Of what an earlier process saw, the summary alone is known: the larger percentile counts.
fn together(before: Option<(u64, DelaySummary)>, counts: &DelayCounts) -> Option<DelaySummary> {
    let Some((executed, before)) = before else { return counts.summary() };
    let Some(since) = counts.summary() else { return Some(before) };
    let (a, b) = (executed as f64, counts.executions() as f64);
    Some(DelaySummary {
        mean: (before.mean * a + since.mean * b) / (a + b),
        p50: before.p50.max(since.p50),
        p95: before.p95.max(since.p95),
        p99: before.p99.max(since.p99),
        max: before.max.max(since.max),
    })
}

impl Minute {
    fn begun(minute: u64, step: &Step) -> Self {
        Self {
            minute,
            first_tick: step.window.first_tick,
            last_tick: step.window.first_tick,
            closed_at_ms: step.closed_at_ms,
            windows: 0,
            in_corridor: 0,
            executed: 0,
            measured: PerResource::from_fn(|_| Extent { average: 0.0, min: f64::MAX, max: 0.0 }),
            without: None,
            queued: None,
            oldest_wait_ticks: None,
            delays: None,
        }
    }

    fn count(&mut self, step: &Step) {
        let Step { window, closed_at_ms, waiting, forecast, delays: _ } = step;
        let usage = window.usage.map(|extent| Extent {
            average: extent.average as f64,
            min: extent.min as f64,
            max: extent.max as f64,
        });
        self.measured = merged(&self.measured, self.windows, &usage);
        self.windows += 1;
        self.in_corridor += u64::from(window.in_corridor);
        self.executed += window.executed;
        (self.last_tick, self.closed_at_ms) = (window.last_tick, *closed_at_ms);
        if let Some(without) = forecast.and_then(|forecast| forecast.without) {
            let in_corridor = u64::from(without.in_corridor);
            self.without = Some(match self.without {
                None => WithoutMinute { windows: 1, in_corridor, usage: rounded(without.usage) },
                Some(so_far) => WithoutMinute {
                    windows: so_far.windows + 1,
                    in_corridor: so_far.in_corridor + in_corridor,
                    usage: merged(&so_far.usage, so_far.windows, &without.usage),
                },
            });
        }
        let Some(waiting) = waiting else { return };
        self.queued = self.queued.max(Some(waiting.executions));
        self.oldest_wait_ticks = self.oldest_wait_ticks.max(waiting.oldest_ticks);
    }
}

/// The extents of `windows` windows and of one more.
fn merged(
    so_far: &PerResource<Extent<f64>>,
    windows: u64,
    more: &PerResource<Extent<f64>>,
) -> PerResource<Extent<f64>> {
    let windows = windows as f64;
    rounded(PerResource::from_fn(|r| {
        let (a, b) = (so_far[r], more[r]);
        Extent {
            average: (a.average * windows + b.average) / (windows + 1.0),
            min: a.min.min(b.min),
            max: a.max.max(b.max),
        }
    }))
}

/// To a thousandth of a unit: a picture shows no more, and a file of a day stays small.
fn rounded(usage: PerResource<Extent<f64>>) -> PerResource<Extent<f64>> {
    let round = |value: f64| libm::round(value * 1e3) / 1e3;
    usage.map(|extent| Extent {
        average: round(extent.average),
        min: round(extent.min),
        max: round(extent.max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        insight::{counterfactual::Without, forecast::Forecast, recap::Waiting},
        units::window::Window,
    };

    /// One a second.
    fn step(n: u64) -> Step {
        let extent = Extent { average: 100, min: 90 - n % 7, max: 110 + n % 5 };
        let usage = PerResource::from_fn(|_| Extent { average: 90.0, min: 10.0, max: 200.0 + n as f64 });
        let first_tick = Tick(n * 10);
        Step {
            window: Window {
                first_tick,
                last_tick: Tick(n * 10 + 9),
                usage: PerResource::all(extent),
                executed: 2,
                in_corridor: n.is_multiple_of(2),
                running: 0,
                incomplete: false,
            },
            closed_at_ms: 600_000 + 1_000 * n,
            waiting: Some(Waiting { executions: n % 60, oldest_ticks: Some(n % 60) }),
            delays: None,
            forecast: Some(Forecast {
                first_tick,
                predicted: None,
                without: Some(Without { usage, in_corridor: n.is_multiple_of(4) }),
            }),
        }
    }

    fn counts(delays: &[u64]) -> DelayCounts {
        let mut counts = DelayCounts::default();
        for delay in delays {
            counts.add(*delay);
        }
        counts
    }

    /// As the observer does it: a window more each time, of which the last ones are seen again.
    fn folded(minutes: &mut Minutes, seconds: std::ops::Range<u64>) {
        let delays = counts(&[1, 3]);
        for end in seconds {
            let steps: Vec<_> = (end.saturating_sub(30)..=end).map(step).collect();
            minutes.fold(steps.iter().map(|step| (step, Some(&delays))));
        }
    }

    #[test]
    fn a_minute_has_each_window_once_and_keeps_what_is_largest() {
        let mut minutes = Minutes::default();
        folded(&mut minutes, 0..200);
        let all: Vec<_> = minutes.iter().collect();
        assert_eq!(all.iter().map(|minute| minute.windows).collect::<Vec<_>>(), [60, 60, 60, 15]);
        let second = all[1];
        assert_eq!((second.minute, second.first_tick, second.last_tick), (11, Tick(600), Tick(1_199)));
        assert_eq!((second.in_corridor, second.executed), (30, 120));
        assert_eq!((second.queued, second.oldest_wait_ticks), (Some(59), Some(59)));
        assert_eq!(second.measured.io, Extent { average: 100.0, min: 84.0, max: 114.0 });
        let without = second.without.unwrap();
        assert_eq!((without.windows, without.in_corridor, without.usage.cpu.max), (60, 15, 319.0));
        assert_eq!(second.delays, counts(&[1, 3]).summary());
    }

    #[test]
    fn a_window_is_counted_once_it_has_settled() {
        let mut minutes = Minutes::default();
        folded(&mut minutes, 0..5);
        assert_eq!(minutes.iter().len(), 0);
        folded(&mut minutes, 5..6);
        assert_eq!(minutes.iter().next().unwrap().windows, 1);
    }

    #[test]
    fn a_window_waits_for_what_the_client_tells_and_no_longer_than_a_minute() {
        let mut steps: Vec<_> = (0..70).map(step).collect();
        steps[3].forecast = None;
        let counted = |steps: &[Step], fold: fn(&mut Minutes, &[Step])| {
            let mut minutes = Minutes::default();
            fold(&mut minutes, steps);
            minutes.iter().map(|minute| minute.windows).sum::<u64>()
        };
        let live =
            |minutes: &mut Minutes, steps: &[Step]| minutes.fold(steps.iter().map(|step| (step, None)));
        let past =
            |minutes: &mut Minutes, steps: &[Step]| minutes.fold_past(steps.iter().map(|step| (step, None)));
        assert_eq!((counted(&steps[..40], live), counted(&steps[..40], past)), (3, 35));
        assert_eq!(counted(&steps[..64], live), 59, "a minute later nothing is waited for any more");
    }

    #[test]
    fn what_was_stored_goes_on_where_it_ended() {
        let mut whole = Minutes::default();
        folded(&mut whole, 0..200);
        let mut first = Minutes::default();
        folded(&mut first, 0..95);
        let stored: Vec<_> = first.iter().cloned().collect();
        let mut second = Minutes::restore(stored, Tick(10_000));
        folded(&mut second, 95..200);
        let of = |minutes: &Minutes| minutes.iter().cloned().collect::<Vec<_>>();
        assert_eq!(of(&second), of(&whole));
    }

    #[test]
    fn what_another_journal_told_of_later_is_left_out() {
        let mut minutes = Minutes::default();
        folded(&mut minutes, 0..200);
        let stored: Vec<_> = minutes.iter().cloned().collect();
        assert_eq!(Minutes::restore(stored, Tick(1_200)).iter().len(), 2);
    }

    #[test]
    fn a_day_is_remembered_and_no_more() {
        let mut minutes = Minutes::default();
        let steps: Vec<_> = (0..=MINUTES as u64 + 3).map(|n| step(n * 60)).collect();
        minutes.fold(steps.iter().map(|step| (step, None)));
        assert_eq!(minutes.iter().len(), MINUTES);
        assert_eq!(minutes.iter().next().unwrap().minute, 13);
    }
}

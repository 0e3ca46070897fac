//! What a stretch of a journal came to: level windows, peaks, delays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    insight::recap::{DelayCounts, DelaySummary},
    journal::{Executed, Record},
    units::{
        ids::QueryId,
        lengths::Lengths,
        resource::{PerResource, Resource},
        window::Window,
    },
};

/// Queries whose delays are counted apart. Those that come later count in the whole only: 2,000 take some 2 MB, and the
/// parts of an hour and a day are sixty such.
const QUERIES_MAX: usize = 2_000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    windows: u64,
    level: u64,
    minute: Minute,
    /// Of each whole minute, the largest over resources of largest tick / mean tick.
    peaks: Vec<f64>,
    delays: DelayCounts,
    by_query: BTreeMap<QueryId, DelayCounts>,
}

/// The minute that is being filled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Minute {
    /// Which one, counted from tick 0.
    number: u64,
    windows: u64,
    /// Of the windows' averages.
    sum: PerResource<f64>,
    max: PerResource<u64>,
}

/// A tally, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Windows that closed.
    pub windows: u64,
    /// Share of them in the corridor, 0 to 1; none before the first.
    pub in_corridor: Option<f64>,
    /// Per minute the largest over resources of largest tick / mean tick; the median over whole minutes, none before the
    /// first.
    pub peak_to_mean_60s: Option<f64>,
    /// Executions that ran.
    pub executed: u64,
    /// Their delays in ticks; none before the first.
    pub delays: Option<DelaySummary>,
}

impl Tally {
    /// Counts an entry of the journal.
    pub fn apply(&mut self, record: &Record, lengths: Lengths) {
        match record {
            Record::Executed(executed) => self.executed(executed),
            Record::Queue(_) => {}
            Record::Window(window) => self.window(window, lengths),
        }
    }

    fn executed(&mut self, executed: &Executed) {
        let ticks = executed.delay_ticks();
        self.delays.add(ticks);
        if self.by_query.len() < QUERIES_MAX || self.by_query.contains_key(&executed.query) {
            self.by_query.entry(executed.query).or_default().add(ticks);
        }
    }

    fn window(&mut self, window: &Window, lengths: Lengths) {
        self.windows += 1;
        self.level += u64::from(window.in_corridor);
        let number = window.first_tick.0 / lengths.minute_ticks();
        if number != self.minute.number {
            self.end_minute(lengths);
            self.minute = Minute { number, ..Minute::default() };
        }
        let Minute { windows, sum, max, .. } = &mut self.minute;
        *windows += 1;
        *sum += window.usage.map(|extent| extent.average as f64);
        *max = PerResource::from_fn(|r| max[r].max(window.usage[r].max));
        self.end_minute(lengths);
    }

    /// Notes the peak of a minute of which nothing is missing.
    fn end_minute(&mut self, lengths: Lengths) {
        let Minute { windows, sum, max, .. } = self.minute;
        if windows == 0 || windows < lengths.minute_windows() {
            return;
        }
        let ratio = |r: Resource| max[r] as f64 * windows as f64 / sum[r].max(1.0);
        self.peaks.push(Resource::ALL.into_iter().map(ratio).fold(0.0, f64::max));
        self.minute.windows = 0;
    }

    /// Counts what `other`, of other ticks, counted.
    pub fn merge(&mut self, other: &Self) {
        self.windows += other.windows;
        self.level += other.level;
        self.peaks.extend(&other.peaks);
        self.delays.merge(&other.delays);
        for (query, delays) in &other.by_query {
            if self.by_query.len() < QUERIES_MAX || self.by_query.contains_key(query) {
                self.by_query.entry(*query).or_default().merge(delays);
            }
        }
    }

    /// What it came to.
    pub fn summary(&self) -> Summary {
        let mut peaks = self.peaks.clone();
        peaks.sort_by(f64::total_cmp);
        Summary {
            windows: self.windows,
            in_corridor: (self.windows > 0).then(|| self.level as f64 / self.windows as f64),
            // Nearest rank.
            peak_to_mean_60s: peaks.get(peaks.len().saturating_sub(1) / 2).copied(),
            executed: self.delays.executions(),
            delays: self.delays.summary(),
        }
    }

    /// Delays of each query.
    pub fn by_query(&self) -> &BTreeMap<QueryId, DelayCounts> {
        &self.by_query
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{tick::Tick, window::Extent};

    /// A minute of six windows.
    const LENGTHS: Lengths = Lengths { tick_ms: 1_000, window_ticks: 10, default_delay_ticks: 1 };

    fn window(first: u64, average: u64, max: u64, in_corridor: bool) -> Record {
        Record::Window(Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent { average, min: 0, max }),
            executed: 0,
            in_corridor,
            running: 0,
            incomplete: false,
        })
    }

    #[test]
    fn a_peak_is_that_of_a_whole_minute_and_the_median_counts() {
        let mut tally = Tally::default();
        // Half a minute, then three whole ones with peaks of 2, 4 and 3 times the mean.
        (3..6).for_each(|k| tally.apply(&window(k * 10, 10, 900, false), LENGTHS));
        for (minute, max) in [(1, 20), (2, 40), (3, 30)] {
            (0..6).for_each(|k| tally.apply(&window(minute * 60 + k * 10, 10, max, k == 0), LENGTHS));
        }
        let Summary { windows, in_corridor, peak_to_mean_60s, .. } = tally.summary();
        assert_eq!((windows, peak_to_mean_60s), (21, Some(3.0)));
        assert_eq!(in_corridor, Some(3.0 / 21.0));
    }

    #[test]
    fn two_stretches_come_to_what_the_whole_comes_to() {
        let (mut whole, mut first, mut second) = (Tally::default(), Tally::default(), Tally::default());
        for k in 0..12 {
            let record = window(k * 10, 10 + k, 30 + k, k % 3 == 0);
            whole.apply(&record, LENGTHS);
            if k < 6 { &mut first } else { &mut second }.apply(&record, LENGTHS);
        }
        first.merge(&second);
        assert_eq!(first.summary(), whole.summary());
        assert_eq!(Tally::default().summary(), Summary::default());
    }
}

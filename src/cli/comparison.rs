//! A line of a table that compares stretches of time: as they were, in a twin, under another policy.

use std::fmt;

use evenkeel_core::insight::shadow::Summary;
use serde_json::Value;

/// What a stretch came to, for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    label: String,
    windows: u64,
    in_corridor: Option<f64>,
    peak: Option<f64>,
    executed: u64,
    /// Mean, p50, p99 and largest delay, in ticks.
    delays: Option<[f64; 4]>,
    tick_ms: f64,
}

/// The columns' names.
pub(super) fn heading() -> String {
    format!(
        "{:34} {:>8} {:>6} {:>9} {:>9} {:>16} {:>8} {:>8} {:>8}",
        "", "windows", "level", "peak/60s", "executed", "delay (ticks)", "p50", "p99", "max"
    )
}

/// A duration, short.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

impl Row {
    /// Of a summary as `/api/v1/shadow` tells it.
    pub(super) fn of(label: &str, summary: &Value, tick_ms: f64) -> Self {
        let number = |name: &str| summary[name].as_u64().unwrap_or(0);
        let delays = &summary["delay_ticks"];
        let delays = ["mean", "p50", "p99", "max"].map(|name| delays[name].as_f64());
        Self {
            label: label.to_owned(),
            windows: number("windows"),
            in_corridor: summary["in_corridor"].as_f64(),
            peak: summary["peak_to_mean_60s"].as_f64(),
            executed: number("executed"),
            delays: delays.iter().all(Option::is_some).then(|| delays.map(Option::unwrap_or_default)),
            tick_ms,
        }
    }
}

impl From<(&str, &Summary, u64)> for Row {
    /// A label, a summary, and the milliseconds of a tick.
    fn from((label, summary, tick_ms): (&str, &Summary, u64)) -> Self {
        let delays = summary
            .delays
            .map(|delays| [delays.mean, delays.p50 as f64, delays.p99 as f64, delays.max as f64]);
        Self {
            label: label.to_owned(),
            windows: summary.windows,
            in_corridor: summary.in_corridor,
            peak: summary.peak_to_mean_60s,
            executed: summary.executed,
            delays,
            tick_ms: tick_ms as f64,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, windows, executed, tick_ms, .. } = self;
        let number =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
        let (level, peak) = (number(self.in_corridor), number(self.peak));
        write!(f, "{label:34} {windows:>8} {level:>6} {peak:>9} {executed:>9}")?;
        let Some([mean, rest @ ..]) = self.delays else {
            return write!(f, " {:>16} {:>8} {:>8} {:>8}", "-", "-", "-", "-");
        };
        let mean = format!("{} ({mean:.1})", seconds(mean * tick_ms / 1e3));
        write!(f, " {mean:>16}")?;
        rest.iter().try_for_each(|ticks| write!(f, " {:>8}", seconds(ticks * tick_ms / 1e3)))
    }
}

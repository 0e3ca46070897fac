//! What a run of a real database is judged by.

use serde::Serialize;

use super::{DELAY_MAX_US, TICK_US};
use crate::world::real::Arrival;

/// Ticks of a second.
const SECOND_TICKS: usize = 10;
/// Seconds of a minute.
const MINUTE_SECONDS: usize = 60;

/// How level the database was. Of each minute; the mean over minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Level {
    /// Busy cores on the mean.
    pub mean_cores: f64,
    /// The second that used most, over the mean.
    pub peak_to_mean: f64,
    /// Standard deviation of seconds, cores.
    pub second_deviation: f64,
    /// Standard deviation of ticks, cores.
    pub tick_deviation: f64,
    /// Share of seconds within ±25 % of their minute.
    pub within_quarter: f64,
    /// Share of seconds whose ticks all lie within ±10 % of their mean.
    pub in_corridor: f64,
}

/// Times in seconds: percentiles by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waits {
    /// How many.
    pub count: usize,
    /// Mean.
    pub mean_s: f64,
    /// Median.
    pub p50_s: f64,
    /// 99th percentile.
    pub p99_s: f64,
    /// Largest.
    pub max_s: f64,
}

/// What a run is judged by. Counted is what arrived, and was used, after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RealReport {
    /// How level it was.
    pub level: Level,
    /// What deferrable statements waited before they began; those that still wait with what they have waited.
    pub delay: Waits,
    /// Those that waited longer than they may.
    pub beyond_maximum: usize,
    /// From arrival to end of an interactive statement.
    pub interactive: Waits,
    /// The same over what it takes alone: the mean.
    pub interactive_slowdown: f64,
    /// Deferrable statements that ended over those that arrived.
    pub throughput: f64,
    /// Deferrable statements that had not ended at the end.
    pub left: usize,
    /// CPU time used, s.
    pub cpu_s: f64,
}

pub(super) struct Measure {
    from_us: u64,
    pub(super) end_us: u64,
    used_us: f64,
    /// Busy cores of each tick, from the beginning.
    ticks: Vec<f64>,
    delays: Vec<u64>,
    latencies: Vec<u64>,
    slowdowns: f64,
    ended: usize,
    pub(super) truth: Vec<(f64, u64)>,
}

impl Measure {
    pub(super) fn new(from_us: u64, end_us: u64, kinds: usize) -> Self {
        Self {
            from_us,
            end_us,
            used_us: 0.0,
            ticks: Vec::new(),
            delays: Vec::new(),
            latencies: Vec::new(),
            slowdowns: 0.0,
            ended: 0,
            truth: vec![(0.0, 0); kinds],
        }
    }

    /// A tick is over, and so much was used since the beginning. What it used.
    pub(super) fn tick(&mut self, used_us: f64) -> f64 {
        let used = used_us - self.used_us;
        self.used_us = used_us;
        self.ticks.push(used / TICK_US as f64);
        used
    }

    pub(super) fn released(&mut self, arrived_us: u64, us: u64) {
        if arrived_us >= self.from_us {
            self.delays.push(us - arrived_us);
        }
    }

    pub(super) fn ended(&mut self, arrival: &Arrival, interactive: bool, us: u64, used_us: f64) {
        if let Some((sum, count)) = arrival.kind.map(|kind| &mut self.truth[kind]) {
            *sum += used_us;
            *count += 1;
        }
        if interactive && arrival.at_us >= self.from_us {
            let latency = us.saturating_sub(arrival.at_us);
            self.latencies.push(latency);
            self.slowdowns += latency as f64 * arrival.share * f64::from(arrival.processes) / arrival.cpu_us;
        } else if !interactive && us >= self.from_us {
            self.ended += 1;
        }
    }

    pub(super) fn ticks(&self) -> &[f64] {
        &self.ticks
    }

    fn counted(&self) -> &[f64] {
        self.ticks.get((self.from_us / TICK_US) as usize..).unwrap_or_default()
    }

    /// Judges the run; `held` arrived when it says and still wait, `running` have left and not ended.
    pub(super) fn report(&self, held: impl Iterator<Item = u64>, running: usize) -> RealReport {
        let held: Vec<u64> = held.collect();
        let waited = held.iter().filter(|at| **at >= self.from_us).map(|at| self.end_us - at);
        let delays: Vec<u64> = self.delays.iter().copied().chain(waited).collect();
        let beyond = DELAY_MAX_US + 2 * super::STEP_US;
        let left = held.len() + running;
        RealReport {
            level: level(self.counted()),
            beyond_maximum: delays.iter().filter(|delay| **delay > beyond).count(),
            throughput: self.ended as f64 / delays.len().max(1) as f64,
            delay: waits(delays),
            interactive_slowdown: self.slowdowns / self.latencies.len().max(1) as f64,
            interactive: waits(self.latencies.clone()),
            left,
            cpu_s: self.counted().iter().sum::<f64>() / SECOND_TICKS as f64,
        }
    }
}

fn level(ticks: &[f64]) -> Level {
    let minutes: Vec<Level> = ticks.chunks_exact(SECOND_TICKS * MINUTE_SECONDS).map(minute).collect();
    let mean = |of: fn(&Level) -> f64| mean(minutes.iter().map(of));
    Level {
        mean_cores: mean(|minute| minute.mean_cores),
        peak_to_mean: mean(|minute| minute.peak_to_mean),
        second_deviation: mean(|minute| minute.second_deviation),
        tick_deviation: mean(|minute| minute.tick_deviation),
        within_quarter: mean(|minute| minute.within_quarter),
        in_corridor: mean(|minute| minute.in_corridor),
    }
}

fn minute(ticks: &[f64]) -> Level {
    let seconds: Vec<f64> =
        ticks.chunks_exact(SECOND_TICKS).map(|ticks| mean(ticks.iter().copied())).collect();
    let of_minute = mean(seconds.iter().copied());
    let peak = seconds.iter().copied().fold(0.0, f64::max);
    let near = |value: f64, mean: f64, share: f64| mean > 0.0 && (value - mean).abs() <= share * mean;
    let share = |hits: usize| hits as f64 / seconds.len() as f64;
    let level = |ticks: &[f64]| {
        let mean = mean(ticks.iter().copied());
        ticks.iter().all(|tick| near(*tick, mean, 0.1))
    };
    Level {
        mean_cores: of_minute,
        peak_to_mean: if of_minute > 0.0 { peak / of_minute } else { 0.0 },
        second_deviation: deviation(&seconds, of_minute),
        tick_deviation: deviation(ticks, of_minute),
        within_quarter: share(seconds.iter().filter(|second| near(**second, of_minute, 0.25)).count()),
        in_corridor: share(ticks.chunks_exact(SECOND_TICKS).filter(|ticks| level(ticks)).count()),
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

fn deviation(values: &[f64], mean_of: f64) -> f64 {
    libm::sqrt(mean(values.iter().map(|value| (value - mean_of) * (value - mean_of))))
}

fn waits(mut us: Vec<u64>) -> Waits {
    us.sort_unstable();
    let rank = |share: f64| {
        let rank = libm::ceil(share * us.len() as f64).max(1.0) as usize;
        us.get(rank - 1).map_or(0.0, |us| *us as f64 / 1e6)
    };
    Waits {
        count: us.len(),
        mean_s: us.iter().sum::<u64>() as f64 / us.len().max(1) as f64 / 1e6,
        p50_s: rank(0.5),
        p99_s: rank(0.99),
        max_s: rank(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_minute_and_one_with_a_peak() {
        let flat = level(&[0.5; 600]);
        assert!((flat.peak_to_mean - 1.0).abs() < 1e-9 && flat.second_deviation < 1e-9);
        assert!((flat.within_quarter - 1.0).abs() < 1e-9 && (flat.in_corridor - 1.0).abs() < 1e-9);
        let mut ticks = [0.5; 600];
        ticks[..10].fill(2.0);
        let peak = level(&ticks);
        let mean = (59.0 * 0.5 + 2.0) / 60.0;
        assert!((peak.mean_cores - mean).abs() < 1e-9 && (peak.peak_to_mean - 2.0 / mean).abs() < 1e-9);
        assert!((peak.within_quarter - 59.0 / 60.0).abs() < 1e-9 && (peak.in_corridor - 1.0).abs() < 1e-9);
        ticks[11] = 0.0;
        assert!((level(&ticks).in_corridor - 59.0 / 60.0).abs() < 1e-9);
    }
}

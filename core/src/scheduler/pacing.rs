//! How much CPU time a real database is to use: the pace that a leader asks for.
//!
//! ```text
//! pace = what is offered, on a slow mean, by deferrable statements and by others
//!      + (what waits − what is to wait) / drain time
//! ```
//!
//! The slow mean is level. What is to wait is stock: with some of it a pause of the arrivals is bridged. What waits beyond
//! it leaves within the drain time.

use crate::server::pacer::Pace;

/// What a [`PaceTarget`] aims at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceSettings {
    /// Over which time what is offered is averaged, s.
    pub mean_s: f64,
    /// In which time what waits beyond the stock leaves, s.
    pub drain_s: f64,
    /// Stock, as seconds of what deferrable statements offer.
    pub stock_s: f64,
    /// Processors of the host: no more is asked for.
    pub cores: u32,
}

impl PaceSettings {
    /// For a host of so many cores.
    pub fn of(cores: u32) -> Self {
        Self { mean_s: 60.0, drain_s: 15.0, stock_s: 1.5, cores: cores.max(1) }
    }
}

/// Says how fast the database is to work.
#[derive(Clone, Debug)]
pub struct PaceTarget {
    settings: PaceSettings,
    offered: SlowMean,
    others: SlowMean,
}

impl PaceTarget {
    /// One that has seen nothing before `now_us`.
    pub fn new(settings: PaceSettings, now_us: u64) -> Self {
        let mean = SlowMean::new(settings.mean_s, now_us);
        Self { settings, offered: mean, others: mean }
    }

    /// A deferrable statement has arrived that is expected to use `cost_us` of CPU time.
    pub fn arrived(&mut self, now_us: u64, cost_us: u64) {
        self.offered.add(now_us, cost_us as f64);
    }

    /// Others, interactive statements and background, have used so much CPU time until `now_us`.
    pub fn others(&mut self, now_us: u64, cpu_us: u64) {
        self.others.add(now_us, cpu_us as f64);
    }

    /// The pace from `now_us` on, when statements wait that are expected to use `waiting_us` of CPU time, those that
    /// run included.
    pub fn pace(&mut self, now_us: u64, waiting_us: u64) -> Pace {
        let (offered, others) = (self.offered.per_s(now_us), self.others.per_s(now_us));
        let beyond = waiting_us as f64 - self.settings.stock_s * offered;
        let most = f64::from(self.settings.cores) * 1e6;
        let target = (offered + others + beyond / self.settings.drain_s).clamp(others.min(most), most);
        Pace { core_us_per_s: target as u64, at_once: libm::ceil(target / 1e6).max(1.0) as u32 }
    }
}

/// What comes a second, on an exponential mean that knows how little it has seen at first.
#[derive(Clone, Copy, Debug)]
struct SlowMean {
    mean_us: f64,
    now_us: u64,
    sum: f64,
    /// What the sum would be at one a µs.
    weight: f64,
}

impl SlowMean {
    fn new(mean_s: f64, now_us: u64) -> Self {
        Self { mean_us: mean_s.max(0.001) * 1e6, now_us, sum: 0.0, weight: 0.0 }
    }

    fn add(&mut self, now_us: u64, value: f64) {
        self.pass(now_us);
        self.sum += value;
    }

    fn per_s(&mut self, now_us: u64) -> f64 {
        self.pass(now_us);
        // Until a second has passed, one is taken to have.
        self.sum / self.weight.max(1e6) * 1e6
    }

    fn pass(&mut self, now_us: u64) {
        let passed = now_us.saturating_sub(self.now_us) as f64;
        self.now_us = self.now_us.max(now_us);
        let kept = libm::exp(-passed / self.mean_us);
        self.sum *= kept;
        self.weight = self.weight * kept + self.mean_us * (1.0 - kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> u64 {
        second * 1_000_000
    }

    #[test]
    fn the_pace_is_what_comes_and_what_waits_beyond_the_stock_leaves_in_the_drain_time() {
        let settings = PaceSettings { mean_s: 30.0, drain_s: 5.0, stock_s: 1.0, cores: 2 };
        let mut target = PaceTarget::new(settings, 0);
        for now in (1..=300).map(second) {
            target.arrived(now, 400_000);
            target.others(now, 100_000);
        }
        let near =
            |pace: Pace, expected: u64| assert!(pace.core_us_per_s.abs_diff(expected) < 10_000, "{pace:?}");
        near(target.pace(second(300), 400_000), 500_000);
        near(target.pace(second(300), 1_400_000), 700_000);
        let flood = target.pace(second(300), 1_000_000_000);
        assert_eq!(flood, Pace { core_us_per_s: 2_000_000, at_once: 2 });
    }

    #[test]
    fn when_nothing_comes_any_more_what_waits_still_leaves() {
        let mut target = PaceTarget::new(PaceSettings::of(2), 0);
        (1..=60).for_each(|now| target.arrived(second(now), 500_000));
        let mut waiting = 500_000.0;
        for now in 61..=120 {
            waiting -= target.pace(second(now), waiting as u64).core_us_per_s as f64;
            waiting = f64::max(waiting, 0.0);
        }
        assert!(waiting < 1.0, "{waiting}");
    }
}

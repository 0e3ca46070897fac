//! What is known of one query's executions, besides its rate.

use serde::{Deserialize, Serialize};

use super::{RunCost, rates::Rate, service::Service, timeline::Ended};

/// Executions that a mean remembers.
const MEMORY: f64 = 1_000.0;
/// Executions in a row, each far above the mean or far below, that say that something has changed. Many queries are cheap
/// most of the time, so cheap ones prove less.
const CHANGED: [u32; 2] = [4, 20];
/// Far above, in standard deviations.
const FAR_ABOVE: f64 = 2.0;
/// Far below, as a share of the mean.
const FAR_BELOW: f64 = 0.25;
/// Relative spread that is assumed beside what was seen, worth one execution: two alike prove nothing.
const SPREAD: f64 = 0.3;
/// Standard deviation of a fair share, relative: workers that nobody knows of have more, the kernel divides unevenly.
const CROWD: f64 = 0.15;
/// Share of a query's executions that clocks must have told before their mean counts alone.
const CLOCKED: f64 = 0.5;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kind {
    /// Where its rate is kept.
    pub(super) number: usize,
    /// When one was last seen to end, µs.
    pub(super) last_us: u64,
    executions: u64,
    clocked: u64,
    /// Free time and crowded CPU time together.
    service: Average,
    /// The share of it that is free, as two sums that forget alike.
    shares: [f64; 2],
    duration: Average,
    cpu: Average,
}

impl Kind {
    pub(super) fn new(number: usize) -> Self {
        let (executions, clocked) = (0, 0);
        let (service, duration, cpu) = <(Average, Average, Average)>::default();
        Self { number, last_us: 0, executions, clocked, service, shares: [0.0; 2], duration, cpu }
    }

    pub(super) fn ended(&mut self, run: &Ended) {
        self.last_us = self.last_us.max(run.to_us);
        self.executions += 1;
        let Service { free_us, crowded_us } = run.service;
        self.service.add(free_us + crowded_us);
        for (sum, us) in self.shares.iter_mut().zip([free_us, crowded_us]) {
            *sum = *sum * (1.0 - 1.0 / MEMORY) + us;
        }
        self.duration.add(run.duration_us() as f64);
        if let Some(cpu_us) = run.cpu_us {
            self.clocked += 1;
            self.cpu.add(cpu_us);
        }
    }

    pub(super) fn cost(&self, rate: Rate) -> RunCost {
        let clocked = self.cpu.weight >= CLOCKED * self.service.weight && self.cpu.weight > 0.0;
        let (cpu_us, error, spread_us) = if clocked {
            (self.cpu.mean, self.cpu.variance_of_mean(), self.cpu.deviation())
        } else {
            let service = self.service.mean;
            let free = self.shares[0] / (self.shares[0] + self.shares[1]).max(f64::MIN_POSITIVE);
            let each = free * rate.mean + (1.0 - free);
            let of_rate = service * service * free * free * rate.variance;
            let of_service = each * each * self.service.variance_of_mean();
            let of_crowd = CROWD * service * (1.0 - free);
            (each * service, of_rate + of_service + of_crowd * of_crowd, each * self.service.deviation())
        };
        RunCost {
            cpu_us,
            standard_error_us: libm::sqrt(error),
            spread_us,
            duration_us: self.duration.mean,
            rate: rate.mean,
            executions: self.executions,
            clocked: self.clocked,
        }
    }
}

/// A mean with its variance, which forgets slowly, and at once when several in a row say that something has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Average {
    weight: f64,
    mean: f64,
    /// Mean square of the differences from the mean.
    variance: f64,
    /// Those in a row that lie far above, and far below.
    rows: [Row; 2],
}

/// Values in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    count: u32,
    sum: f64,
}

impl Average {
    fn add(&mut self, value: f64) {
        let far = self.far(value);
        for ((row, far), enough) in self.rows.iter_mut().zip(far).zip(CHANGED) {
            *row = if far { Row { count: row.count + 1, sum: row.sum + value } } else { Row::default() };
            if row.count >= enough {
                let mean = row.sum / f64::from(row.count);
                (self.weight, self.mean, self.variance) = (f64::from(row.count), mean, 0.0);
                *row = Row::default();
                return;
            }
        }
        self.weight = (self.weight + 1.0).min(MEMORY);
        let difference = value - self.mean;
        self.mean += difference / self.weight;
        self.variance += (difference * (value - self.mean) - self.variance) / self.weight;
    }

    fn far(&self, value: f64) -> [bool; 2] {
        let known = self.weight >= f64::from(CHANGED[0]);
        [known && value > self.mean + FAR_ABOVE * self.deviation(), known && value < FAR_BELOW * self.mean]
    }

    /// Variance of one value, with what is assumed.
    fn expected_variance(&self) -> f64 {
        let assumed = SPREAD * self.mean;
        (self.variance * self.weight + assumed * assumed) / self.weight.max(1.0)
    }

    fn deviation(&self) -> f64 {
        libm::sqrt(self.expected_variance())
    }

    fn variance_of_mean(&self) -> f64 {
        self.expected_variance() / (self.weight - 1.0).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_cost_is_known_after_a_few_executions_and_one_outlier_changes_little() {
        let mut mean = Average::default();
        (0..100).for_each(|n| mean.add(10.0 + f64::from(n % 3)));
        mean.add(100.0);
        mean.add(11.0);
        assert!((11.0..13.0).contains(&mean.mean), "{mean:?}");
        (0..4).for_each(|n| mean.add(1_000.0 + f64::from(n % 3)));
        assert!((1_000.0..1_003.0).contains(&mean.mean), "{mean:?}");
        (0..20).for_each(|n| mean.add(10.0 + f64::from(n % 3)));
        assert!((10.0..12.0).contains(&mean.mean), "{mean:?}");
    }

    #[test]
    fn what_is_cheap_most_of_the_time_keeps_its_mean() {
        let mut mean = Average::default();
        (0..600).for_each(|n| mean.add(if n % 10 == 0 { 100.0 } else { 1.0 }));
        assert!((mean.mean - 10.9).abs() < 0.1, "{mean:?}");
    }
}

//! The rates of queries, learned from samples: a Kalman filter over rates and background.

use serde::{Deserialize, Serialize};

/// Queries whose rates are learned with all their covariances. Those beyond have the typical rate.
const DENSE_MAX: usize = 512;
/// A rate before anything is known, and its variance: most of the time a statement computes; with workers more.
pub(super) const PRIOR: Rate = Rate { mean: 0.8, variance: 0.16 };
/// Background before anything is known, processors.
const BACKGROUND: Rate = Rate { mean: 0.05, variance: 0.04 };
/// What the background may change by in a second, as a variance.
const BACKGROUND_DRIFT: f64 = 1e-5;
/// The same of a rate.
const RATE_DRIFT: f64 = 1e-7;
/// Standard deviation of a part of a run around its query's rate, relative: service is shared unevenly.
const UNEVEN: f64 = 0.25;
/// Processors by which background that is not recorded differs from its mean in a second, before that is learned.
const UNRECORDED: f64 = 0.03;
/// What a backend's clock is off by, µs.
const CLOCK_ERROR_US: f64 = 300.0;
/// Squares of normalised errors above this count less: something ran that nobody recorded.
const SURPRISE: f64 = 6.0;
/// How fast the scale of errors follows.
const PACE: f64 = 0.02;
const SCALE: [f64; 2] = [0.1, 400.0];

/// What is known of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// Runs together, and what they used.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Free time by number, in order, µs.
    pub(super) terms: Vec<(usize, f64)>,
    /// CPU time of the time that was not free, µs.
    pub(super) crowded_us: f64,
    /// Sum over runs of the square of what each was served.
    pub(super) squares: f64,
    /// CPU time, µs.
    pub(super) cpu_us: f64,
}

/// The first variable is the background, the others are rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates {
    mean: Vec<f64>,
    /// Rows of the covariance.
    covariance: Vec<Vec<f64>>,
    vacant: Vec<usize>,
    /// Numbers given beyond [`DENSE_MAX`].
    beyond: usize,
    /// Factor of the variance of samples and of clocks.
    scale: [f64; 2],
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            mean: vec![BACKGROUND.mean],
            covariance: vec![vec![BACKGROUND.variance]],
            vacant: Vec::new(),
            beyond: 0,
            scale: [1.0; 2],
        }
    }
}

impl Rates {
    /// A number for a query.
    pub(super) fn admit(&mut self) -> usize {
        if let Some(number) = self.vacant.pop() {
            self.reset(number);
            return number;
        }
        let number = self.mean.len();
        if number > DENSE_MAX {
            self.beyond += 1;
            return DENSE_MAX + self.beyond;
        }
        self.mean.push(0.0);
        self.covariance.iter_mut().for_each(|row| row.push(0.0));
        self.covariance.push(vec![0.0; number + 1]);
        self.reset(number);
        number
    }

    /// A query is forgotten.
    pub(super) fn vacate(&mut self, number: usize) {
        if number < self.mean.len() {
            self.vacant.push(number);
        }
    }

    fn reset(&mut self, number: usize) {
        self.covariance.iter_mut().for_each(|row| row[number] = 0.0);
        self.covariance[number].fill(0.0);
        self.mean[number] = PRIOR.mean;
        self.covariance[number][number] = PRIOR.variance;
    }

    pub(super) fn of(&self, number: usize) -> Rate {
        if number >= self.mean.len() {
            return PRIOR;
        }
        Rate { mean: self.mean[number].max(0.01), variance: self.covariance[number][number] }
    }

    pub(super) fn background(&self) -> Rate {
        Rate { mean: self.mean[0].max(0.0), variance: self.covariance[0][0] }
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, length_us: f64) {
        let seconds = length_us / 1e6;
        for (number, row) in self.covariance.iter_mut().enumerate() {
            row[number] += seconds * if number == 0 { BACKGROUND_DRIFT } else { RATE_DRIFT };
        }
    }

    /// What runs are expected to use while they are free, µs.
    pub(super) fn expected_us(&self, terms: &[(usize, f64)]) -> f64 {
        terms.iter().map(|(number, us)| self.of(*number).mean * us).sum()
    }

    /// Learns what the whole database used in so much time.
    pub(super) fn learn_whole(&mut self, seen: &Seen, length_us: f64) {
        let unrecorded = UNRECORDED * UNRECORDED * length_us * 1e6;
        let variance = unrecorded + UNEVEN * UNEVEN * seen.squares;
        let terms: Vec<_> = std::iter::once((0, length_us)).chain(seen.terms.iter().copied()).collect();
        self.learn(&terms, seen.cpu_us - seen.crowded_us, variance, 0);
    }

    /// Learns what a backend's clock said.
    pub(super) fn learn_clock(&mut self, seen: &Seen) {
        let variance = CLOCK_ERROR_US * CLOCK_ERROR_US + UNEVEN * UNEVEN * seen.squares;
        self.learn(&seen.terms, seen.cpu_us - seen.crowded_us, variance, 1);
    }

    fn learn(&mut self, terms: &[(usize, f64)], value: f64, variance: f64, source: usize) {
        let known: Vec<_> = terms.iter().copied().filter(|(number, _)| *number < self.mean.len()).collect();
        let beyond = terms.iter().filter(|(number, _)| *number >= self.mean.len());
        let (mut expected, mut error) = (0.0, variance * self.scale[source]);
        for (_, us) in beyond {
            expected += PRIOR.mean * us;
            error += PRIOR.variance * us * us;
        }
        let gains: Vec<f64> = self.covariance.iter().map(|row| dot(&known, row)).collect();
        expected += dot(&known, &self.mean);
        let believed = dot(&known, &gains).max(0.0);
        let off = value - expected;
        let square = off * off / (believed + error);
        // Only the part that is the samples' own says whether their errors are what they are taken for.
        let own = error / (believed + error);
        let step = libm::exp(PACE * own * (square.min(2.0 * SURPRISE) - 1.0));
        self.scale[source] = (self.scale[source] * step).clamp(SCALE[0], SCALE[1]);
        let error = error * (square / SURPRISE).max(1.0);
        let total = believed + error;
        if !(total.is_finite() && total > 0.0 && value.is_finite()) {
            return;
        }
        for (mean, gain) in self.mean.iter_mut().zip(&gains) {
            *mean += gain * off / total;
        }
        for (row, gain) in self.covariance.iter_mut().zip(&gains).filter(|(_, gain)| **gain != 0.0) {
            for (cell, other) in row.iter_mut().zip(&gains) {
                *cell -= gain * other / total;
            }
        }
    }
}

fn dot(terms: &[(usize, f64)], values: &[f64]) -> f64 {
    terms.iter().map(|(number, us)| us * values[*number]).sum()
}

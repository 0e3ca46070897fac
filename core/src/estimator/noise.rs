//! How far measurements stray by themselves.

/// What is assumed about measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exactness {
    /// They are what they say.
    Exact,
    /// They stray in proportion to their size; how far is to be learned.
    Noisy,
}

/// Relative variance that a noisy measurement has at least: 0.3 % of its value.
const LEAST: f64 = 1e-5;
/// Relative variance that is assumed at first: 1 % of the value.
const FIRST: f64 = 1e-4;
/// The same of a tick: between errors that all ticks share and independent ones.
const FIRST_OF_TICK: f64 = 3e-4;
/// Relative variance that is assumed at most: half the value.
const MOST: f64 = 0.25;
/// How fast the level follows: within some twenty measurements.
const PACE: f64 = 0.05;
/// The same for ticks.
const TICK_PACE: f64 = 0.05;
/// Squares of normalised errors above this count as this, so that no single one decides.
const OUTLIER: f64 = 9.0;
/// From here on a measurement contradicts what is believed.
const CONTRADICTION: f64 = 25.0;
/// By how much a contradiction raises the level. One change of costs gives a few contradictions and must
/// not look like noise; noise goes on giving them.
const RAISE: f64 = 1.5;

/// Relative variances of averages and of single ticks, followed by comparing errors with what is believed
/// of them (innovation-based adaptation, Mehra 1970): squares of normalised errors should be 1 on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    average: f64,
    tick: f64,
}

impl Noise {
    pub(super) fn new(exactness: Exactness) -> Self {
        match exactness {
            Exactness::Exact => Self { average: 0.0, tick: 0.0 },
            Exactness::Noisy => Self { average: FIRST, tick: FIRST_OF_TICK },
        }
    }

    /// Variance of a sum over a window.
    pub(super) fn of_sum(self, sum: f64) -> f64 {
        self.average * sum * sum
    }

    /// Variance of a tick's sum in a window of `length` ticks. Errors that all ticks share are as large in
    /// the average; independent ones are `length` times as large in a tick: it lies between.
    pub(super) fn of_tick(self, sum: f64, length: f64) -> f64 {
        self.tick.min(length * self.average).max(self.average) * sum * sum
    }

    /// Learns from an average's error: the square of it over its variance, and what share of that
    /// variance is noise. Where little of it is, the error says little about noise.
    pub(super) fn judge_average(&mut self, square: f64, noise_share: f64) {
        self.average = judged(self.average, square, PACE * noise_share);
    }

    /// Learns from a tick's error, likewise.
    pub(super) fn judge_tick(&mut self, square: f64, noise_share: f64) {
        self.tick = judged(self.tick, square, TICK_PACE * noise_share);
    }

    pub(super) fn is_noisy(self) -> bool {
        self.average > 0.0
    }

    /// What a snapshot keeps: of averages, of ticks.
    pub(super) fn relative_variances(self) -> [f64; 2] {
        [self.average, self.tick]
    }

    /// None for what no noise can have become.
    pub(super) fn restore([average, tick]: [f64; 2]) -> Option<Self> {
        let noisy = [average, tick].iter().all(|variance| (LEAST..=MOST).contains(variance));
        let exact = average.to_bits() == 0 && tick.to_bits() == 0;
        (noisy || exact).then_some(Self { average, tick })
    }
}

fn judged(relative_variance: f64, square: f64, pace: f64) -> f64 {
    if relative_variance <= 0.0 {
        return relative_variance;
    }
    let step = if square > CONTRADICTION { RAISE } else { libm::exp(pace * (square.min(OUTLIER) - 1.0)) };
    (relative_variance * step).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_settles_where_errors_are_as_large_as_expected() {
        let mut noise = Noise::new(Exactness::Noisy);
        let truth = 0.03f64;
        // Squares of standard normals, in turn: their mean is 1.
        for square in [0.1f64, 0.4, 0.9, 2.6].repeat(200) {
            let error = square * (truth * 1_000.0).powi(2);
            noise.judge_average(error / noise.of_sum(1_000.0), 1.0);
        }
        assert!((noise.average.sqrt() / truth - 1.0).abs() < 0.1, "{noise:?}");
    }

    #[test]
    fn a_few_contradictions_are_not_noise() {
        let mut noise = Noise::new(Exactness::Noisy);
        let before = noise.of_sum(1.0);
        for _ in 0..3 {
            noise.judge_average(1e6, 0.5);
        }
        assert!(noise.of_sum(1.0) < 4.0 * before);
    }

    #[test]
    fn exact_stays_exact() {
        let mut noise = Noise::new(Exactness::Exact);
        noise.judge_average(1e6, 1.0);
        noise.judge_tick(1e6, 1.0);
        assert!(!noise.is_noisy());
        assert_eq!(Noise::restore(noise.relative_variances()), Some(noise));
        assert_eq!(Noise::restore([f64::NAN, 1e-3]), None);
        assert_eq!(Noise::restore([0.0, 1e-3]), None);
        assert_eq!(Noise::restore([1e-3, 1.0]), None);
    }

    #[test]
    fn a_tick_strays_as_far_as_the_average_or_further() {
        let mut noise = Noise::new(Exactness::Noisy);
        let average = noise.of_sum(1.0);
        for _ in 0..1_000 {
            noise.judge_tick(0.0, 1.0);
        }
        assert!((noise.of_tick(1.0, 10.0) / average - 1.0).abs() < 1e-9);
        for _ in 0..1_000 {
            noise.judge_tick(9.0, 1.0);
        }
        assert!((noise.of_tick(1.0, 10.0) / average - 10.0).abs() < 1e-9);
    }
}

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
/// Relative variance that is assumed at most: half the value.
const MOST: f64 = 0.25;
/// How fast the level follows: within some twenty measurements.
const PACE: f64 = 0.05;
/// Squares of normalised errors above this count as this, so that no single one decides.
const OUTLIER: f64 = 9.0;
/// From here on a measurement contradicts what is believed.
const CONTRADICTION: f64 = 25.0;
/// By how much a contradiction raises the level. One change of costs gives a few contradictions and must
/// not look like noise; noise goes on giving them.
const RAISE: f64 = 1.5;

/// The relative variance of measurements, followed by comparing errors with what is believed of them
/// (innovation-based adaptation, Mehra 1970): squares of normalised errors should be 1 on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    relative_variance: f64,
}

impl Noise {
    pub(super) fn new(exactness: Exactness) -> Self {
        match exactness {
            Exactness::Exact => Self { relative_variance: 0.0 },
            Exactness::Noisy => Self { relative_variance: FIRST },
        }
    }

    /// Variance of a measurement of this size.
    pub(super) fn variance(self, value: f64) -> f64 {
        self.relative_variance * value * value
    }

    /// Learns from an error: the square of it over its variance, and what share of that variance is
    /// noise. Where little of it is, the error says little about noise.
    pub(super) fn judge(&mut self, square: f64, noise_share: f64) {
        if self.is_noisy() {
            let step = if square > CONTRADICTION {
                RAISE
            } else {
                libm::exp(PACE * noise_share * (square.min(OUTLIER) - 1.0))
            };
            self.relative_variance = (self.relative_variance * step).clamp(LEAST, MOST);
        }
    }

    pub(super) fn is_noisy(self) -> bool {
        self.relative_variance > 0.0
    }

    /// What a snapshot keeps.
    pub(super) fn relative_variance(self) -> f64 {
        self.relative_variance
    }

    /// None for what no noise can have become.
    pub(super) fn restore(relative_variance: f64) -> Option<Self> {
        let noisy = (LEAST..=MOST).contains(&relative_variance);
        (noisy || relative_variance.to_bits() == 0).then_some(Self { relative_variance })
    }
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
            noise.judge(error / noise.variance(1_000.0), 1.0);
        }
        assert!((noise.relative_variance.sqrt() / truth - 1.0).abs() < 0.1, "{noise:?}");
    }

    #[test]
    fn a_few_contradictions_are_not_noise() {
        let mut noise = Noise::new(Exactness::Noisy);
        let before = noise.variance(1.0);
        for _ in 0..3 {
            noise.judge(1e6, 0.5);
        }
        assert!(noise.variance(1.0) < 4.0 * before);
    }

    #[test]
    fn exact_stays_exact() {
        let mut noise = Noise::new(Exactness::Exact);
        noise.judge(1e6, 1.0);
        assert!(!noise.is_noisy());
        assert_eq!(Noise::restore(noise.relative_variance()), Some(noise));
        assert_eq!(Noise::restore(f64::NAN), None);
        assert_eq!(Noise::restore(1.0), None);
    }
}

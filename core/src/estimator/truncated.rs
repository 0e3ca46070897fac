//! A normal variable of which only an interval is known.

use std::f64::consts::{PI, SQRT_2};

/// Mean and variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// Below this share of the standard deviation an interval is a measurement with a uniform error: the
/// difference from the truncated normal is of the second order in the share, and the closed form
/// begins to cancel.
const NARROW: f64 = 0.05;

/// Moments of a normal variable given that it lies in `low..=high` (Johnson, Kotz and Balakrishnan,
/// Continuous Univariate Distributions 1, §10.1). None when that is too unlikely to be believed: the
/// interval begins further than `limit` standard deviations from the mean.
pub(super) fn within(normal: Moments, low: f64, high: f64, limit: f64) -> Option<Moments> {
    let deviation = libm::sqrt(normal.variance);
    let width = high - low;
    let outside = (low - normal.mean).max(normal.mean - high);
    if outside > limit * deviation {
        return None;
    }
    if width < NARROW * deviation {
        let error = width * width / 12.0;
        let gain = normal.variance / (normal.variance + error);
        return Some(Moments {
            mean: normal.mean + gain * (f64::midpoint(low, high) - normal.mean),
            variance: gain * error,
        });
    }
    let (alpha, beta) = ((low - normal.mean) / deviation, (high - normal.mean) / deviation);
    let mass = mass_between(alpha, beta);
    let (at_alpha, at_beta) = (density(alpha) / mass, density(beta) / mass);
    let shift = at_alpha - at_beta;
    let variance = 1.0 + alpha * at_alpha - beta * at_beta - shift * shift;
    Some(Moments {
        mean: (normal.mean + deviation * shift).max(low).min(high),
        // It is never wider than the uniform one nor than before, whatever cancels far out in a tail.
        variance: normal.variance * variance.clamp(0.0, 1.0),
    })
}

fn density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * PI)
}

/// Φ(β) − Φ(α), taken from the nearer tail so that nothing cancels.
fn mass_between(alpha: f64, beta: f64) -> f64 {
    if alpha > 0.0 { upper_tail(alpha) - upper_tail(beta) } else { upper_tail(-beta) - upper_tail(-alpha) }
}

fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x / SQRT_2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same moments by summing over a fine grid.
    fn by_summing(normal: Moments, low: f64, high: f64) -> Moments {
        let steps = 20_000;
        let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
        for step in 0..steps {
            let x = low + (high - low) * (f64::from(step) + 0.5) / f64::from(steps);
            let weight = libm::exp(-0.5 * (x - normal.mean) * (x - normal.mean) / normal.variance);
            mass += weight;
            first += weight * x;
            second += weight * (x - normal.mean) * (x - normal.mean);
        }
        let mean = first / mass;
        Moments { mean, variance: second / mass - (mean - normal.mean) * (mean - normal.mean) }
    }

    proptest! {
        #[test]
        fn moments_are_those_of_the_clipped_density(
            mean in -30.0..30.0f64, deviation in 0.5..40.0f64, width in 0.1..30.0f64,
        ) {
            let normal = Moments { mean, variance: deviation * deviation };
            let Some(got) = within(normal, 0.0, width, 5.0) else {
                prop_assert!((-mean).max(mean - width) > 5.0 * deviation);
                return Ok(());
            };
            let expected = by_summing(normal, 0.0, width);
            prop_assert!((got.mean - expected.mean).abs() < 2e-3 * width, "{got:?} {expected:?}");
            prop_assert!((got.variance - expected.variance).abs() < 2e-3 * width * width, "{got:?} {expected:?}");
        }
    }

    #[test]
    fn an_interval_that_holds_everything_tells_nothing() {
        let normal = Moments { mean: 5.0, variance: 1e-4 };
        assert_eq!(within(normal, 0.0, 10.0, 5.0), Some(normal));
    }

    #[test]
    fn an_interval_far_away_is_not_believed() {
        assert_eq!(within(Moments { mean: 0.0, variance: 1.0 }, 6.0, 7.0, 5.0), None);
    }
}

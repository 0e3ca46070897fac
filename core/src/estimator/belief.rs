//! What is believed of one resource's costs: means and all covariances (Kalman 1960, static state).

/// A linear combination of costs: which ones, and how much of each.
pub(super) type Combination = [(usize, f64)];

/// Normal variables with means and a full covariance matrix.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    mean: Vec<f64>,
    /// Rows of `stride`, symmetric to the bit: each change adds products that commute.
    covariance: Vec<f64>,
    stride: usize,
    /// The combination's covariance with each variable, kept to save allocations.
    scratch: Vec<f64>,
}

impl Belief {
    pub(super) fn new() -> Self {
        Self { mean: Vec::new(), covariance: Vec::new(), stride: 0, scratch: Vec::new() }
    }

    /// From means and the lower triangle of the covariances, row by row; the lengths fit together.
    pub(super) fn restore(mean: Vec<f64>, triangle: &[f64]) -> Self {
        let stride = mean.len();
        let mut covariance = vec![0.0; stride * stride];
        let mut rows = triangle;
        for i in 0..stride {
            let (row, rest) = rows.split_at(i + 1);
            rows = rest;
            for (j, value) in row.iter().enumerate() {
                covariance[i * stride + j] = *value;
                covariance[j * stride + i] = *value;
            }
        }
        Self { mean, covariance, stride, scratch: vec![0.0; stride] }
    }

    pub(super) fn len(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn mean(&self, i: usize) -> f64 {
        self.mean[i]
    }

    pub(super) fn covariance(&self, i: usize, j: usize) -> f64 {
        self.covariance[i * self.stride + j]
    }

    pub(super) fn variance(&self, i: usize) -> f64 {
        self.covariance(i, i)
    }

    /// Adds a variable that is independent of the others.
    pub(super) fn push(&mut self, mean: f64, variance: f64) {
        let new = self.grow();
        self.mean.push(mean);
        self.covariance[new * self.stride + new] = variance;
    }

    /// Adds a variable that is variable `like` plus an independent deviation of mean 0.
    pub(super) fn push_like(&mut self, like: usize, deviation: f64) {
        let new = self.grow();
        self.mean.push(self.mean[like]);
        for other in 0..new {
            let covariance = self.covariance(like, other);
            self.covariance[new * self.stride + other] = covariance;
            self.covariance[other * self.stride + new] = covariance;
        }
        self.covariance[new * self.stride + new] = self.variance(like) + deviation;
    }

    fn grow(&mut self) -> usize {
        let new = self.mean.len();
        if new == self.stride {
            let stride = (2 * self.stride).max(16);
            let mut covariance = vec![0.0; stride * stride];
            for (row, old) in self.covariance.chunks_exact(self.stride.max(1)).enumerate() {
                covariance[row * stride..][..old.len()].copy_from_slice(old);
            }
            self.covariance = covariance;
            self.stride = stride;
            self.scratch = vec![0.0; stride];
        }
        new
    }

    /// What is expected of a combination.
    pub(super) fn mean_of(&self, combination: &Combination) -> f64 {
        combination.iter().map(|(i, weight)| weight * self.mean[*i]).sum()
    }

    /// How uncertain a combination is: aᵀPa.
    pub(super) fn variance_of(&self, combination: &Combination) -> f64 {
        let mut sum = 0.0;
        for (at, (i, weight)) in combination.iter().enumerate() {
            let row = &self.covariance[i * self.stride..][..self.mean.len()];
            let off_diagonal: f64 = combination[..at].iter().map(|(j, other)| other * row[*j]).sum();
            sum += weight * (weight * row[*i] + 2.0 * off_diagonal);
        }
        sum.max(0.0)
    }

    /// Learns that a combination, measured with an error of its own, has moved from the expected
    /// (`mean_of`, `spread` = aᵀPa + the error's variance) by `shift` in mean and to `remaining` in
    /// variance. A plain measurement y with error R is shift = y − mean and remaining = 0.
    ///
    /// With k = Pa / spread: mean += k·shift, P −= k kᵀ (spread − remaining).
    pub(super) fn update(&mut self, combination: &Combination, spread: f64, shift: f64, remaining: f64) {
        let count = self.mean.len();
        let scratch = &mut self.scratch[..count];
        scratch.fill(0.0);
        for (i, weight) in combination {
            let row = &self.covariance[i * self.stride..][..count];
            scratch.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        let per_unit = shift / spread;
        self.mean.iter_mut().zip(scratch.iter()).for_each(|(mean, along)| *mean += along * per_unit);
        let root = libm::sqrt(((spread - remaining) / spread).max(0.0) / spread);
        for along in scratch.iter_mut() {
            *along *= root;
        }
        for (i, along) in scratch.iter().enumerate() {
            let row = &mut self.covariance[i * self.stride..][..count];
            row.iter_mut().zip(scratch.iter()).for_each(|(value, other)| *value -= along * other);
            // Rounding may take a variance that is all but gone below zero.
            row[i] = row[i].max(0.0);
        }
    }

    /// Keeps the means and forgets how certain they are: each has this variance, independently.
    pub(super) fn forget(&mut self, variance: f64) {
        self.covariance.fill(0.0);
        for i in 0..self.mean.len() {
            self.covariance[i * self.stride + i] = variance;
        }
    }

    /// Makes a variable less certain.
    pub(super) fn loosen(&mut self, i: usize, variance: f64) {
        self.covariance[i * self.stride + i] += variance;
    }
}

impl PartialEq for Belief {
    /// The same means and covariances, whatever room is left for more.
    fn eq(&self, other: &Self) -> bool {
        let row = |belief: &Self, i: usize| belief.covariance[i * belief.stride..][..belief.len()].to_vec();
        self.mean == other.mean && (0..self.len()).all(|i| row(self, i) == row(other, i))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two variables that share a third one.
    fn family() -> Belief {
        let mut belief = Belief::new();
        belief.push(50.0, 9.0);
        belief.push_like(0, 4.0);
        belief.push_like(0, 4.0);
        belief
    }

    #[test]
    fn what_is_learned_of_one_moves_its_relative() {
        let mut belief = family();
        let one = [(1, 1.0)];
        assert!((belief.variance_of(&one) - 13.0).abs() < 1e-12);
        belief.update(&one, 13.0 + 1.0, 14.0, 0.0);
        // Gain 13/14 for itself; its covariance with the other is 9.
        assert!((belief.mean(1) - 63.0).abs() < 1e-12);
        assert!((belief.mean(2) - 59.0).abs() < 1e-12);
        assert!((belief.variance(1) - (13.0 - 169.0 / 14.0)).abs() < 1e-12);
        assert!((belief.variance(2) - (13.0 - 81.0 / 14.0)).abs() < 1e-12);
    }

    #[test]
    fn a_sum_that_is_known_leaves_only_the_difference_open() {
        let mut belief = family();
        let (sum, difference) = ([(1, 1.0), (2, 1.0)], [(1, 1.0), (2, -1.0)]);
        let before = belief.variance_of(&difference);
        let spread = belief.variance_of(&sum) + 1e-6;
        belief.update(&sum, spread, 0.0, 0.0);
        assert!(belief.variance_of(&sum) < 1e-5);
        assert!((belief.variance_of(&difference) - before).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn it_stays_a_covariance_matrix_and_comes_back_from_its_triangle(
            measured in prop::collection::vec(
                (prop::collection::btree_map(0usize..20, 0.1..3.0f64, 1..6), -5.0..5.0f64, 1e-4..10.0f64), 1..60),
        ) {
            let mut belief = Belief::new();
            belief.push(10.0, 100.0);
            (1..20).for_each(|_| belief.push_like(0, 25.0));
            for (combination, shift, error) in measured {
                let combination: Vec<_> = combination.into_iter().collect();
                let before = belief.variance_of(&combination);
                belief.update(&combination, before + error, shift, 0.0);
                prop_assert!(belief.variance_of(&combination) <= error * 1.001 + 1e-9);
            }
            for i in 0..20 {
                for j in 0..20 {
                    prop_assert_eq!(belief.covariance(i, j).to_bits(), belief.covariance(j, i).to_bits());
                    let bound = belief.variance(i) * belief.variance(j);
                    prop_assert!(belief.covariance(i, j).powi(2) <= bound * 1.001 + 1e-9);
                }
            }
            let triangle: Vec<f64> = (0..20).flat_map(|i| (0..=i).map(move |j| (i, j)))
                .map(|(i, j)| belief.covariance(i, j)).collect();
            let mean = (0..20).map(|i| belief.mean(i)).collect();
            prop_assert_eq!(Belief::restore(mean, &triangle), belief);
        }
    }
}

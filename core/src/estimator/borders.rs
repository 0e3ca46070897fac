//! Ticks of which it is not known whether they belong to the window.

use super::{equations::Equations, learner::Learner};
use crate::{
    resource::{PerResource, Resource},
    window::Extent,
};

/// Ticks in doubt that are weighed against each other: two at each border.
const IN_DOUBT_MAX: usize = 4;

/// How likely each tick in doubt belongs to the window, given the window's averages: each way to draw
/// the borders is weighed by how well it predicts them, all resources together (probabilistic data
/// association, Bar-Shalom and Tse 1975).
pub(super) fn weigh(equations: &mut Equations, usage: &PerResource<Extent>, learners: &PerResource<Learner>) {
    let in_doubt: Vec<usize> = (0..equations.ticks.len()).filter(|at| equations.ticks[*at].1 < 1.0).collect();
    if in_doubt.is_empty() || in_doubt.len() > IN_DOUBT_MAX {
        return;
    }
    let ways: Vec<(f64, Equations)> = (0..1usize << in_doubt.len())
        .map(|way| {
            let mut ticks = equations.ticks.clone();
            let mut likelihood = 0.0;
            for (bit, at) in in_doubt.iter().enumerate() {
                let belongs = way >> bit & 1 == 1;
                likelihood += libm::log(if belongs { ticks[*at].1 } else { 1.0 - ticks[*at].1 });
                ticks[*at].1 = if belongs { 1.0 } else { 0.0 };
            }
            ticks.retain(|(_, share)| *share > 0.0);
            let way = Equations::new(ticks);
            likelihood += Resource::ALL
                .into_iter()
                .map(|r| learners[r].model().likelihood_of_average(usage[r], &way))
                .sum::<f64>();
            (likelihood, way)
        })
        .collect();
    let best = ways.iter().map(|(likelihood, _)| *likelihood).fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = ways.iter().map(|(likelihood, _)| libm::exp(likelihood - best)).collect();
    let total: f64 = weights.iter().sum();
    let mut ticks = std::mem::take(&mut equations.ticks);
    for (bit, at) in in_doubt.iter().enumerate() {
        let belongs: f64 =
            weights.iter().enumerate().filter(|(way, _)| way >> bit & 1 == 1).map(|(_, weight)| weight).sum();
        ticks[*at].1 = belongs / total;
    }
    ticks.retain(|(_, share)| *share > 1e-3);
    *equations = Equations::new(ticks);
}

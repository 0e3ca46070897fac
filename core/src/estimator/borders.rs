//! Ticks of which it is not known whether they belong to the window.

use super::equations::Equations;
use crate::resource::Resource;

/// Ticks in doubt that are weighed against each other: two at each border.
const IN_DOUBT_MAX: usize = 4;

/// How likely each tick in doubt belongs to the window, given the window's averages: each way to draw
/// the borders is weighed by how well it predicts them, all resources together (probabilistic data
/// association, Bar-Shalom and Tse 1975). `likelihood` is the logarithm of an average's under a way.
pub(super) fn weigh(equations: &mut Equations, likelihood: impl Fn(Resource, &Equations) -> f64) {
    let in_doubt: Vec<usize> = (0..equations.ticks.len()).filter(|at| equations.ticks[*at].1 < 1.0).collect();
    if in_doubt.is_empty() || in_doubt.len() > IN_DOUBT_MAX {
        return;
    }
    let ways: Vec<f64> = (0..1usize << in_doubt.len())
        .map(|way| {
            let mut ticks = equations.ticks.clone();
            let mut sum = 0.0;
            for (bit, at) in in_doubt.iter().enumerate() {
                let belongs = way >> bit & 1 == 1;
                sum += libm::log(if belongs { ticks[*at].1 } else { 1.0 - ticks[*at].1 });
                ticks[*at].1 = if belongs { 1.0 } else { 0.0 };
            }
            ticks.retain(|(_, share)| *share > 0.0);
            let way = Equations::new(ticks);
            sum += Resource::ALL.into_iter().map(|r| likelihood(r, &way)).sum::<f64>();
            sum
        })
        .collect();
    let best = ways.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = ways.iter().map(|way| libm::exp(way - best)).collect();
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

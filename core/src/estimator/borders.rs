//! Ticks of which it is not known whether they belong to the window.

use super::equations::Equations;
use crate::units::resource::Resource;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Three ticks of one query each; the first and the last are in doubt.
    fn window() -> Equations {
        Equations::new(vec![(vec![(2, 1.0)], 0.5), (vec![(3, 1.0)], 1.0), (vec![(4, 1.0)], 0.5)])
    }

    #[test]
    fn the_way_that_predicts_the_averages_counts() {
        let mut equations = window();
        weigh(&mut equations, |_, way| {
            let has = |query: usize| way.sum.iter().any(|(variable, _)| *variable == query);
            if has(2) && !has(4) { 0.0 } else { -5.0 }
        });
        let shares: Vec<f64> = equations.ticks.iter().map(|(_, share)| *share).collect();
        assert!(shares[0] > 0.99 && shares[1] >= 1.0, "{shares:?}");
        assert!(equations.ticks.len() == 2 || shares[2] < 0.01, "{shares:?}");
        assert!((equations.length - 2.0).abs() < 0.02);
    }

    #[test]
    fn averages_that_tell_nothing_change_nothing() {
        let mut equations = window();
        weigh(&mut equations, |_, _| -1.0);
        assert!(
            equations.ticks.iter().zip(window().ticks).all(|(now, before)| (now.1 - before.1).abs() < 1e-12)
        );
    }

    #[test]
    fn sure_borders_are_left_alone() {
        let sure = Equations::new(vec![(vec![(2, 1.0)], 1.0)]);
        let mut equations = sure.clone();
        weigh(&mut equations, |_, _| unreachable!("nothing is in doubt"));
        assert_eq!(equations.sum, sure.sum);
    }
}

//! A window's executions as linear combinations of costs.

use std::collections::BTreeMap;

use super::belief::Combination;

/// The belief's variable for what queries cost in general.
pub(super) const TYPICAL: usize = 0;
/// Its variable for what a tick uses when nothing runs.
pub(super) const BACKGROUND: usize = 1;
/// Its variable for the first query.
pub(super) const QUERIES: usize = 2;

/// A window with its queries numbered as the belief numbers them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Equations {
    /// Each tick's executions, the background included, and how likely it belongs to the window.
    pub(super) ticks: Vec<(Vec<(usize, f64)>, f64)>,
    /// The ticks' sum, weighted by how likely each belongs to the window.
    pub(super) sum: Vec<(usize, f64)>,
    /// Expected number of ticks.
    pub(super) length: f64,
    /// Executions in `sum`.
    pub(super) executions: f64,
}

impl Equations {
    pub(super) fn new(ticks: Vec<(Vec<(usize, f64)>, f64)>) -> Self {
        let mut sum: BTreeMap<usize, f64> = BTreeMap::new();
        for (tick, share) in &ticks {
            for (variable, weight) in tick {
                *sum.entry(*variable).or_default() += weight * share;
            }
        }
        let executions = sum.range(QUERIES..).map(|(_, weight)| weight).sum();
        let length = ticks.iter().map(|(_, share)| share).sum();
        Self { ticks, sum: sum.into_iter().collect(), length, executions }
    }
}

/// a − b of two combinations, in order, without what cancels.
pub(super) fn difference(a: &Combination, b: &Combination) -> Vec<(usize, f64)> {
    let mut terms = Vec::with_capacity(a.len() + b.len());
    let mut b = b.iter().copied().peekable();
    for &(i, weight) in a {
        while let Some((j, other)) = b.next_if(|(j, _)| *j < i) {
            terms.push((j, -other));
        }
        let other = b.next_if(|(j, _)| *j == i).map_or(0.0, |(_, other)| other);
        if (weight - other).abs() > f64::EPSILON {
            terms.push((i, weight - other));
        }
    }
    terms.extend(b.map(|(j, other)| (j, -other)));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_add_up_by_how_likely_they_belong() {
        let ticks = vec![
            (vec![(BACKGROUND, 1.0), (2, 2.0)], 1.0),
            (vec![(BACKGROUND, 1.0), (2, 1.0), (5, 1.0)], 0.5),
        ];
        let equations = Equations::new(ticks);
        assert_eq!(equations.sum, [(BACKGROUND, 1.5), (2, 2.5), (5, 0.5)]);
        assert_eq!((equations.length, equations.executions), (1.5, 3.0));
    }

    #[test]
    fn what_two_ticks_share_cancels() {
        let (a, b) = ([(1, 1.0), (2, 1.0), (4, 3.0)], [(1, 1.0), (3, 1.0), (4, 1.0)]);
        assert_eq!(difference(&a, &b), [(2, 1.0), (3, -1.0), (4, 2.0)]);
        assert_eq!(difference(&a, &a), []);
    }
}

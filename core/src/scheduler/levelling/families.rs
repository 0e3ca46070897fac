//! Families: queries whose costs are alike enough to make up a window of one execution a tick. Those
//! that fill fastest are kept for such windows; the others had better run in company.

use super::{item::Kinds, load::Load, units::Units};

/// Half the width of a family, as a share of its centre: within the corridor, with some room because
/// the mean of ten need not be the centre.
const HALF_WIDTH: f64 = 0.095;
/// Queries that are compared with each other; rarer ones never collect ten alike. Pairs of them cost
/// 90,000 comparisons, less than a millisecond.
const COMPARED_MAX: usize = 300;

/// Queries that are alike.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// Arrivals a tick.
    pub(super) rate: f64,
    /// Whether it is among the fastest, which are kept.
    pub(super) kept: bool,
    pub(super) kinds: Vec<usize>,
}

/// Families from the one that fills fastest to the slowest. The first are kept, until they hold `share`
/// of what arrives.
pub(super) fn families(load: &Load, kinds: &mut Kinds<'_>, share: f64) -> Vec<Family> {
    let mut frequent = load.by_query.clone();
    frequent.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    frequent.truncate(COMPARED_MAX);
    let members: Vec<(usize, f64)> =
        frequent.into_iter().map(|(query, mean)| (kinds.of(query), mean)).collect();
    let around: Vec<Vec<usize>> = members.iter().map(|(centre, _)| near(&members, kinds, *centre)).collect();
    let mut taken = vec![false; members.len()];
    let mut missing = share * load.rate;
    let mut families = Vec::new();
    loop {
        let rate = |centre: &usize| -> f64 {
            around[*centre].iter().filter(|n| !taken[**n]).map(|n| members[*n].1).sum()
        };
        let free = (0..members.len()).filter(|n| !taken[*n]);
        let Some((rate, centre)) = free.map(|n| (rate(&n), n)).max_by(|a, b| a.0.total_cmp(&b.0)) else {
            return families;
        };
        // A family that is mostly beyond what is needed is not kept.
        let kept = missing > 0.0 && rate <= 2.0 * missing;
        missing = if kept { missing - rate } else { 0.0 };
        let of: Vec<usize> = around[centre].iter().copied().filter(|n| !taken[*n]).collect();
        for n in &of {
            taken[*n] = true;
        }
        families.push(Family { rate, kept, kinds: of.into_iter().map(|n| members[n].0).collect() });
    }
}

/// Places among `members` of those that are like `centre`, itself included.
fn near(members: &[(usize, f64)], kinds: &Kinds<'_>, centre: usize) -> Vec<usize> {
    let centre = kinds.cost(centre);
    let alike = |cost: Units| (0..3).all(|r| (cost[r] - centre[r]).abs() <= HALF_WIDTH * centre[r]);
    (0..members.len()).filter(|n| alike(kinds.cost(members[*n].0))).collect()
}

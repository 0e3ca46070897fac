//! Windows of one execution a tick: as many as it has ticks that are alike in all three resources.

use super::{item::Item, units::Units};

struct Group {
    cost: Units,
    /// Indices of its items, the worthiest first.
    items: Vec<usize>,
}

/// `wanted` items whose costs all stay within `tolerance` of their mean, those of most worth; none if there
/// are not so many.
pub(super) fn alike(items: &[Item], worth: &[f64], wanted: usize, tolerance: f64) -> Option<Vec<usize>> {
    let groups = group(items, worth, wanted);
    let ratio = (1.0 + tolerance) / (1.0 - tolerance);
    let mut best: Option<(f64, Vec<usize>)> = None;
    for a in &groups {
        let in_cpu: Vec<&Group> = groups.iter().filter(|g| within(g, a.cost, 0, ratio)).collect();
        if count(&in_cpu) < wanted {
            continue;
        }
        for b in &in_cpu {
            if !within(a, b.cost, 1, ratio) {
                continue;
            }
            let in_io: Vec<&Group> = in_cpu.iter().copied().filter(|g| within(g, b.cost, 1, ratio)).collect();
            if count(&in_io) < wanted {
                continue;
            }
            for c in &in_io {
                if !within(a, c.cost, 2, ratio) || !within(b, c.cost, 2, ratio) {
                    continue;
                }
                let all: Vec<&Group> =
                    in_io.iter().copied().filter(|g| within(g, c.cost, 2, ratio)).collect();
                if count(&all) < wanted {
                    continue;
                }
                let mut candidates: Vec<usize> = all.iter().flat_map(|g| g.items.iter().copied()).collect();
                candidates.sort_by(|x, y| worth[*y].total_cmp(&worth[*x]).then(x.cmp(y)));
                let bound: f64 = candidates[..wanted].iter().map(|i| worth[*i]).sum();
                if best.as_ref().is_some_and(|(value, _)| *value >= bound) {
                    continue;
                }
                if let Some(found) = pick(items, &candidates, wanted, tolerance) {
                    let value: f64 = found.iter().map(|i| worth[*i]).sum();
                    if best.as_ref().is_none_or(|(best, _)| value > *best) {
                        best = Some((value, found));
                    }
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

fn group(items: &[Item], worth: &[f64], wanted: usize) -> Vec<Group> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|x, y| {
        items[*x].kind.cmp(&items[*y].kind).then(worth[*y].total_cmp(&worth[*x])).then(x.cmp(y))
    });
    let by_kind = order.chunk_by(|x, y| items[*x].kind == items[*y].kind);
    by_kind.map(|of| Group { cost: items[of[0]].cost, items: of[..of.len().min(wanted)].to_vec() }).collect()
}

fn within(group: &Group, low: Units, r: usize, ratio: f64) -> bool {
    group.cost[r] >= low[r] && group.cost[r] <= low[r] * ratio
}

fn count(groups: &[&Group]) -> usize {
    groups.iter().map(|g| g.items.len()).sum()
}

/// `wanted` of the candidates, the first ones if they fit: exchanges against the largest deviation.
fn pick(items: &[Item], candidates: &[usize], wanted: usize, tolerance: f64) -> Option<Vec<usize>> {
    let (mut chosen, mut rest) = (candidates[..wanted].to_vec(), candidates[wanted..].to_vec());
    let pairs: Vec<(usize, usize)> =
        (0..wanted).flat_map(|at| (0..rest.len()).map(move |from| (at, from))).collect();
    let mut excess = excess_of(items, &chosen, tolerance);
    while excess > 0.0 {
        let mut best = (excess - 1e-9, None);
        for &(at, from) in &pairs {
            std::mem::swap(&mut chosen[at], &mut rest[from]);
            let after = excess_of(items, &chosen, tolerance);
            if after <= 0.0 {
                return Some(chosen);
            }
            if after < best.0 {
                best = (after, Some((at, from)));
            }
            std::mem::swap(&mut chosen[at], &mut rest[from]);
        }
        let (at, from) = best.1?;
        std::mem::swap(&mut chosen[at], &mut rest[from]);
        excess = best.0;
    }
    Some(chosen)
}

fn excess_of(items: &[Item], chosen: &[usize], tolerance: f64) -> f64 {
    let mut excess = 0.0;
    for r in 0..3 {
        let (mut sum, mut low, mut high) = (0.0, f64::INFINITY, 0.0_f64);
        for i in chosen {
            let cost = items[*i].cost[r];
            sum += cost;
            low = low.min(cost);
            high = high.max(cost);
        }
        let mean = sum / chosen.len() as f64;
        excess += (high / mean - 1.0 - tolerance).max(0.0) + (1.0 - tolerance - low / mean).max(0.0);
    }
    excess
}

//! Simulated annealing of a window (Kirkpatrick, Gelatt, Vecchi 1983): exchanges executions with those
//! that stay behind and between ticks, and lets a tick have one more or one fewer.

use super::frame::{Filling, Frame};
use crate::chance::{Dice, below, unit};

/// Percentage points: at the start an exchange that costs this much is taken with probability 1/e.
pub(super) const HOT: f64 = 4.0;
/// At the end.
const COLD: f64 = 0.03;

/// Percentage points that are rounding.
const FITS: f64 = 1e-9;

/// What takes a step back.
#[derive(Clone, Copy)]
enum Undo {
    Exchange(usize, usize, usize),
    Swap(usize, usize, usize, usize),
    Put(usize),
    Take(usize, usize),
}

/// Improves `filling` in `steps` steps. True when it ends within the tolerance.
pub(super) fn anneal(
    frame: &Frame<'_>,
    filling: &mut Filling,
    steps: usize,
    hot: f64,
    dice: &mut Dice,
) -> bool {
    let mut free: Vec<usize> = free_items(frame, filling);
    let mut excess = frame.excess(filling);
    let mut best = (excess, worth(frame, filling), filling.clone());
    let mut current_worth = best.1;
    let mut over = frame.over(filling);
    best.1 -= over;
    let cooling = libm::pow(COLD / hot, 1.0 / steps.max(1) as f64);
    let mut temperature = hot;
    for _ in 0..steps {
        temperature *= cooling;
        let Some((undo, gained)) = step(frame, filling, &mut free, dice) else { continue };
        let after = frame.excess(filling);
        let over_after = frame.over(filling);
        let change = after + over_after - excess - over - gained;
        if change <= 0.0 || unit(dice) < libm::exp(-change / temperature) {
            (excess, over) = (after, over_after);
            current_worth += gained;
            let value = current_worth - over;
            let fits_first = excess <= FITS && best.0 > FITS;
            let as_good = excess <= FITS || best.0 > FITS;
            if fits_first || as_good && excess - value < best.0 - best.1 - FITS {
                best = (excess, value, filling.clone());
            }
        } else {
            revert(frame, filling, &mut free, undo);
        }
    }
    *filling = best.2;
    best.0 <= FITS
}

fn free_items(frame: &Frame<'_>, filling: &Filling) -> Vec<usize> {
    let mut taken = vec![false; frame.items.len()];
    filling.ticks.iter().flatten().for_each(|i| taken[*i] = true);
    (0..frame.items.len()).filter(|i| !taken[*i]).collect()
}

fn worth(frame: &Frame<'_>, filling: &Filling) -> f64 {
    filling.ticks.iter().flatten().map(|i| frame.worth[*i]).sum()
}

fn step(
    frame: &Frame<'_>,
    filling: &mut Filling,
    free: &mut Vec<usize>,
    dice: &mut Dice,
) -> Option<(Undo, f64)> {
    let tick = below(dice, filling.ticks.len());
    let count = filling.ticks[tick].len();
    match below(dice, 20) {
        0 if !free.is_empty() => {
            let item = free.swap_remove(below(dice, free.len()));
            filling.put(frame, tick, item);
            Some((Undo::Put(tick), frame.worth[item]))
        }
        1 if count > 1 => {
            let at = below(dice, count);
            let item = filling.take(frame, tick, at);
            free.push(item);
            Some((Undo::Take(tick, item), -frame.worth[item]))
        }
        2..=5 if count > 0 => {
            let other = below(dice, filling.ticks.len());
            if other == tick || filling.ticks[other].is_empty() {
                return None;
            }
            let (a, b) = (below(dice, count), below(dice, filling.ticks[other].len()));
            swap(frame, filling, tick, a, other, b);
            Some((Undo::Swap(tick, a, other, b), 0.0))
        }
        _ if count > 0 && !free.is_empty() => {
            let (at, from) = (below(dice, count), below(dice, free.len()));
            let item = free[from];
            let before = filling.ticks[tick][at];
            filling.exchange(frame, tick, at, item);
            free[from] = before;
            Some((Undo::Exchange(tick, at, from), frame.worth[item] - frame.worth[before]))
        }
        _ => None,
    }
}

fn swap(frame: &Frame<'_>, filling: &mut Filling, tick: usize, a: usize, other: usize, b: usize) {
    let (x, y) = (filling.ticks[tick][a], filling.ticks[other][b]);
    filling.exchange(frame, tick, a, y);
    filling.exchange(frame, other, b, x);
}

fn revert(frame: &Frame<'_>, filling: &mut Filling, free: &mut Vec<usize>, undo: Undo) {
    match undo {
        Undo::Exchange(tick, at, from) => {
            let item = filling.ticks[tick][at];
            filling.exchange(frame, tick, at, free[from]);
            free[from] = item;
        }
        Undo::Swap(tick, a, other, b) => swap(frame, filling, tick, a, other, b),
        Undo::Put(tick) => {
            let last = filling.ticks[tick].len() - 1;
            free.push(filling.take(frame, tick, last));
        }
        Undo::Take(tick, item) => {
            free.retain(|i| *i != item);
            filling.put(frame, tick, item);
        }
    }
}

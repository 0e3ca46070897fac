//! Many arrivals: tick by tick, the executions that come nearest to a slowly moving target.
//!
//! The next tick is composed in earnest. The ticks after it get slots too, out of what already waits: the
//! next plan replaces them, and when that comes late they run instead of nothing.

use super::{
    item::Item,
    load::Load,
    settings::Settings,
    subset::{self, Judge},
    units::{Units, sum},
};
use crate::units::tick::Tick;

/// Candidates beyond twice the executions of a tick: more do not improve the choice and take time.
const SPARE_CANDIDATES: usize = 100;
/// Mean delays after which waiting longer adds no weight; the deadline then decides.
const AGE_DELAYS_MAX: f64 = 10.0;
/// Surplus, over the stock that is aimed for, from which on the target may go further above what arrives.
const PILED_UP: f64 = 4.0;

/// What the tick after the last one shall sum to: what arrives, and a part of the stock that is too
/// much or too little, within a step of the target before and within a surge of what arrives.
pub(super) fn target(
    settings: &Settings,
    opens_window: bool,
    before: Option<Units>,
    load: &Load,
    stock: Units,
    delay_ticks: f64,
) -> Units {
    std::array::from_fn(|r| {
        let work = load.work[r];
        let surplus = stock[r] - delay_ticks * work;
        // Above what arrives it is a peak of its minute: far above only after an outage.
        let piled_up = surplus / (PILED_UP * delay_ticks * work);
        let surge = (settings.surge_max * piled_up).clamp(settings.surge_max, settings.ebb_max) * work;
        let ebb = settings.ebb_max * work;
        let wish = work + (surplus / (settings.settle_delays * delay_ticks)).clamp(-ebb, surge);
        let step = if opens_window { settings.step_at_border } else { settings.step_inside };
        let slow =
            before.map_or(wish, |before| wish.clamp(before[r] * (1.0 - step), before[r] * (1.0 + step)));
        // Slow, but never apart from what arrives: the first target is made before costs are known.
        slow.clamp(work - ebb, work + surge)
    })
}

/// How a tick is composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// It will run: searched for the best.
    Earnest,
    /// It will be composed again with what arrives: near enough will do.
    Provisional,
}

/// What runs in `tick`, as places in `waiting`, which come oldest first.
pub(super) fn choose(
    settings: &Settings,
    tick: Tick,
    waiting: &[Item],
    target: Units,
    delay_ticks: f64,
    care: Care,
) -> Vec<usize> {
    let ready = || waiting.iter().enumerate().filter(|(_, item)| item.earliest <= tick);
    let forced: Vec<usize> = ready().filter(|(_, item)| item.deadline <= tick).map(|(n, _)| n).collect();
    let free = ready().filter(|(_, item)| item.deadline > tick).map(|(n, _)| n);
    let free_max = 2 * executions(waiting, target) + SPARE_CANDIDATES;
    let places: Vec<usize> = forced.iter().copied().chain(free.take(free_max)).collect();
    let candidates: Vec<Item> = places.iter().map(|n| waiting[*n]).collect();
    let age = |item: &Item| (tick.since(item.held_from) as f64 / delay_ticks).min(AGE_DELAYS_MAX);
    // Relative to their mean: otherwise every execution more would be a gain, and the sums too large.
    let mean_age = candidates.iter().map(age).sum::<f64>() / candidates.len().max(1) as f64;
    let worth = candidates.iter().map(|item| settings.age_worth * (age(item) - mean_age)).collect();
    let good_enough = match care {
        Care::Earnest => settings.good_enough,
        Care::Provisional => f64::INFINITY,
    };
    let judge = Judge { target, worth, band: settings.band, good_enough };
    subset::nearest(&candidates, forced.len(), &judge).into_iter().map(|i| places[i]).collect()
}

/// About how many executions make up `target`.
fn executions(waiting: &[Item], target: Units) -> usize {
    let mean = sum(waiting.iter().map(|item| item.cost))[0] / waiting.len().max(1) as f64;
    (target[0] / mean.max(1e-9)) as usize
}

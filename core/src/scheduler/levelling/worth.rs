//! What it is worth to run an execution now rather than later, while whole windows are planned.
//!
//! An execution that soon has nine like it is kept for a window of one execution a tick, which nothing
//! else can fill; one that has no like is better off in company; one that has waited long should go.

use super::{
    families::families,
    item::{Item, Kinds},
    load::Load,
    settings::Settings,
};
use crate::units::{lengths::Lengths, tick::Tick};

/// Mean delays after which waiting longer adds no weight; the deadline then decides.
const AGE_DELAYS_MAX: f64 = 5.0;

/// Share of arrivals for windows of one a tick from which on keeping for them has its full weight.
const SHARE_IN_EARNEST: f64 = 0.03;
/// Weight where none are needed: alike executions also make windows of two and three easy.
const NEEDED_LEAST: f64 = 0.3;

/// How many times more waiting long weighs where no windows of one a tick are needed.
const HURRY: f64 = 4.0;

/// Worth of each item, in percentage points of deviation, relative to the mean of all.
pub(super) fn worth(
    settings: &Settings,
    lengths: Lengths,
    next: Tick,
    items: &[Item],
    load: &Load,
    kinds: &mut Kinds<'_>,
    delay_ticks: f64,
) -> Vec<f64> {
    let keep = keep(settings, lengths, items, load, kinds, delay_ticks);
    // Who is kept for windows of one a tick has to wait; where none are needed nobody has to wait long.
    let hurry = 1.0 + (HURRY - 1.0) * (1.0 - (share_of_ones(settings, load) / SHARE_IN_EARNEST).min(1.0));
    let worth = items.iter().map(|item| {
        let age = (next.since(item.held_from) as f64 / delay_ticks).min(AGE_DELAYS_MAX);
        settings.window_age_worth * hurry * age - keep[item.kind]
    });
    let worth: Vec<f64> = worth.collect();
    // Relative to the mean: otherwise every execution more would be a gain.
    let mean = worth.iter().sum::<f64>() / worth.len().max(1) as f64;
    worth.into_iter().map(|worth| worth - mean).collect()
}

/// Between one and two arrivals a tick, (2 − rate) of the windows are of one execution a tick: the share
/// of what arrives that is kept for them.
fn share_of_ones(settings: &Settings, load: &Load) -> f64 {
    (settings.kept_share * (2.0 - load.rate) / load.rate).clamp(0.0, 1.0)
}

/// By kind, what it is worth to keep an execution.
fn keep(
    settings: &Settings,
    lengths: Lengths,
    items: &[Item],
    load: &Load,
    kinds: &mut Kinds<'_>,
    delay_ticks: f64,
) -> Vec<f64> {
    let mut waiting = vec![0.0; kinds.len()];
    for item in items {
        waiting[item.kind] += 1.0;
    }
    let share = share_of_ones(settings, load);
    // Where such windows are hardly needed, less is kept for them, and the oldest wait less long.
    let needed = (share / SHARE_IN_EARNEST).clamp(NEEDED_LEAST, 1.0);
    let families = families(load, kinds, share);
    let mut keep = vec![0.0; kinds.len()];
    waiting.resize(kinds.len(), 0.0);
    for family in families {
        let waiting: f64 = family.kinds.iter().map(|kind| waiting[*kind]).sum();
        let missing_ticks =
            (lengths.window_ticks as f64 - waiting).max(0.0) / family.rate.max(f64::MIN_POSITIVE);
        let soon = libm::exp(-missing_ticks / (settings.soon_delays * delay_ticks));
        let kept = if family.kept { settings.kept_worth } else { 0.0 };
        for kind in family.kinds {
            keep[kind] = kept + needed * settings.soon_worth * soon;
        }
    }
    keep
}

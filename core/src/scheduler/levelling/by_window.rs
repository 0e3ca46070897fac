//! Few arrivals: whole windows, planned at their border and again as executions arrive.

use super::{
    anneal::anneal,
    dice::Dice,
    frame::{Filling, Frame},
    item::Item,
    like::ten_alike,
    load::Load,
    settings::Settings,
    units::{Units, sum},
};
use crate::{ids::ExecutionId, tick::Tick};

/// What is planned for a window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WindowPlan {
    pub(super) first: Tick,
    /// Executions a tick.
    pub(super) per_tick: usize,
    /// Executions of each planned tick.
    pub(super) ticks: Vec<(Tick, Vec<ExecutionId>)>,
    pub(super) level: bool,
    /// Mean of its ticks.
    pub(super) mean: Units,
}

pub(super) struct Situation<'a> {
    pub(super) tick: Tick,
    pub(super) ready: &'a [Item],
    pub(super) load: &'a Load,
    pub(super) past: Vec<Units>,
    pub(super) settings: &'a Settings,
    pub(super) delay_ticks: f64,
}

impl Situation<'_> {
    fn next(&self) -> Tick {
        self.tick.next()
    }

    fn frame<'a>(&'a self, free: &'a [Item], fixed: Vec<Units>, worth: Vec<f64>) -> Frame<'a> {
        Frame { past: self.past.clone(), fixed, items: free, worth, tolerance: self.settings.tolerance }
    }
}

pub(super) fn plan_window(s: &Situation<'_>, before: Option<&WindowPlan>) -> WindowPlan {
    let next = s.next();
    let first = Tick(next.0 - next.0 % 10);
    let position = (next.0 % 10) as usize;
    let open = 10 - position;
    let (forced, free): (Vec<Item>, Vec<Item>) = s.ready.iter().partition(|item| item.deadline <= next);
    let mut fixed = vec![[0.0; 3]; open];
    fixed[0] = sum(forced.iter().map(|i| i.cost));
    let density = density(&free);
    let Settings { misfit_worth, window_age_worth: age_worth, .. } = *s.settings;
    let worth: Vec<f64> = free
        .iter()
        .zip(&density)
        .map(|(item, density)| {
            age_worth * (next.since(item.queued_tick) as f64 / s.delay_ticks).min(5.0)
                + misfit_worth / (1.0 + density / 10.0)
        })
        .collect();
    let mean = worth.iter().sum::<f64>() / worth.len().max(1) as f64;
    let worth = worth.into_iter().map(|w| w - mean).collect();
    let frame = s.frame(&free, fixed, worth);
    let mut dice = Dice::new(next.0);
    let before = before.filter(|b| b.first == first && position > 0);
    let (per_tick, filling, level) = match before {
        Some(before) => again(s, &frame, before, &mut dice),
        None => anew(s, &frame, &mut dice),
    };
    let mut ticks: Vec<(Tick, Vec<ExecutionId>)> = filling
        .ticks
        .iter()
        .enumerate()
        .map(|(n, items)| (next.after(n as u64), items.iter().map(|i| free[*i].execution).collect()))
        .collect();
    ticks[0].1.extend(forced.iter().map(|i| i.execution));
    let mean = frame.mean(&filling);
    WindowPlan { first, per_tick, ticks, level, mean }
}

fn again(
    s: &Situation<'_>,
    frame: &Frame<'_>,
    before: &WindowPlan,
    dice: &mut Dice,
) -> (usize, Filling, bool) {
    let index: std::collections::BTreeMap<ExecutionId, usize> =
        frame.items.iter().enumerate().map(|(i, item)| (item.execution, i)).collect();
    let next = s.next();
    let ticks = (0..frame.fixed.len() as u64)
        .map(|n| {
            let planned = before.ticks.iter().find(|(tick, _)| *tick == next.after(n));
            planned
                .map_or(Vec::new(), |(_, ids)| ids.iter().filter_map(|id| index.get(id).copied()).collect())
        })
        .collect();
    let mut filling = Filling::new(frame, ticks);
    let level = if !before.level && before.per_tick == 1 {
        false
    } else {
        anneal(frame, &mut filling, s.settings.steps_again, if before.level { 0.1 } else { 1.0 }, dice)
    };
    (before.per_tick, filling, level)
}

fn anew(s: &Situation<'_>, frame: &Frame<'_>, dice: &mut Dice) -> (usize, Filling, bool) {
    let stock = frame.items.len() as f64;
    let rate = s.load.rate;
    let open = frame.fixed.len();
    let wanted = s.delay_ticks * rate;
    let after = |k: usize| (stock + 10.0 * (rate - k as f64) - wanted).abs();
    let mut options: Vec<usize> = (1..=(stock as usize / 10).clamp(1, 8)).collect();
    options.sort_by(|a, b| after(*a).total_cmp(&after(*b)));
    let nearest = options.first().copied().unwrap_or(1);
    options.retain(|k| *k == nearest || after(*k) <= s.settings.stock_slack);
    let mut fallback = None;
    for k in options {
        if k == 1 && open == 10 && s.past.is_empty() {
            if let Some(ten) = ten_alike(frame.items, &frame.worth, frame.tolerance) {
                return (1, Filling::new(frame, ten.into_iter().map(|i| vec![i]).collect()), true);
            }
            continue;
        }
        let mut filling = Filling::new(frame, start(frame, k, dice));
        let level = anneal(frame, &mut filling, s.settings.steps_anew, 4.0, dice);
        if level {
            return (k, filling, true);
        }
        if fallback.is_none() {
            fallback = Some((k, filling, false));
        }
    }
    // Nothing fits: what is hardest to place goes.
    if fallback.as_ref().is_none_or(|(k, _, _)| *k <= s.settings.junk_per_tick_max) {
        let mut order: Vec<usize> = (0..frame.items.len()).collect();
        order.sort_by(|a, b| frame.worth[*b].total_cmp(&frame.worth[*a]).then(a.cmp(b)));
        let ticks = (0..open).map(|n| order.iter().copied().skip(n).take(1).collect()).collect();
        return (1, Filling::new(frame, ticks), false);
    }
    fallback.unwrap_or((1, Filling::new(frame, vec![Vec::new(); open]), false))
}

fn start(frame: &Frame<'_>, k: usize, dice: &mut Dice) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..frame.items.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, dice.below(i + 1));
    }
    let mut order = order.into_iter();
    (0..frame.fixed.len()).map(|_| order.by_ref().take(k).collect()).collect()
}

/// How many executions are like each: of those that wait.
fn density(items: &[Item]) -> Vec<f64> {
    let alike = |a: &Units, b: &Units| (0..3).all(|r| (a[r] - b[r]).abs() <= 0.09 * a[r].max(b[r]));
    items.iter().map(|a| items.iter().filter(|b| alike(&a.cost, &b.cost)).count() as f64).collect()
}

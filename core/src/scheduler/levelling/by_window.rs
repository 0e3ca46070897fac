//! Few arrivals: whole windows of one, two, three… executions a tick, begun at their border and planned
//! again every tick, so that what arrives meanwhile can complete them.

use std::collections::BTreeMap;

use super::{
    alike::alike,
    anneal::{HOT, anneal},
    frame::{Filling, Frame},
    item::Item,
    settings::Settings,
    units::{Units, plus},
};
use crate::{
    chance::{self, Dice, below},
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick},
};

/// Sets the search apart from others that count their seeds up from 0.
const SEED: u64 = 0x5851_f42d_4c95_7f2d;

/// Temperature, in percentage points, at which the rest of a window is searched again with what arrived.
const WARM: f64 = 1.0;
/// Temperature at which ticks that are known to fit are only improved.
const COOL: f64 = 0.1;

/// What is planned for a window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WindowPlan {
    pub(super) first: Tick,
    /// Executions a tick.
    pub(super) per_tick: usize,
    /// Executions of each planned tick; the last ticks of a window wait for arrivals.
    pub(super) ticks: Vec<(Tick, Vec<ExecutionId>)>,
    /// Whether it is still in the corridor.
    pub(super) level: bool,
    /// Mean of its ticks.
    pub(super) mean: Units,
}

/// What a window is planned from.
pub(super) struct Situation<'a> {
    pub(super) settings: &'a Settings,
    pub(super) lengths: Lengths,
    /// The first tick that is planned.
    pub(super) next: Tick,
    pub(super) frame: Frame<'a>,
    /// Arrivals a tick.
    pub(super) rate: f64,
    pub(super) delay_ticks: f64,
    /// Most executions a tick.
    pub(super) most: usize,
}

/// Ticks that are filled, executions a tick, whether they are level.
struct Draft {
    per_tick: usize,
    filling: Filling,
    level: bool,
}

/// Most executions a tick that are needed: as many as arrive, and a part of what waits beyond `goal`. One more
/// would be a peak of its minute. Once the budget is `spent`, a surplus goes at once.
pub(super) fn most(
    settings: &Settings,
    lengths: Lengths,
    rate: f64,
    waiting: usize,
    goal: f64,
    spent: bool,
) -> usize {
    let (drain_ticks, slack) =
        if spent { (lengths.window_ticks as f64, 0.0) } else { (settings.drain_ticks, settings.most_slack) };
    let surplus = (waiting as f64 - goal) / drain_ticks;
    libm::ceil(rate + surplus - slack).max(1.0) as usize
}

/// The plan for the window of the next tick, from the one `before`. `forced` run in the next tick
/// whatever is planned.
pub(super) fn plan_window(s: &Situation<'_>, before: Option<&WindowPlan>, forced: &[Item]) -> WindowPlan {
    let first = s.lengths.border_before(s.next);
    // The same whenever the same tick is planned.
    let mut dice = Dice::new(s.next.0.wrapping_mul(chance::STEP) ^ SEED);
    let draft = match before.filter(|before| before.first == first) {
        Some(before) => s.go_on(before, &mut dice),
        None => s.begin(&mut dice),
    };
    let ids = |items: &Vec<usize>| items.iter().map(|i| s.frame.items[*i].execution).collect();
    let mut ticks: Vec<(Tick, Vec<ExecutionId>)> =
        draft.filling.ticks.iter().zip(s.next.0..).map(|(items, tick)| (Tick(tick), ids(items))).collect();
    if ticks.is_empty() {
        ticks.push((s.next, Vec::new()));
    }
    ticks[0].1.extend(forced.iter().map(|item| item.execution));
    let mean = s.frame.first(draft.filling.ticks.len()).mean(&draft.filling);
    WindowPlan { first, per_tick: draft.per_tick, ticks, level: draft.level, mean }
}

impl Situation<'_> {
    /// A window that has no plan yet: the count a tick that brings the stock nearest to its goal, or
    /// another near it that fits.
    fn begin(&self, dice: &mut Dice) -> Draft {
        let counts = self.counts();
        let nearest = counts.first().copied().unwrap_or(1);
        let draft = counts.into_iter().find_map(|per_tick| match per_tick {
            1 => self.begin_alike(),
            _ => self.begin_composed(per_tick, dice),
        });
        draft.unwrap_or_else(|| self.lost(nearest.min(self.rate as usize)))
    }

    /// Executions a tick that bring the stock near its goal, the nearest first.
    fn counts(&self) -> Vec<usize> {
        let window = self.lengths.window_ticks as f64;
        let surplus = self.frame.items.len() as f64 + window * self.rate - self.delay_ticks * self.rate;
        let miss = |per_tick: &usize| (surplus - window * *per_tick as f64).abs();
        let mut counts: Vec<usize> = (1..=self.most).collect();
        counts.sort_by(|a, b| miss(a).total_cmp(&miss(b)));
        let near = counts.iter().skip(1).take_while(|count| miss(count) <= self.settings.stock_slack).count();
        counts.truncate(1 + near);
        counts
    }

    fn begin_alike(&self) -> Option<Draft> {
        if self.open_ticks() < self.lengths.window_ticks as usize {
            return None;
        }
        let alike = alike(self.frame.items, &self.frame.worth, self.open_ticks(), self.frame.tolerance)?;
        let ticks = alike.into_iter().map(|item| vec![item]).collect();
        Some(Draft { per_tick: 1, filling: Filling::new(&self.frame, ticks), level: true })
    }

    fn begin_composed(&self, per_tick: usize, dice: &mut Dice) -> Option<Draft> {
        let least = self.settings.horizon_min.min(self.open_ticks());
        let horizon = self.horizon(per_tick);
        if horizon < least {
            return None;
        }
        let mut ticks = vec![Vec::new(); horizon];
        self.top_up(&mut ticks, per_tick, dice);
        let filling = self.as_many_as_fit(ticks, 0, self.settings.steps_begin, HOT, dice)?;
        (filling.ticks.len() >= least).then_some(Draft { per_tick, filling, level: true })
    }

    /// The rest of a window, with what has arrived since.
    fn go_on(&self, before: &WindowPlan, dice: &mut Dice) -> Draft {
        let per_tick = before.per_tick;
        if !before.level {
            return self.lost(per_tick);
        }
        let mut ticks = self.still_planned(before);
        let planned = ticks.len();
        if per_tick == 1 && planned == self.open_ticks() {
            return Draft { per_tick, filling: Filling::new(&self.frame, ticks), level: true };
        }
        ticks.resize(planned.max(self.horizon(per_tick)), Vec::new());
        self.top_up(&mut ticks, per_tick, dice);
        match self.as_many_as_fit(ticks, planned, self.settings.steps_go_on, WARM, dice) {
            Some(filling) => Draft { per_tick, filling, level: true },
            None => self.lost(per_tick),
        }
    }

    /// A window that cannot be level: what is worth least to keep goes, no faster than it must.
    fn lost(&self, per_tick: usize) -> Draft {
        let per_tick = per_tick.clamp(1, self.settings.lost_per_tick_max);
        let worth = &self.frame.worth;
        let mut order: Vec<usize> = (0..self.frame.items.len()).collect();
        order.sort_by(|a, b| worth[*b].total_cmp(&worth[*a]).then(a.cmp(b)));
        // Around one arrival a tick some ticks stay without execution, whatever is done. They fall into
        // windows that are out of the corridor anyway: every second tick, never the whole window.
        let short = (self.frame.items.len() as f64) < self.delay_ticks * self.rate;
        let half_pace = short && self.rate < self.settings.half_pace_rate;
        let ticks = (self.next.0..)
            .zip(&self.frame.fixed)
            .map(|(tick, fixed)| {
                let count = if half_pace && tick % 2 == 1 { 0 } else { per_tick };
                self.lost_tick(&mut order, count, *fixed)
            })
            .collect();
        Draft { per_tick, filling: Filling::new(&self.frame, ticks), level: false }
    }

    /// Takes `count` out of `order`: the first, and with it the first that stay below the limit.
    fn lost_tick(&self, order: &mut Vec<usize>, count: usize, fixed: Units) -> Vec<usize> {
        let (mut sums, mut chosen) = (fixed, Vec::new());
        for _ in 0..count {
            let after = |item: &usize| {
                let with = plus(sums, self.frame.items[*item].cost);
                (0..3).map(|r| with[r] / self.frame.limit[r]).fold(0.0, f64::max)
            };
            let place = if chosen.is_empty() {
                (!order.is_empty()).then_some(0)
            } else {
                let fits = order.iter().position(|item| after(item) <= 1.0);
                fits.or_else(|| {
                    (0..order.len()).min_by(|a, b| after(&order[*a]).total_cmp(&after(&order[*b])))
                })
            };
            let Some(place) = place else { break };
            let item = order.remove(place);
            sums = plus(sums, self.frame.items[item].cost);
            chosen.push(item);
        }
        chosen
    }

    /// Anneals as many of the ticks as fit, from all of them down to one. The first `known` fitted before.
    fn as_many_as_fit(
        &self,
        mut ticks: Vec<Vec<usize>>,
        known: usize,
        steps: usize,
        hot: f64,
        dice: &mut Dice,
    ) -> Option<Filling> {
        while !ticks.is_empty() {
            let frame = self.frame.first(ticks.len());
            let mut filling = Filling::new(&frame, ticks.clone());
            let hot = if ticks.len() <= known { COOL } else { hot };
            if anneal(&frame, &mut filling, steps, hot, dice) {
                return Some(filling);
            }
            ticks.pop();
        }
        None
    }

    /// The ticks of the plan before that are still to come, as far as their executions still wait.
    fn still_planned(&self, before: &WindowPlan) -> Vec<Vec<usize>> {
        let items = self.frame.items.iter().enumerate();
        let index: BTreeMap<ExecutionId, usize> = items.map(|(i, item)| (item.execution, i)).collect();
        let to_come = before.ticks.iter().filter(|(tick, _)| *tick >= self.next);
        let ticks =
            to_come.map(|(_, ids)| ids.iter().filter_map(|id| index.get(id).copied()).collect::<Vec<_>>());
        ticks.take_while(|items| !items.is_empty()).take(self.open_ticks()).collect()
    }

    /// Fills empty ticks with executions drawn from those that are not planned; drops what stays empty.
    fn top_up(&self, ticks: &mut Vec<Vec<usize>>, per_tick: usize, dice: &mut Dice) {
        let mut taken = vec![false; self.frame.items.len()];
        ticks.iter().flatten().for_each(|i| taken[*i] = true);
        let mut free: Vec<usize> = (0..taken.len()).filter(|i| !taken[*i]).collect();
        for i in (1..free.len()).rev() {
            free.swap(i, below(dice, i + 1));
        }
        let mut free = free.into_iter();
        for tick in ticks.iter_mut().filter(|tick| tick.is_empty()) {
            tick.extend(free.by_ref().take(per_tick));
        }
        ticks.retain(|tick| !tick.is_empty());
    }

    fn open_ticks(&self) -> usize {
        self.frame.fixed.len()
    }

    /// Ticks that the stock can fill and still leave a choice.
    fn horizon(&self, per_tick: usize) -> usize {
        let ticks = self.frame.items.len() as f64 * self.settings.planned_share / per_tick as f64;
        (ticks as usize).min(self.open_ticks())
    }
}

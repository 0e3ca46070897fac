//! For a database that can only be asked to run something later: each execution gets its slot once, when it
//! arrives, and keeps it.
//!
//! Ticks to come are filled like bins (online vector bin packing, best fit). Most are kept one execution short
//! of the goal, so that whatever arrives next can complete the one that it fits best.

use std::collections::BTreeMap;

use super::{
    item::{Item, Kinds},
    load::Load,
    units::{Units, minus, plus, sum, times},
};
use crate::{
    scheduler::problem::{Binding, Feasibility, Pending, Plan, Problem},
    server::control::SetSlot,
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick},
};

/// Mean delay that is aimed for, in ticks, is this…
const DELAY_BASE: f64 = 8.0;
/// …and this / arrivals a tick…
const DELAY_MANY: f64 = 60.0;
/// …or, while they are few, this / arrivals a tick.
const DELAY_FEW: f64 = 100.0;
/// Below this many arrivals a tick the goal is a whole number of executions.
const WHOLE_BELOW: f64 = 4.5;
/// Below this many most ticks stay without one: nothing is delayed.
const WORTH_IT: f64 = 0.7;
/// Ticks that have the same whole number: many windows, for each border between two numbers is a step.
const BLOCK_TICKS: u64 = 60;
/// Ticks ahead for which whole numbers are decided: as long as it takes to fill them up.
const BLOCK_AHEAD_TICKS: u64 = 20;
/// Most that the goal changes from a tick to the next, as a share: a few percent in a second.
const STEP: f64 = 0.003;
/// Largest distance of the goal from what arrives, as a share.
const SURGE: f64 = 0.2;
/// Mean delays over which a surplus or lack of what waits is worked off.
const SETTLE: f64 = 4.0;
/// A tick that wants fewer executions than this is complete.
const COMPLETE: f64 = 0.5;
/// Ticks ahead up to which whatever makes a tick better is taken.
const URGENT_TICKS: usize = 3;
/// Deviation with which a tick far ahead may be completed, as a share of an execution…
const FIT: f64 = 0.14;
/// …and this / ticks ahead more.
const FIT_NEAR: f64 = 4.0;
/// What each tick further ahead costs, against misfits as shares: just enough to fill the nearer one first.
const FAR: f64 = 0.001;

/// What is remembered from tick to tick. Soft.
#[derive(Clone, Debug, Default)]
pub(in crate::scheduler) struct AtArrival {
    last: Option<(Tick, Feasibility)>,
    slots: BTreeMap<ExecutionId, SetSlot>,
    goal: Option<Units>,
    /// Executions a tick, by block, while they are few.
    wholes: BTreeMap<u64, f64>,
}

impl AtArrival {
    /// Slots for what waits: those that were chosen before, and new ones for what has arrived.
    pub(in crate::scheduler) fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        if let Some((tick, feasibility)) = self.last
            && tick == problem.tick
        {
            return Plan { set: self.slots.values().cloned().collect(), feasibility };
        }
        let mut kinds = Kinds::new(problem.lengths, problem.estimates);
        let load = Load::new(problem.expected, problem.estimates);
        let (before, new): (Vec<&Pending>, Vec<&Pending>) =
            problem.pending.iter().partition(|pending| self.is_placed(problem.lengths, pending));
        let stock = sum(problem.pending.iter().map(|pending| kinds.item(pending, problem.tick).cost));
        let goal = self.next_goal(problem, &load, stock);
        let mean = if load.rate > 0.0 { times(load.work, 1.0 / load.rate) } else { [1.0; 3] };
        let mut bins = Bins {
            next: problem.tick.next(),
            goal,
            few: load.rate.floor().max(1.0),
            wholes: self.wholes.clone(),
            mean,
            sums: Vec::new(),
        };
        let mut slots = BTreeMap::new();
        for pending in before {
            let mut slot = self.slots.remove(&pending.execution).unwrap_or_else(|| SetSlot {
                execution: pending.execution,
                due_tick: pending.due_tick,
                reason: "delayed by somebody else".to_owned(),
            });
            slot.due_tick = slot.due_tick.max(pending.due_tick);
            bins.add(slot.due_tick, kinds.item(pending, problem.tick).cost);
            slots.insert(pending.execution, slot);
        }
        let mut items: Vec<Item> = new.iter().map(|pending| kinds.item(pending, problem.tick)).collect();
        let worth_it = load.rate >= WORTH_IT;
        while let Some((place, tick)) = if worth_it { bins.choose(&items) } else { at_base(&items) } {
            let item = items.swap_remove(place);
            bins.add(tick, item.cost);
            let reason = bins.reason(&item, tick);
            slots.insert(item.execution, SetSlot { execution: item.execution, due_tick: tick, reason });
        }
        let feasibility =
            if worth_it { bins.feasibility() } else { Feasibility::bound_by(Binding::Arrivals) };
        self.slots = slots;
        self.goal = Some(goal);
        self.last = Some((problem.tick, feasibility));
        Plan { set: self.slots.values().cloned().collect(), feasibility }
    }

    fn is_placed(&self, lengths: Lengths, pending: &Pending) -> bool {
        self.slots.contains_key(&pending.execution) || pending.due_tick > lengths.base_of(pending.queued_tick)
    }

    fn next_goal(&mut self, problem: &Problem<'_>, load: &Load, stock: Units) -> Units {
        let rate = load.rate.max(0.1);
        let few = load.rate < WHOLE_BELOW;
        let delay = DELAY_BASE + if few { DELAY_FEW } else { DELAY_MANY } / rate;
        // What nobody asked for comes on top.
        let unasked = (problem.lengths.default_delay_ticks - 1) as f64;
        let delay =
            problem.delay_budget.map_or(delay, |budget| (budget - unasked).min(delay)).max(1.0) + unasked;
        if few {
            self.decide_wholes(problem.tick.next(), problem.pending.len() as f64, load.rate, delay);
            return times(load.work, load.rate.floor().max(1.0) / rate);
        }
        self.wholes.clear();
        std::array::from_fn(|r| {
            let work = load.work[r];
            let surplus = stock[r] - delay * work;
            let surge = SURGE * work;
            let wish = work + (surplus / (SETTLE * (delay - unasked))).clamp(-surge, surge);
            let slow =
                self.goal.map_or(wish, |goal| wish.clamp(goal[r] * (1.0 - STEP), goal[r] * (1.0 + STEP)));
            slow.clamp(work - surge, work + surge)
        })
    }

    /// Executions a tick of the blocks to come: of two whole numbers the one that brings what waits nearer to
    /// what should wait.
    fn decide_wholes(&mut self, next: Tick, waiting: f64, rate: f64, delay: f64) {
        self.wholes.retain(|block, _| *block >= next.0 / BLOCK_TICKS);
        let mut waits = waiting;
        for block in next.0 / BLOCK_TICKS..=(next.0 + BLOCK_AHEAD_TICKS) / BLOCK_TICKS {
            let ticks = ((block + 1) * BLOCK_TICKS - next.0.max(block * BLOCK_TICKS)) as f64;
            let (fewer, more) = (rate.floor().max(1.0), rate.ceil().max(1.0));
            let miss = |whole: f64| (waits + ticks * (rate - whole) - delay * rate).abs();
            let whole =
                *self.wholes.entry(block).or_insert(if miss(more) < miss(fewer) { more } else { fewer });
            waits += ticks * (rate - whole);
        }
    }
}

/// The last of `items`, as soon as it may run.
fn at_base(items: &[Item]) -> Option<(usize, Tick)> {
    items.last().map(|item| (items.len() - 1, item.earliest))
}

/// The ticks to come, as far as anything is placed.
struct Bins {
    next: Tick,
    /// Of a tick that has no whole number of executions.
    goal: Units,
    /// Executions of a tick whose block has no whole number yet.
    few: f64,
    wholes: BTreeMap<u64, f64>,
    /// Of an execution.
    mean: Units,
    sums: Vec<Units>,
}

impl Bins {
    fn add(&mut self, tick: Tick, cost: Units) {
        let at = tick.since(self.next) as usize;
        if at >= self.sums.len() {
            self.sums.resize(at + 1, [0.0; 3]);
        }
        self.sums[at] = plus(self.sums[at], cost);
    }

    fn goal(&self, at: usize) -> Units {
        if self.wholes.is_empty() {
            return self.goal;
        }
        let block = self.next.after(at as u64).0 / BLOCK_TICKS;
        times(self.mean, self.wholes.get(&block).copied().unwrap_or(self.few))
    }

    /// The new execution that fits some tick best, and the tick.
    fn choose(&self, items: &[Item]) -> Option<(usize, Tick)> {
        let mut best: Option<(f64, usize, usize)> = None;
        for (place, item) in items.iter().enumerate() {
            let first = item.earliest.since(self.next) as usize;
            let last = (self.sums.len().max(first) + 1).min(item.deadline.since(self.next) as usize + 1);
            for at in first..last.max(first + 1) {
                let value = self.value(at, item.cost);
                if best.is_none_or(|(least, ..)| value < least) {
                    best = Some((value, place, at));
                }
            }
        }
        best.map(|(_, place, at)| (place, self.next.after(at as u64)))
    }

    /// What placing `cost` there costs: the lower the better.
    fn value(&self, at: usize, cost: Units) -> f64 {
        let before = self.sums.get(at).copied().unwrap_or_default();
        let after = plus(before, cost);
        let (deviation, left) = (self.deviation(at, after), self.executions_left(at, after));
        let better = deviation < self.deviation(at, before);
        if better && at < URGENT_TICKS && self.executions_left(at, before) >= COMPLETE {
            return deviation - (1 + URGENT_TICKS - at) as f64;
        }
        let goal = self.goal(at);
        if left < COMPLETE {
            // Completes it, or more than that.
            let fit = (FIT + FIT_NEAR / (at + 1) as f64) / self.executions_left(at, [0.0; 3]);
            return if better && deviation <= fit { deviation / fit } else { 10.0 + deviation };
        }
        // One of several: in proportion to the goal, the nearer tick first.
        let wanted = minus(goal, after);
        let shape = (0..3).map(|r| (wanted[r] - left * self.mean[r]).abs() / goal[r]).fold(0.0, f64::max);
        1.0 + shape / (0.5 + left) + FAR * at as f64
    }

    fn executions_left(&self, at: usize, sums: Units) -> f64 {
        let goal = self.goal(at);
        (0..3).map(|r| (goal[r] - sums[r]) / self.mean[r].max(1e-9)).sum::<f64>() / 3.0
    }

    fn deviation(&self, at: usize, sums: Units) -> f64 {
        let goal = self.goal(at);
        (0..3).map(|r| (sums[r] / goal[r].max(1e-9) - 1.0).abs()).fold(0.0, f64::max)
    }

    fn feasibility(&self) -> Feasibility {
        let next = self.sums.first().copied().unwrap_or_default();
        if self.deviation(0, next) <= 0.1 {
            Feasibility::FEASIBLE
        } else {
            Feasibility::bound_by(Binding::Budget)
        }
    }

    fn reason(&self, item: &Item, tick: Tick) -> String {
        let at = tick.since(self.next) as usize;
        let (sums, goal) = (self.sums[at], self.goal(at));
        format!(
            "of the ticks to come it fits tick {tick} best, {} ticks after it was queued: so far that comes to cpu {:.0}, io {:.0}, memory {:.0} of {:.0}, {:.0}, {:.0}",
            tick.since(item.queued_tick),
            sums[0],
            sums[1],
            sums[2],
            goal[0],
            goal[1],
            goal[2]
        )
    }
}

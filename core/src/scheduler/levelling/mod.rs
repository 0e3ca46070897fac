//! evenkeel's own way to level: problem in, plan out, nothing remembered but what is handed back.
//!
//! ```text
//! arrivals a tick:   under 0.7          under 4.5                  more
//!                    run at their base  whole windows of 1, 2, 3…  tick by tick, towards a
//!                                       executions a tick          slowly moving target
//! ```

mod alike;
mod anneal;
mod at_arrival;
mod by_tick;
mod by_window;
mod cap;
mod carry;
mod families;
mod fill;
mod frame;
mod item;
mod late;
mod load;
mod reason;
mod scaled;
mod settings;
mod stock;
mod subset;
mod teach;
mod under_cap;
mod units;
mod way;
mod worth;

use std::collections::BTreeMap;

pub(super) use self::at_arrival::AtArrival;
pub use self::carry::Carry;
use self::{
    by_tick::Care,
    by_window::{Situation, WindowPlan},
    carry::Slot,
    frame::Frame,
    item::{Item, Kinds},
    late::Late,
    load::Load,
    settings::Settings,
    units::{Units, plus, sum, times},
    way::{Means, Way},
};
use super::problem::{Binding, Feasibility, Plan, Problem};
use crate::units::{ids::ExecutionId, lengths::Lengths, tick::Tick};

/// Waiting executions that a window is composed from, the oldest: several times the stock that any
/// budget leads to, and few enough that a decision stays within milliseconds after an outage.
const CANDIDATES_MAX: usize = 1_000;

/// Ticks that get slots while planning tick by tick: the next one, and two for plans that come late.
const PLANNED_TICKS: usize = 3;

/// Maximum delay over mean delay that leaves a choice: whoever waits longest waits several times the mean.
const HOLDS_PER_MEAN: f64 = 2.5;

/// Slots for what waits. Planning the same problem again with the carry that came out changes nothing.
pub fn plan(problem: &Problem<'_>, carry: &Carry) -> (Plan, Carry) {
    if let Some((tick, feasibility)) = carry.last
        && tick == problem.tick
    {
        return (Plan { set: carry.set(), feasibility }, carry.clone());
    }
    let problem = &of_base(problem);
    let mut kinds = Kinds::new(problem.lengths, problem.estimates);
    let load = Load::new(problem.expected, problem.estimates);
    let settings = Settings::of(problem.lengths).grained(&load);
    let items: Vec<Item> = problem.pending.iter().map(|p| kinds.item(p, problem.tick)).collect();
    let mut planning = Planning { problem, settings, load, kinds, items };
    let late = carry.late.after(carry, problem);
    let waiting_ticks = stock::waiting_ticks(carry.waiting_ticks, planning.ready(), planning.load.rate);
    let way = planning.way(carry.way, waiting_ticks);
    let next = match way {
        Way::AtBase(binding) => planning.at_base(binding),
        Way::UnderCap(binding) => planning.under_cap(carry, late, binding),
        Way::ByWindow => planning.by_window(carry, late),
        Way::ByTick => planning.by_tick(carry, late),
    };
    let mut next = Carry { way: Some(way), late, waiting_ticks: Some(waiting_ticks), ..next };
    planning.hold_back(carry, &mut next);
    let feasibility = next.last.map_or(Feasibility::FEASIBLE, |(_, feasibility)| feasibility);
    (Plan { set: next.set(), feasibility }, next)
}

/// Delays counted so that 1 is none added, whatever the delay is that nobody asked for.
fn of_base<'a>(problem: &Problem<'a>) -> Problem<'a> {
    let unasked = (problem.lengths.default_delay_ticks - 1) as f64;
    Problem {
        delay_budget: problem.delay_budget.map(|ticks| ticks - unasked),
        recent_delay: problem.recent_delay.map(|ticks| ticks - unasked),
        ..*problem
    }
}

struct Planning<'a> {
    problem: &'a Problem<'a>,
    settings: Settings,
    load: Load,
    kinds: Kinds<'a>,
    /// Everything that waits, oldest first.
    items: Vec<Item>,
}

impl Planning<'_> {
    fn next(&self) -> Tick {
        self.problem.tick.next()
    }

    /// Executions that may run in the next tick.
    fn ready(&self) -> usize {
        self.items.iter().filter(|item| item.earliest <= self.next()).count()
    }

    fn lengths(&self) -> Lengths {
        self.problem.lengths
    }

    fn allowed_ticks(&self) -> f64 {
        let Problem { delay_budget, recent_delay, .. } = *self.problem;
        stock::allowed_ticks(&self.settings, delay_budget, recent_delay)
    }

    fn way(&self, before: Option<Way>, waiting_ticks: f64) -> Way {
        let Problem { delay_budget, recent_delay, .. } = *self.problem;
        let means = Means {
            rate: self.load.rate,
            uncertainty: self.load.uncertainty,
            allowed_ticks: self.allowed_ticks(),
            overspends: stock::overspends(&self.settings, delay_budget, recent_delay, waiting_ticks),
            hold_ticks: self.hold_ticks(),
        };
        Way::choose(&self.settings, &means, before)
    }

    /// Mean delay that maximum delays leave room for: some wait several times as long as the mean.
    fn hold_ticks(&self) -> f64 {
        let holds = self.problem.pending.iter().map(|p| p.deadline.since(p.due_tick) as f64);
        let mean_hold = holds.sum::<f64>() / self.items.len() as f64;
        if self.items.is_empty() { f64::INFINITY } else { 1.0 + mean_hold / HOLDS_PER_MEAN }
    }

    /// Mean delay that budget and maximum delays leave room for.
    fn delay_ticks(&self) -> f64 {
        self.allowed_ticks().min(self.hold_ticks())
    }

    fn carry(&self, feasibility: Feasibility, slots: BTreeMap<ExecutionId, Slot>) -> Carry {
        Carry { last: Some((self.problem.tick, feasibility)), slots, ..Carry::default() }
    }

    /// Nobody is held. What was held before leaves oldest first, half as fast as executions arrive: the end
    /// of levelling is not a peak.
    fn at_base(&self, binding: Binding) -> Carry {
        let drained = (self.load.rate / 2.0).round().max(1.0) as usize;
        let reason = reason::at_base(self.load.rate, binding);
        let mut held = 0;
        let slots = self.items.iter().map(|item| {
            let fresh = item.held_from >= self.problem.tick || item.earliest > self.next();
            held += usize::from(!fresh);
            let wait = if fresh { 0 } else { (held - 1) / drained };
            let tick = item.earliest.after(wait as u64).min(item.deadline);
            (item.execution, Slot { tick, reason: reason.clone() })
        });
        self.carry(Feasibility::bound_by(binding), slots.collect())
    }

    fn by_tick(&self, carry: &Carry, late: Late) -> Carry {
        let settings = &self.settings;
        let committed = late.usually(self.problem.tick);
        let knee = stock::knee_by_tick(settings, self.load.rate) + late.ahead_ticks(self.problem.tick);
        let delay = knee.min(self.allowed_ticks());
        let mut waiting = self.items.clone();
        let mut slots = BTreeMap::new();
        let (mut target, mut first_target) = (carry.target, None);
        let teaches = teach::is_worth_it(settings, self.lengths(), &self.load);
        let mut feasibility = Feasibility::FEASIBLE;
        for (n, tick) in (self.next().0..).map(Tick).take(PLANNED_TICKS).enumerate() {
            let ready = waiting.iter().filter(|item| item.earliest <= tick);
            let stock = sum(ready.map(|item| item.cost));
            let border = self.lengths().is_border(tick);
            let level = by_tick::target(settings, border, target, &self.load, stock, delay);
            let goal = if teaches { teach::goal(settings, self.lengths(), tick, level) } else { level };
            let chosen = if committed && n == 0 {
                // What this plan says of the next tick comes too late: what was said before stands.
                carry.planned(tick, &waiting)
            } else {
                let care = if n == usize::from(committed) { Care::Earnest } else { Care::Provisional };
                by_tick::choose(settings, tick, &waiting, goal, delay, care)
            };
            let sums = sum(chosen.iter().map(|place| waiting[*place].cost));
            let must = chosen.iter().filter(|place| waiting[**place].deadline <= tick).count();
            if n == 0 {
                feasibility = self.of_tick(sums, goal, must);
            }
            for item in chosen.iter().map(|place| &waiting[*place]) {
                let reason = if item.deadline <= tick {
                    reason::deadline()
                } else {
                    reason::composed(chosen.len() - 1, sums, goal)
                };
                slots.insert(item.execution, Slot { tick, reason });
            }
            take(&mut waiting, &chosen);
            first_target.get_or_insert(level);
            target = Some(level);
        }
        Carry { target: first_target, ..self.carry(feasibility, slots) }
    }

    /// Whether a tick that comes to `sums`, `must` of its executions because they have to, is level.
    fn of_tick(&self, sums: Units, goal: Units, must: usize) -> Feasibility {
        let level = (0..3).all(|r| (sums[r] - goal[r]).abs() <= self.settings.tolerance * goal[r]);
        if self.load.uncertainty > self.settings.uncertain {
            Feasibility::bound_by(Binding::Estimates)
        } else if level {
            Feasibility::FEASIBLE
        } else if must > 0 {
            Feasibility::bound_by(Binding::Deadlines)
        } else {
            Feasibility::bound_by(Binding::Budget)
        }
    }

    fn by_window(&mut self, carry: &Carry, late: Late) -> Carry {
        let mut past = self.past();
        let (mut next, mut waiting, mut slots) = (self.next(), self.items.clone(), BTreeMap::new());
        if late.usually(self.problem.tick) {
            // What this plan says of the next tick comes too late: it is planned as if that had run.
            let runs = take(&mut waiting, &carry.planned(next, &self.items));
            past.push(sum(runs.iter().map(|item| item.cost)));
            for item in runs {
                let stood = carry.slots.get(&item.execution).cloned();
                let reason = stood.map_or_else(reason::deadline, |slot| slot.reason);
                slots.insert(item.execution, Slot { tick: next, reason });
            }
            next = next.next();
            past.truncate(self.lengths().into_window(next) as usize);
        }
        let (window, feasibility) = self.window_from(next, past, &waiting, late, carry.window.as_ref());
        slots.extend(Self::window_slots(&window, &waiting));
        let closes = self.lengths().is_border(next.next());
        if !(closes && late.ahead_ticks(self.problem.tick) > 0.0) {
            return Carry { window: Some(window), ..self.carry(feasibility, slots) };
        }
        // The plan that begins the window to come may be late.
        waiting.retain(|item| !slots.contains_key(&item.execution));
        let (ahead, _) = self.window_from(next.next(), Vec::new(), &waiting, late, None);
        slots.extend(Self::window_slots(&ahead, &waiting));
        Carry { window: Some(ahead), ..self.carry(feasibility, slots) }
    }

    /// The plan for the window of the tick `next`, when ticks that come to `past` have run in it.
    fn window_from(
        &mut self,
        next: Tick,
        past: Vec<Units>,
        waiting: &[Item],
        late: Late,
        before: Option<&WindowPlan>,
    ) -> (WindowPlan, Feasibility) {
        let settings = self.settings;
        let knee = stock::knee_by_window(&settings, self.load.rate, self.problem.delay_budget)
            + late.ahead_ticks(self.problem.tick);
        let delay_ticks = knee.min(self.allowed_ticks());
        let ready = waiting.iter().filter(|item| item.earliest <= next);
        let (forced, mut free): (Vec<Item>, Vec<Item>) = ready.partition(|item| item.deadline <= next);
        free.truncate(CANDIDATES_MAX);
        let mut fixed = vec![[0.0; 3]; self.lengths().window_ticks as usize - past.len()];
        fixed[0] = sum(forced.iter().map(|item| item.cost));
        let worth =
            worth::worth(&settings, self.lengths(), next, &free, &self.load, &mut self.kinds, delay_ticks);
        let per_execution = 1.0 / self.load.rate.max(f64::MIN_POSITIVE);
        let Problem { delay_budget, recent_delay, .. } = *self.problem;
        let spent = stock::is_spent(&settings, delay_budget, recent_delay);
        let goal = delay_ticks * self.load.rate;
        let most = by_window::most(&settings, self.lengths(), self.load.rate, free.len(), goal, spent);
        let limit = times(self.load.work, per_execution * settings.window_limit * most as f64);
        let frame = Frame {
            past,
            fixed,
            items: &free,
            worth,
            tolerance: settings.tolerance,
            limit,
            peak_worth: if self.load.rate < settings.ones_below_rate {
                settings.peak_worth
            } else {
                settings.peak_worth_many
            },
        };
        let situation = Situation {
            settings: &settings,
            lengths: self.lengths(),
            next,
            frame,
            rate: self.load.rate,
            delay_ticks,
            most,
        };
        let window = by_window::plan_window(&situation, before, &forced);
        let feasibility = if self.load.uncertainty > settings.uncertain {
            Feasibility::bound_by(Binding::Estimates)
        } else if window.level {
            Feasibility::FEASIBLE
        } else if !forced.is_empty() {
            Feasibility::bound_by(Binding::Deadlines)
        } else if self.load.rate < settings.half_pace_rate {
            Feasibility::bound_by(Binding::Arrivals)
        } else {
            Feasibility::bound_by(Binding::Budget)
        };
        (window, feasibility)
    }

    fn window_slots(window: &WindowPlan, ready: &[Item]) -> BTreeMap<ExecutionId, Slot> {
        let by_id: BTreeMap<ExecutionId, &Item> = ready.iter().map(|i| (i.execution, i)).collect();
        let mut slots = BTreeMap::new();
        for (tick, ids) in &window.ticks {
            let items: Vec<&Item> = ids.iter().filter_map(|id| by_id.get(id).copied()).collect();
            let sums = sum(items.iter().map(|item| item.cost));
            for item in &items {
                let reason = if item.deadline <= *tick {
                    reason::deadline()
                } else if window.level {
                    reason::composed(items.len() - 1, sums, window.mean)
                } else {
                    reason::leftover(ready.len())
                };
                slots.insert(item.execution, Slot { tick: *tick, reason });
            }
        }
        slots
    }

    /// Sums of the open window's ticks that have run.
    fn past(&mut self) -> Vec<Units> {
        let next = self.next();
        let first = self.lengths().border_before(next);
        let mut past = vec![[0.0; 3]; next.since(first) as usize];
        for ran in self.problem.recent.iter().filter(|ran| ran.tick >= first) {
            let kind = self.kinds.of(ran.query);
            if let Some(sums) = past.get_mut(ran.tick.since(first) as usize) {
                *sums = plus(*sums, self.kinds.cost(kind));
            }
        }
        past
    }

    /// The queue remembers slots: what has lost its own is held to its deadline.
    fn hold_back(&self, before: &Carry, now: &mut Carry) {
        for item in &self.items {
            if before.slots.contains_key(&item.execution) {
                now.slots
                    .entry(item.execution)
                    .or_insert_with(|| Slot { tick: item.deadline, reason: reason::held_back() });
            }
        }
    }
}

/// Takes the items at `places` out of `waiting`.
fn take(waiting: &mut Vec<Item>, places: &[usize]) -> Vec<Item> {
    let mut stays = vec![true; waiting.len()];
    for place in places {
        stays[*place] = false;
    }
    let taken = places.iter().map(|place| waiting[*place]).collect();
    let mut stays = stays.into_iter();
    waiting.retain(|_| stays.next().unwrap_or(true));
    taken
}

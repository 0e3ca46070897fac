//! What a leader that ends leaves behind: slots for everything that waits, so that the load goes on level until
//! somebody plans again.
//!
//! ```text
//! the plan's own slots │ what is left, oldest first: a window, spread by cost │ the next window │ …
//! ```
//!
//! Each tick gets as many executions as arrive in one. The server adds what arrives afterwards, where a tick has room.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::Pending;
use crate::{
    estimator::Estimates,
    server::control::{SET_MAX, SetSlot},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Resource,
        tick::Tick,
    },
};

/// Units of cpu, io and memory.
type Units = [f64; 3];

/// How many windows ahead the slots of a plan are kept: it composes at most the open one and the next. What it holds
/// for longer is held for plans that do not come.
const KEPT_WINDOWS: u64 = 2;

/// Slots for as many of `pending` as a request holds: those of `plan` that are no mere hold, and then, from the tick after its last one on, `pace` a tick. `tick` is
/// the last that has begun.
pub(super) fn hand_over(
    lengths: Lengths,
    tick: Tick,
    pending: &[Pending],
    plan: Vec<SetSlot>,
    estimates: &Estimates,
    pace: f64,
) -> Vec<SetSlot> {
    let mut slots = plan;
    let deadlines: BTreeMap<_, _> = pending.iter().map(|of| (of.execution, of.deadline)).collect();
    slots.retain(|slot| {
        // A slot at the deadline holds for a plan that does not come.
        let placed = deadlines.get(&slot.execution).is_some_and(|deadline| slot.due_tick < *deadline);
        placed && slot.due_tick <= tick.after(KEPT_WINDOWS * lengths.window_ticks)
    });
    let planned: BTreeSet<ExecutionId> = slots.iter().map(|slot| slot.execution).collect();
    let mut left: Vec<_> = pending.iter().filter(|of| !planned.contains(&of.execution)).collect();
    // With equal maximum delays that is the oldest first; who may wait for less time goes earlier.
    left.sort_by_key(|of| (of.deadline, of.queued_tick, of.execution));
    left.truncate(SET_MAX.saturating_sub(slots.len()));
    let mut from = slots.iter().map(|slot| slot.due_tick).max().unwrap_or_default().max(tick).next();
    let mut credit = 0.0;
    while let Some(earliest) = left.iter().map(|of| of.due_tick).min() {
        from = from.max(earliest);
        let ready = left.iter().filter(|of| of.due_tick <= from).count();
        let length = length(lengths, from, ready, pace);
        credit += pace * length as f64;
        // At least one, so that all of them get a slot whatever the pace.
        let count = (libm::floor(credit) as usize).clamp(1, ready);
        credit = (credit - count as f64).clamp(0.0, 1.0);
        let (window, later) = first(left, count, |of| of.due_tick <= from);
        slots.extend(spread(from, length, &window, estimates, pace));
        (left, from) = (later, from.after(length));
    }
    slots
}

/// Ticks from `from` on that are filled together: to the end of its window, or as many as `ready` executions fill.
fn length(lengths: Lengths, from: Tick, ready: usize, pace: f64) -> u64 {
    let window = lengths.window_ticks - lengths.into_window(from);
    let filled = libm::ceil(ready as f64 / pace.max(f64::MIN_POSITIVE));
    window.min(filled as u64).max(1)
}

/// The first `count` of `all` that are `ready`, and the others.
fn first(
    all: Vec<&Pending>,
    count: usize,
    ready: impl Fn(&Pending) -> bool,
) -> (Vec<&Pending>, Vec<&Pending>) {
    let mut room = count;
    all.into_iter().partition(|of| {
        let is_first = room > 0 && ready(of);
        room -= usize::from(is_first);
        is_first
    })
}

/// Spreads `window` over `length` ticks from `from` on: the costliest first, each to the tick with the least load. Only
/// the last ticks may have fewer executions than `pace`.
fn spread(from: Tick, length: u64, window: &[&Pending], estimates: &Estimates, pace: f64) -> Vec<SetSlot> {
    let mut costs: Vec<_> = window.iter().map(|of| (of.execution, cost(of.query, estimates))).collect();
    let sums = costs.iter().fold([0.0; 3], |sums, (_, cost)| plus(sums, *cost));
    let relative =
        |units: Units| (0..3).map(|r| units[r] / sums[r].max(f64::MIN_POSITIVE)).fold(0.0, f64::max);
    costs.sort_by(|(a, a_cost), (b, b_cost)| relative(*b_cost).total_cmp(&relative(*a_cost)).then(a.cmp(b)));
    let upto = |ticks: u64| (libm::ceil(pace * ticks as f64) as usize).min(costs.len());
    let mut rooms: Vec<_> = (0..length).map(|n| upto(n + 1) - upto(n)).collect();
    // What the pace's fractions leave over, or the last tick of all.
    let placed: usize = rooms.iter().sum();
    rooms[length as usize - 1] += costs.len() - placed;
    let mut loads = vec![[0.0; 3]; rooms.len()];
    let reason = format!(
        "its leader ended and left this slot: oldest first, {pace:.1} executions a tick, as many as arrive"
    );
    let to_slot = |(execution, cost): (ExecutionId, Units)| {
        let after = |n: usize| relative(plus(loads[n], cost));
        let with_room = (0..rooms.len()).filter(|n| rooms[*n] > 0);
        let least = with_room.min_by(|a, b| after(*a).total_cmp(&after(*b))).unwrap_or_default();
        rooms[least] = rooms[least].saturating_sub(1);
        loads[least] = plus(loads[least], cost);
        SetSlot { execution, due_tick: from.after(least as u64), reason: reason.clone() }
    };
    costs.into_iter().map(to_slot).collect()
}

/// What one execution costs; before anything is known executions are counted.
fn cost(query: QueryId, estimates: &Estimates) -> Units {
    estimates.get(query).map_or([1.0; 3], |estimate| Resource::ALL.map(|r| estimate.cost[r]))
}

fn plus(a: Units, b: Units) -> Units {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{estimator::CostEstimate, units::resource::PerResource};

    const NOW: Tick = Tick(1_003);
    const LENGTHS: Lengths = Lengths { tick_ms: 100, window_ticks: 10, default_delay_ticks: 1 };

    fn pending(n: u64, queued_tick: u64) -> Pending {
        Pending {
            execution: ExecutionId::new(n, u128::from(n)),
            query: QueryId::simulated(1, (n % 7) as usize),
            queued_tick: Tick(queued_tick),
            due_tick: Tick(queued_tick + 1),
            deadline: Tick(queued_tick + 1_200),
        }
    }

    /// Seven queries, from 10 to 70 units.
    fn estimates() -> Estimates {
        let of = |n: usize| CostEstimate {
            cost: PerResource::all(10.0 * (n + 1) as f64),
            standard_error: PerResource::default(),
            observations: 1,
            identifiable: true,
        };
        Estimates::new((0..7).map(|n| (QueryId::simulated(1, n), of(n))).collect(), None)
    }

    /// Executions in each tick of the slots.
    fn counts(slots: &[SetSlot]) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for slot in slots {
            *counts.entry(slot.due_tick.0).or_default() += 1;
        }
        counts
    }

    #[test]
    fn everything_has_a_slot_once_and_the_load_goes_on_at_the_pace() {
        for pace in [0.4, 1.0, 3.3, 16.7] {
            let waiting: Vec<_> = (0..300).map(|n| pending(n, 900 + n / 3)).collect();
            let slots = hand_over(LENGTHS, NOW, &waiting, Vec::new(), &estimates(), pace);
            let ids: BTreeSet<_> = slots.iter().map(|slot| slot.execution).collect();
            assert_eq!((slots.len(), ids.len()), (300, 300));
            let counts = counts(&slots);
            let (first, last) = (*counts.keys().next().unwrap(), *counts.keys().next_back().unwrap());
            assert!(first >= 1_004 && first <= 1_004 + (1.0 / pace) as u64, "{first}");
            let ticks = (last - 1_003) as f64;
            assert!((300.0 / pace - ticks).abs() <= 11.0, "{pace}: {ticks} ticks");
            let most = libm::ceil(pace) as usize;
            for tick in 1_004..last.saturating_sub(1) {
                let count = counts.get(&tick).copied().unwrap_or_default();
                assert!(count + 1 >= pace as usize && count <= most + 1, "{pace}: {count} in {tick}");
            }
        }
    }

    #[test]
    fn the_oldest_go_first_window_after_window_and_costs_are_level_in_each() {
        let waiting: Vec<_> = (0..400).map(|n| pending(n, 900 + n / 4)).collect();
        let estimates = estimates();
        let slots = hand_over(LENGTHS, NOW, &waiting, Vec::new(), &estimates, 8.0);
        let tick_of: BTreeMap<_, _> = slots.iter().map(|slot| (slot.execution, slot.due_tick)).collect();
        let window = |of: &Pending| tick_of[&of.execution].0 / LENGTHS.window_ticks;
        assert!(waiting.windows(2).all(|pair| window(&pair[0]) <= window(&pair[1])));
        let mut sums = BTreeMap::<u64, f64>::new();
        for of in &waiting {
            *sums.entry(tick_of[&of.execution].0).or_default() += cost(of.query, &estimates)[0];
        }
        for window in 101..104 {
            let ticks: Vec<_> = (10 * window..10 * window + 10).map(|tick| sums[&tick]).collect();
            let mean = ticks.iter().sum::<f64>() / 10.0;
            assert!(ticks.iter().all(|sum| (sum / mean - 1.0).abs() < 0.1), "{ticks:?}");
        }
    }

    #[test]
    fn the_plan_keeps_its_slots_and_the_others_follow_it() {
        let waiting: Vec<_> = (0..40).map(|n| pending(n, 1_000)).collect();
        let plan: Vec<_> = (0..15_u64)
            .map(|n| SetSlot {
                execution: waiting[2 * n as usize].execution,
                due_tick: Tick(1_004 + n / 5),
                reason: "composed".to_owned(),
            })
            .collect();
        // Held for a plan to come, which does not.
        let held =
            SetSlot { execution: waiting[1].execution, due_tick: waiting[1].deadline, reason: String::new() };
        let all = plan.iter().chain([&held]).cloned().collect();
        let slots = hand_over(LENGTHS, NOW, &waiting, all, &estimates(), 5.0);
        assert_eq!(slots[..15], plan);
        let ids: BTreeSet<_> = slots.iter().map(|slot| slot.execution).collect();
        assert_eq!((slots.len(), ids.len()), (40, 40));
        assert_eq!(counts(&slots[15..]), (1_007..1_012).map(|tick| (tick, 5)).collect());
        assert!(slots[15].reason.contains("5.0 executions a tick"), "{}", slots[15].reason);
    }

    #[test]
    fn in_long_windows_too_what_is_held_for_a_plan_goes_on_at_the_pace() {
        let lengths = Lengths { tick_ms: 1_000, window_ticks: 60, default_delay_ticks: 1 };
        let mut waiting: Vec<_> = (0..100).map(|n| pending(n, 1_000)).collect();
        for of in &mut waiting {
            of.deadline = Tick(1_100);
        }
        let held = |of: &Pending| SetSlot {
            execution: of.execution,
            due_tick: of.deadline,
            reason: "held".to_owned(),
        };
        let plan = waiting.iter().map(held).collect();
        let counts = counts(&hand_over(lengths, NOW, &waiting, plan, &estimates(), 5.0));
        assert_eq!(counts, (1_004..1_024).map(|tick| (tick, 5)).collect());
    }

    #[test]
    fn no_more_than_a_request_holds_has_slots_the_oldest_first() {
        let waiting: Vec<_> = (0..SET_MAX as u64 + 50).map(|n| pending(n, 900 + n)).collect();
        let slots = hand_over(LENGTHS, Tick(20_000), &waiting, Vec::new(), &estimates(), 40.0);
        assert_eq!(slots.len(), SET_MAX);
        let ids: BTreeSet<_> = slots.iter().map(|slot| slot.execution).collect();
        assert!(waiting[..SET_MAX].iter().all(|of| ids.contains(&of.execution)));
    }

    #[test]
    fn what_may_not_run_yet_waits_for_its_base_and_who_may_wait_for_less_goes_first() {
        let mut waiting: Vec<_> = (0..30).map(|n| pending(n, 1_000)).collect();
        waiting[3].due_tick = Tick(90_000);
        waiting[29].deadline = Tick(1_006);
        let slots = hand_over(LENGTHS, NOW, &waiting, Vec::new(), &estimates(), 5.0);
        let of = |n: usize| slots.iter().find(|slot| slot.execution == waiting[n].execution).unwrap();
        assert_eq!(of(3).due_tick, Tick(90_000));
        assert!(of(29).due_tick < Tick(1_010), "{:?}", of(29));
        assert_eq!(slots.len(), 30);
    }

    #[test]
    fn nothing_known_of_arrivals_or_costs_still_gives_each_a_slot() {
        let waiting: Vec<_> = (0..5).map(|n| pending(n, 1_000)).collect();
        let slots = hand_over(LENGTHS, NOW, &waiting, Vec::new(), &Estimates::default(), 0.0);
        assert_eq!(slots.len(), 5);
        assert_eq!(hand_over(LENGTHS, NOW, &[], Vec::new(), &Estimates::default(), 1.0), []);
    }
}

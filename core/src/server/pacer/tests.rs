//! What must hold of a pacer, whatever comes.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000;
const STEP: u64 = 10 * MS;

fn execution(number: u64) -> ExecutionId {
    ExecutionId::new(0, u128::from(number))
}

fn held(number: u64, arrived_us: u64, latest_us: u64, cost_us: u64) -> Held {
    Held { execution: execution(number), arrived_us, latest_us, cost_us }
}

fn pace(core_us_per_s: u64, at_once: u32) -> Pace {
    Pace { core_us_per_s, at_once }
}

fn ids(released: &[Release]) -> Vec<ExecutionId> {
    released.iter().map(|release| release.execution).collect()
}

/// What may happen to a pacer.
#[derive(Clone, Debug)]
enum Op {
    Hold { max_ms: u64, cost_us: u64 },
    GiveUp(usize),
    Price(usize, u64),
    End(usize, Option<u64>),
    Progress(usize, u64),
    Waits(usize, bool),
    Used(u64),
    Plan { core_us_per_s: u64, at_once: u32, ms: u64 },
    Step(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..20_000u64, prop_oneof![1..1_000_000u64, Just(u64::MAX)])
            .prop_map(|(max_ms, cost_us)| Op::Hold { max_ms, cost_us }),
        1 => any::<usize>().prop_map(Op::GiveUp),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(which, cost)| Op::Price(which, cost)),
        3 => (any::<usize>(), proptest::option::of(0..2_000_000u64)).prop_map(|(which, cpu)| Op::End(which, cpu)),
        2 => (any::<usize>(), any::<u64>()).prop_map(|(which, cpu)| Op::Progress(which, cpu)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, waits)| Op::Waits(which, waits)),
        2 => prop_oneof![0..400_000u64, Just(u64::MAX)].prop_map(Op::Used),
        2 => (prop_oneof![0..4_000_000u64, Just(u64::MAX)], 0..4u32, 0..3_000u64)
            .prop_map(|(core_us_per_s, at_once, ms)| Op::Plan { core_us_per_s, at_once, ms }),
        8 => (1..40u64).prop_map(Op::Step),
    ]
}

proptest! {
    #[test]
    fn each_leaves_once_in_time_and_the_cap_and_the_bounds_of_credit_are_kept(
        ops in proptest::collection::vec(op(), 1..300)
    ) {
        let settings = PacerSettings::default();
        let mut pacer = Pacer::new(settings, 0);
        let (mut now, mut count) = (0, 0);
        // What a caller knows: what is held and until when, and what has left.
        let mut waiting = BTreeMap::<ExecutionId, u64>::new();
        let mut running = Vec::<ExecutionId>::new();
        let pick = |running: &Vec<ExecutionId>, which: usize| running.get(which % running.len().max(1)).copied();
        for op in ops {
            match op {
                Op::Hold { max_ms, cost_us } => {
                    count += 1;
                    let latest_us = now + max_ms * MS;
                    pacer.hold(held(count, now, latest_us, cost_us));
                    waiting.insert(execution(count), latest_us);
                }
                Op::GiveUp(which) => {
                    if let Some(gone) = waiting.keys().nth(which % waiting.len().max(1)).copied() {
                        prop_assert!(pacer.give_up(gone));
                        prop_assert!(!pacer.give_up(gone));
                        waiting.remove(&gone);
                    }
                }
                Op::Price(which, cost_us) => {
                    if let Some(priced) = waiting.keys().nth(which % waiting.len().max(1)) {
                        pacer.price(*priced, cost_us);
                    }
                }
                Op::End(which, cpu_us) => {
                    if let Some(ended) = pick(&running, which) {
                        pacer.ended(now, ended, cpu_us);
                        running.retain(|running| *running != ended);
                    }
                }
                Op::Progress(which, cpu_us) => {
                    if let Some(running) = pick(&running, which) {
                        pacer.progress(now, running, cpu_us);
                    }
                }
                Op::Waits(which, waits) => {
                    if let Some(running) = pick(&running, which) {
                        pacer.waits(now, running, waits);
                    }
                }
                Op::Used(cpu_us) => {
                    let others = pacer.used(now, now.saturating_sub(100 * MS), now, cpu_us);
                    prop_assert!((0.0..=cpu_us as f64).contains(&others));
                }
                Op::Plan { core_us_per_s, at_once, ms } => {
                    pacer.plan(now, pace(core_us_per_s, at_once), now + ms * MS);
                }
                Op::Step(ms) => now += ms * MS,
            }
            let busy = pacer.at_once();
            let released = pacer.released(now);
            let cap = pacer.pace().map_or(settings.cap, |pace| pace.at_once) as usize;
            let by_turn = released.iter().filter(|release| release.why != Why::Latest).count();
            let late = released.len() - by_turn;
            prop_assert!(by_turn == 0 || busy + late + by_turn <= cap, "{busy} + {late} + {by_turn} of {cap}");
            for Release { execution, why } in released {
                let latest_us = waiting.remove(&execution);
                prop_assert!(latest_us.is_some(), "{execution} left and was not held");
                prop_assert!((why == Why::Latest) == latest_us.is_some_and(|latest_us| latest_us <= now));
                prop_assert!((why == Why::NoPlan) <= pacer.pace().is_none());
                running.push(execution);
            }
            prop_assert!(waiting.values().all(|latest_us| *latest_us > now), "one is held beyond its maximum");
            let most = settings.credit_s * pacer.pace().map_or(0.0, |pace| pace.core_us_per_s as f64);
            prop_assert!(pacer.credit_us().abs() <= most, "{} of {most}", pacer.credit_us());
        }
        prop_assert_eq!(pacer.held().count(), waiting.len());
        let held: u128 = pacer.held().map(|held| u128::from(held.cost_us)).sum();
        prop_assert!(u128::from(pacer.waiting_us()) >= held.min(u128::from(u64::MAX)));
        prop_assert!(running.is_empty() <= (u128::from(pacer.waiting_us()) == held.min(u128::from(u64::MAX))));
    }

    #[test]
    fn nobody_is_overtaken_by_what_comes_five_seconds_later(
        costs in proptest::collection::vec((0..500u64, 1..3_000_000u64), 2..60), handicap in 0.0..20.0
    ) {
        let settings = PacerSettings { handicap, ..PacerSettings::default() };
        let mut pacer = Pacer::new(settings, 0);
        let mut arrived = 0;
        let mut arrivals = BTreeMap::new();
        for (number, (gap_ms, cost_us)) in costs.iter().enumerate() {
            arrived += gap_ms * MS;
            pacer.hold(held(number as u64, arrived, u64::MAX, *cost_us));
            arrivals.insert(execution(number as u64), arrived);
        }
        // All wait, and leave one after the other: each ends at once.
        let mut latest = 0;
        for step in 1.. {
            let now = arrived + step * STEP;
            pacer.plan(now, pace(1_000_000, 1), now + 1_000 * MS);
            for release in pacer.released(now) {
                let arrived = arrivals.remove(&release.execution).expect("it was held");
                prop_assert!(arrived + 5_000 * MS >= latest);
                if handicap == 0.0 {
                    prop_assert!(arrived >= latest);
                }
                latest = latest.max(arrived);
                pacer.ended(now, release.execution, Some(1));
            }
            if arrivals.is_empty() {
                break;
            }
            prop_assert!(step < 100_000, "{} starve", arrivals.len());
        }
    }
}

/// A database in which what has left uses a core until it has used its cost; `others` use so many processors.
fn throughput(
    pacer: &mut Pacer,
    seconds: u64,
    pace_us_per_s: u64,
    others: f64,
    cost_us: u64,
    said_us: u64,
) -> f64 {
    let (mut running, mut done, mut number) = (None, 0.0, 0);
    let mut used = 0.0;
    for now in (1..=seconds * 1_000 * MS / STEP).map(|step| step * STEP) {
        if pacer.held().count() < 5 {
            number += 1;
            pacer.hold(held(number, now, u64::MAX, said_us));
        }
        used += others * STEP as f64;
        if let Some((execution, left)) = running.take() {
            used += STEP as f64;
            done += STEP as f64;
            if left > STEP {
                running = Some((execution, left - STEP));
            } else {
                pacer.ended(now, execution, None);
            }
        }
        if now.is_multiple_of(100 * MS) {
            pacer.used(now, now - 100 * MS, now, used as u64);
            pacer.plan(now, pace(pace_us_per_s, 1), now + 1_000 * MS);
            used = 0.0;
        }
        for release in pacer.released(now) {
            assert!(running.replace((release.execution, cost_us)).is_none(), "two at once");
        }
    }
    done / (seconds as f64 * 1e6)
}

#[test]
fn what_leaves_uses_what_others_leave_of_the_pace() {
    let mut pacer = Pacer::new(PacerSettings::default(), 0);
    let used = throughput(&mut pacer, 60, 600_000, 0.2, 200 * MS, 200 * MS);
    assert!((used - 0.4).abs() < 0.02, "{used}");
}

#[test]
fn a_cost_that_is_wrong_tenfold_changes_nothing_in_the_long_run() {
    for said_us in [20 * MS, 2_000 * MS] {
        let mut pacer = Pacer::new(PacerSettings::default(), 0);
        let used = throughput(&mut pacer, 120, 600_000, 0.2, 200 * MS, said_us);
        assert!((used - 0.4).abs() < 0.03, "{used} when {said_us} was said");
    }
}

#[test]
fn without_a_plan_they_leave_oldest_first_under_the_cap() {
    let settings = PacerSettings { cap: 2, handicap: 0.0, ..PacerSettings::default() };
    let mut pacer = Pacer::new(settings, 0);
    (1..=4).for_each(|number| pacer.hold(held(number, number, u64::MAX, 1)));
    let released = pacer.released(STEP);
    assert_eq!(ids(&released), [execution(1), execution(2)]);
    assert!(released.iter().all(|release| release.why == Why::NoPlan));
    assert_eq!(pacer.released(2 * STEP), []);
    // One waits for a lock: its place is free.
    pacer.waits(2 * STEP, execution(1), true);
    assert_eq!(ids(&pacer.released(2 * STEP)), [execution(3)]);
    pacer.ended(3 * STEP, execution(2), None);
    assert_eq!(ids(&pacer.released(3 * STEP)), [execution(4)]);
}

#[test]
fn a_plan_that_is_late_ends_and_the_cap_takes_over() {
    let mut pacer = Pacer::new(PacerSettings::default(), 0);
    pacer.plan(0, pace(0, 1), 1_000 * MS);
    pacer.hold(held(1, 0, u64::MAX, 1_000));
    assert_eq!(pacer.released(999 * MS), []);
    let released = pacer.released(1_000 * MS);
    assert_eq!(released, [Release { execution: execution(1), why: Why::NoPlan }]);
}

#[test]
fn the_maximum_delay_beats_credit_and_cap() {
    let mut pacer = Pacer::new(PacerSettings::default(), 0);
    pacer.plan(0, pace(1, 1), u64::MAX);
    (1..=3).for_each(|number| pacer.hold(held(number, 0, number * STEP, 1_000_000)));
    for number in 1..=3 {
        let released = pacer.released(number * STEP);
        assert_eq!(released, [Release { execution: execution(number), why: Why::Latest }]);
    }
    assert_eq!(pacer.at_once(), 3);
}

#[test]
fn a_running_statement_is_charged_by_what_its_clock_says() {
    let credit = |clock: Option<[u64; 2]>| {
        let mut pacer = Pacer::new(PacerSettings::default(), 0);
        pacer.plan(0, pace(1_000_000, 1), u64::MAX);
        pacer.hold(held(1, 0, 0, 100 * MS));
        assert_eq!(pacer.released(0).len(), 1);
        for (number, cpu_us) in clock.into_iter().flatten().enumerate() {
            pacer.progress((number as u64 + 1) * 100 * MS, execution(1), cpu_us);
        }
        pacer.ended(200 * MS, execution(1), None);
        pacer.credit_us()
    };
    // Of 200 ms at a core the pace pays for all; the clock knows of half and of a quarter.
    assert!(credit(None).abs() < 1.0);
    assert!((credit(Some([50 * MS, 100 * MS])) - 100_000.0).abs() < 1.0);
    assert!((credit(Some([25 * MS, 50 * MS])) - 150_000.0).abs() < 1.0);
}

#[test]
fn a_flood_of_interactive_load_stops_releases_until_it_ends() {
    let mut pacer = Pacer::new(PacerSettings::default(), 0);
    let mut left = Vec::new();
    for now in (1..=600).map(|step| step * STEP) {
        if now.is_multiple_of(100 * MS) {
            let others = if now <= 3_000 * MS { 1.8 } else { 0.1 };
            pacer.used(now, now - 100 * MS, now, (others * 100_000.0) as u64);
            pacer.plan(now, pace(600_000, 1), now + 1_000 * MS);
        }
        if now == 1_000 * MS {
            (1..=3).for_each(|number| pacer.hold(held(number, now, u64::MAX, 10 * MS)));
        }
        for release in pacer.released(now) {
            left.push(now);
            pacer.ended(now, release.execution, Some(10 * MS));
        }
    }
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|at| *at > 3_000 * MS && *at < 4_500 * MS), "{left:?}");
}

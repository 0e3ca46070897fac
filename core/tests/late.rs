//! Decisions that reach the queue when the tick that they are for has begun.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod circle;

use evenkeel_core::{
    units::{resource::Usage, tick::Tick, window::Stretch},
    world::Scenario,
};

use self::circle::Circle;

const TICKS: u64 = 8_000;
const COUNTED_FROM: usize = 3_000;

struct Judged {
    in_corridor: f64,
    any_alignment: f64,
    delay_ticks: f64,
}

/// The circle in which the decisions of some ticks reach the queue a tick late.
fn run(scenario: Scenario, delay_budget: Option<f64>, late: fn(u64) -> bool) -> Judged {
    let mut circle = Circle::new(scenario, 7_001, delay_budget);
    let (mut ticks, mut delays, mut under_way) = (Vec::<Usage>::new(), Vec::new(), None);
    for tick in (0..TICKS).map(Tick) {
        let (commit, executed, usage) = circle.tick(tick);
        ticks.push(usage);
        delays.extend(executed.iter().map(|executed| executed.delay_ticks() as f64));
        // The decision of the tick before, should it be late, comes now.
        if let Some(request) = under_way.take() {
            circle.queue.control(&request).unwrap();
        }
        circle.read(&commit);
        let request = circle.plan(tick, 1, false);
        if late(tick.0) {
            under_way = Some(request);
        } else {
            circle.queue.control(&request).unwrap();
        }
    }
    let stretches =
        ticks[COUNTED_FROM..].windows(10).map(|ten| ten.iter().collect::<Stretch>().in_corridor());
    let level: Vec<bool> = stretches.collect();
    let windows: Vec<bool> = level.iter().copied().step_by(10).collect();
    let share = |of: &[bool]| of.iter().filter(|level| **level).count() as f64 / of.len() as f64;
    Judged {
        in_corridor: share(&windows),
        any_alignment: share(&level),
        delay_ticks: delays.iter().sum::<f64>() / delays.len() as f64,
    }
}

#[test]
fn a_late_decision_now_and_then_costs_hardly_any_share() {
    let in_time = run(Scenario::X10, None, |_| false);
    assert!(in_time.any_alignment >= 0.99, "{}", in_time.any_alignment);
    // One in seven, and now and then two in a row.
    let late = run(Scenario::X10, None, |tick| tick % 7 == 3 || tick % 50 == 4);
    assert!(late.any_alignment >= in_time.any_alignment - 0.03, "{}", late.any_alignment);
    assert!(late.delay_ticks <= in_time.delay_ticks + 1.5, "{}", late.delay_ticks);
}

#[test]
fn decisions_that_are_all_late_still_level() {
    let in_time = run(Scenario::X10, None, |_| false);
    let late = run(Scenario::X10, None, |_| true);
    assert!(late.any_alignment >= in_time.any_alignment - 0.05, "{}", late.any_alignment);
    assert!(late.delay_ticks <= in_time.delay_ticks + 1.5, "{}", late.delay_ticks);
}

#[test]
fn late_decisions_keep_the_budget() {
    let late = run(Scenario::X10, Some(4.0), |tick| tick % 5 == 0);
    assert!(late.any_alignment >= 0.95, "{}", late.any_alignment);
    assert!(late.delay_ticks <= 4.0, "{}", late.delay_ticks);
}

#[test]
fn whole_windows_survive_late_decisions() {
    let in_time = run(Scenario::Busy, Some(15.0), |_| false);
    for late in [|tick| tick % 9 == 0, |_| true] {
        let late = run(Scenario::Busy, Some(15.0), late);
        assert!(late.in_corridor >= in_time.in_corridor - 0.08, "{}", late.in_corridor);
        assert!(late.delay_ticks <= 15.0, "{}", late.delay_ticks);
    }
}

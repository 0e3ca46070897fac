//! What placing each execution once, when it arrives, brings: all that a server allows that knows only `/delay`.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use evenkeel_core::{
    scheduler::PolicyName,
    server::queue::HoldLimits,
    simulate::{Costs, Run, Simulation, WARM_UP_TICKS},
    units::resource::{Resource, Usage},
    world::{Scenario, World},
};

/// Ticks that are not judged: what is learned in them counts afterwards.
const WARM_UP: usize = 1_000;

fn run(scenario: Scenario, seed: u64, policy: PolicyName) -> Run {
    let simulation = Simulation {
        warm_up_ticks: WARM_UP_TICKS,
        world: World::new(scenario.parameters(), seed).unwrap(),
        policy,
        costs: Costs::Learned,
        delay_budget: None,
        limits: HoldLimits::default(),
        ticks: 6_000,
    };
    simulation.run(|_| ())
}

/// Largest distance of a tick from its window's mean, as a share of it, over all resources.
fn deviation(window: &[Usage]) -> f64 {
    let of = |r: Resource| {
        let mean = window.iter().map(|tick| tick[r]).sum::<u64>() as f64 / window.len() as f64;
        window.iter().map(|tick| (tick[r] as f64 / mean - 1.0).abs()).fold(0.0, f64::max)
    };
    Resource::ALL.map(of).into_iter().fold(0.0, f64::max)
}

/// The median over windows of 9 to 11 ticks, as a foreign server has them.
fn median_deviation(run: &Run) -> f64 {
    let mut ticks = &run.trace.usage[WARM_UP..];
    let mut deviations = Vec::new();
    for length in [9, 10, 11, 10].into_iter().cycle() {
        let Some((window, rest)) = ticks.split_at_checked(length) else { break };
        deviations.push(deviation(window));
        ticks = rest;
    }
    deviations.sort_by(f64::total_cmp);
    deviations[deviations.len() / 2]
}

#[test]
fn at_five_arrivals_a_tick_nearly_every_window_is_in_the_corridor() {
    for seed in [9_001, 9_002, 9_003] {
        let run = run(Scenario::X5, seed, PolicyName::AtArrival);
        assert!(run.report.any_alignment >= 0.97, "{:#?}", run.report);
        assert!(run.report.delay_ticks.mean <= 17.0, "{:#?}", run.report);
    }
}

#[test]
fn at_one_arrival_a_tick_windows_deviate_a_quarter_of_what_they_did() {
    for seed in [9_001, 9_002, 9_003] {
        let r = run(Scenario::Seed, seed, PolicyName::AtArrival);
        let with = median_deviation(&r);
        let without = median_deviation(&run(Scenario::Seed, seed, PolicyName::None));
        assert!(4.0 * with <= without, "{with} of {without}");
    }
}

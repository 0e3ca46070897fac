//! A database of which nothing is known: soon its windows are level, and until then nobody is worse off than without
//! evenkeel.

use evenkeel_core::{
    scheduler::PolicyName,
    server::queue::HoldLimits,
    simulate::{Costs, Run, Simulation},
    units::{lengths::Lengths, resource::Resource, tick::Tick},
    world::{Scenario, World},
};

fn run(policy: PolicyName, scenario: Scenario, seed: u64, delay_budget: f64) -> Run {
    Simulation {
        world: World::new(scenario.parameters(), seed).expect("the parameters are valid"),
        policy,
        costs: Costs::Learned,
        delay_budget: Some(delay_budget),
        limits: HoldLimits::default(),
        ticks: 600,
        warm_up_ticks: 0,
    }
    .run(|_| ())
}

/// The largest tick over the mean tick, in the resource where that is most.
fn peak(run: &Run) -> f64 {
    let ratio = |r: Resource| {
        let ticks = run.trace.usage.iter().map(|usage| usage[r]);
        let most = ticks.clone().max().unwrap_or_default();
        (most * run.trace.usage.len() as u64) as f64 / ticks.sum::<u64>().max(1) as f64
    };
    Resource::ALL.into_iter().map(ratio).fold(0.0, f64::max)
}

#[test]
fn windows_are_level_within_the_first_minute() {
    for (scenario, budget) in [(Scenario::X10, 4.0), (Scenario::X5, 6.0)] {
        for seed in 421..425 {
            let run = run(PolicyName::Evenkeel, scenario, seed, budget);
            let windows: Vec<bool> =
                (0..).map_while(|n| run.trace.is_level(Tick(n * Lengths::default().window_ticks))).collect();
            let level = |row: &[bool]| row.iter().filter(|level| **level).count() >= 8;
            assert!(windows.windows(10).any(level), "{scenario} {seed}: {windows:?}");
        }
    }
}

/// What teaches is delay that the budget allows, and no tick that nobody would have had anyway.
#[test]
fn the_first_minute_has_lower_peaks_than_without_and_no_more_delay_than_is_allowed() {
    for (scenario, budget) in [(Scenario::X10, 4.0), (Scenario::X5, 6.0), (Scenario::Seed, 60.0)] {
        for seed in 421..425 {
            let (with, without) = (
                run(PolicyName::Evenkeel, scenario, seed, budget),
                run(PolicyName::None, scenario, seed, budget),
            );
            assert!(peak(&with) < peak(&without), "{scenario} {seed}: {} {}", peak(&with), peak(&without));
            let delays = with.trace.delays.iter().map(|(_, delay)| *delay as f64);
            let mean = delays.clone().sum::<f64>() / delays.count() as f64;
            assert!(mean <= 1.05 * budget, "{scenario} {seed}: {mean}");
        }
    }
}

//! The first seconds, when nothing is known yet.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use evenkeel_core::{
    scheduler::PolicyName,
    server::queue::HoldLimits,
    simulate::{Costs, Simulation, WARM_UP_TICKS},
    world::{Scenario, World},
};

/// Tick by tick the target moves slowly, and the first one is made before costs are known: it was once
/// so low that everything was held for half a minute.
#[test]
fn reproduces_a_start_that_held_everything_back() {
    for scenario in [Scenario::X5, Scenario::X10, Scenario::X50] {
        let world = World::new(scenario.parameters(), 7).unwrap();
        let arrivals_per_tick: f64 = (0..world.query_count())
            .map(|query| world.rate(query, evenkeel_core::units::tick::Tick(0)))
            .sum();
        for ticks in [30, 100, 300] {
            let simulation = Simulation {
                warm_up_ticks: WARM_UP_TICKS,
                world: world.clone(),
                policy: PolicyName::Evenkeel,
                costs: Costs::Learned,
                delay_budget: None,
                limits: HoldLimits::default(),
                ticks,
            };
            let pending = simulation.run(|_| ()).report.pending_end as f64;
            assert!(pending < 20.0 * arrivals_per_tick, "{scenario}: {pending} wait after {ticks} ticks");
        }
    }
}

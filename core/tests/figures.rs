//! The figures that a user may rely on, on seeds that nothing was tuned on.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use evenkeel_core::{
    queue::HoldLimits,
    scheduler::{Binding, PolicyName},
    simulate::{Costs, Report, Simulation},
    world::{Scenario, World},
};

fn reports(scenario: Scenario, delay_budget: Option<f64>) -> Vec<Report> {
    let report = |seed| {
        let simulation = Simulation {
            world: World::new(scenario.parameters(), seed).unwrap(),
            policy: PolicyName::Evenkeel,
            costs: Costs::Learned,
            delay_budget,
            limits: HoldLimits::default(),
            ticks: 20_000,
        };
        simulation.run(|_| ()).report
    };
    [9_001, 9_002, 9_003].into_iter().map(report).collect()
}

fn mean(reports: &[Report], of: fn(&Report) -> f64) -> f64 {
    reports.iter().map(of).sum::<f64>() / reports.len() as f64
}

#[test]
fn busy_stays_in_the_corridor_at_twenty_ticks() {
    let reports = reports(Scenario::Busy, Some(20.0));
    assert!(mean(&reports, |report| report.in_corridor) >= 0.85, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.mean) <= 20.0, "{reports:#?}");
}

#[test]
fn x10_stays_in_the_corridor_at_any_alignment_at_six_ticks() {
    let reports = reports(Scenario::X10, None);
    assert!(mean(&reports, |report| report.any_alignment) >= 0.95, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.mean) <= 6.0, "{reports:#?}");
}

#[test]
fn quiet_is_left_alone_and_says_why() {
    for report in reports(Scenario::Quiet, None) {
        assert!(report.delay_ticks.mean <= 1.1, "{report:#?}");
        assert!(report.feasible_share < 0.01, "{report:#?}");
        assert_eq!(report.binding, Some(Binding::Arrivals));
    }
}

#[test]
fn no_delay_exceeds_its_maximum() {
    for scenario in [Scenario::Seed, Scenario::Few, Scenario::Spiky] {
        let limits = HoldLimits { default_ticks: 40, ..HoldLimits::default() };
        let world = World::new(scenario.parameters(), 9_004).unwrap();
        let (policy, costs) = (PolicyName::Evenkeel, Costs::Learned);
        let simulation = Simulation { world, policy, costs, delay_budget: Some(60.0), limits, ticks: 5_000 };
        assert!(simulation.run(|_| ()).report.delay_ticks.max <= 40, "{scenario}");
    }
}

//! The figures that a user may rely on, on seeds that nothing was tuned on.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use evenkeel_core::{
    scheduler::{Binding, PolicyName},
    server::queue::HoldLimits,
    simulate::{Costs, Report, Simulation, WARM_UP_TICKS},
    world::{Scenario, World},
};

fn reports(scenario: Scenario, delay_budget: Option<f64>) -> Vec<Report> {
    let report = |seed| {
        let simulation = Simulation {
            warm_up_ticks: WARM_UP_TICKS,
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
fn busy_stays_in_the_corridor_at_fifteen_ticks() {
    let reports = reports(Scenario::Busy, Some(15.0));
    assert!(mean(&reports, |report| report.in_corridor) >= 0.9, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.mean) <= 15.0, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.p99 as f64) <= 60.0, "{reports:#?}");
    assert!(mean(&reports, |report| report.peak_to_mean_60s) <= 1.5, "{reports:#?}");
}

#[test]
fn x5_stays_in_the_corridor_at_six_ticks() {
    let reports = reports(Scenario::X5, Some(6.0));
    assert!(mean(&reports, |report| report.any_alignment) >= 0.93, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.mean) <= 6.0, "{reports:#?}");
}

#[test]
fn x10_stays_in_the_corridor_at_any_alignment_at_six_ticks() {
    let reports = reports(Scenario::X10, None);
    assert!(mean(&reports, |report| report.any_alignment) >= 0.95, "{reports:#?}");
    assert!(mean(&reports, |report| report.delay_ticks.mean) <= 6.0, "{reports:#?}");
}

/// On these seeds `least-loaded` has 2.14 at seed and 1.80 at busy, at these delays.
#[test]
fn budgets_too_small_for_the_corridor_cut_peaks() {
    for (scenario, budget, peak) in [(Scenario::Seed, 8.0, 2.2), (Scenario::Busy, 6.0, 1.45)] {
        let reports = reports(scenario, Some(budget));
        assert!(mean(&reports, |report| report.peak_to_mean_60s) <= peak, "{reports:#?}");
        assert!(mean(&reports, |report| report.delay_ticks.mean) <= budget, "{reports:#?}");
        assert!(reports.iter().all(|report| report.only_peaks_share > 0.1), "{reports:#?}");
    }
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
fn no_budget_is_exceeded() {
    for (scenario, budget) in [
        (Scenario::Seed, 3.0),
        (Scenario::Seed, 8.0),
        (Scenario::Busy, 1.5),
        (Scenario::Busy, 4.0),
        (Scenario::Busy, 11.0),
        (Scenario::Few, 5.0),
        (Scenario::X5, 1.0),
        (Scenario::X5, 2.0),
        (Scenario::Spiky, 2.0),
        (Scenario::X10, 1.5),
    ] {
        let world = World::new(scenario.parameters(), 9_005).unwrap();
        let (policy, costs, limits) = (PolicyName::Evenkeel, Costs::Learned, HoldLimits::default());
        let delay_budget = Some(budget);
        let simulation = Simulation {
            warm_up_ticks: WARM_UP_TICKS,
            world,
            policy,
            costs,
            delay_budget,
            limits,
            ticks: 9_000,
        };
        let report = simulation.run(|_| ()).report;
        assert!(report.delay_ticks.mean <= budget, "{scenario} at {budget}: {report:#?}");
    }
}

#[test]
fn what_binds_is_said() {
    let mostly = |scenario: Scenario, delay_budget: Option<f64>, hold: u64| {
        let world = World::new(scenario.parameters(), 9_006).unwrap();
        let limits = HoldLimits { default_ticks: hold, ..HoldLimits::default() };
        let (policy, costs) = (PolicyName::Evenkeel, Costs::Learned);
        Simulation { warm_up_ticks: WARM_UP_TICKS, world, policy, costs, delay_budget, limits, ticks: 4_000 }
            .run(|_| ())
            .report
    };
    let many = mostly(Scenario::Many, Some(4.0), 1_200);
    assert_eq!((many.binding, many.feasible_share), (Some(Binding::Estimates), 0.0));
    let hurried = mostly(Scenario::Busy, None, 3);
    assert_eq!(hurried.binding, Some(Binding::Deadlines), "{hurried:#?}");
    let stingy = mostly(Scenario::Busy, Some(1.5), 1_200);
    assert_eq!(stingy.binding, Some(Binding::Budget), "{stingy:#?}");
}

#[test]
fn no_delay_exceeds_its_maximum() {
    for scenario in [Scenario::Seed, Scenario::Few, Scenario::Spiky] {
        let limits = HoldLimits { default_ticks: 40, ..HoldLimits::default() };
        let world = World::new(scenario.parameters(), 9_004).unwrap();
        let (policy, costs) = (PolicyName::Evenkeel, Costs::Learned);
        let simulation = Simulation {
            warm_up_ticks: WARM_UP_TICKS,
            world,
            policy,
            costs,
            delay_budget: Some(60.0),
            limits,
            ticks: 5_000,
        };
        assert!(simulation.run(|_| ()).report.delay_ticks.max <= 40, "{scenario}");
    }
}

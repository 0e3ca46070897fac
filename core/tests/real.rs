//! A database with executions that take time: its load, and what is reached by who times it.

use evenkeel_core::{
    simulate::real::{Learning, RealPolicy, RealRun, RealSimulation, Tuning},
    world::real::{Arrival, FIRST_ANALYTIC, Origin, RealScenario, RealWorld, SELECT, TRANSACTION},
};

const SECOND: u64 = 1_000_000;

fn world(scenario: RealScenario, seed: u64) -> RealWorld {
    RealWorld::new(scenario.parameters(), seed)
}

fn run(scenario: RealScenario, seed: u64, policy: RealPolicy, learning: Learning) -> RealRun {
    let world = world(scenario, seed);
    let tuning = Tuning::default();
    RealSimulation { world, policy, learning, tuning, warm_up_s: 30, counted_s: 60 }.run()
}

#[test]
fn the_load_is_what_its_parameters_say() {
    let world = world(RealScenario::RealPlain, 1);
    let minutes = 20;
    let arrivals = world.arrivals(minutes * 60 * SECOND);
    let seconds = (minutes * 60) as f64;
    let of = |is: &dyn Fn(usize) -> bool| {
        arrivals.iter().filter(|arrival| arrival.kind.is_some_and(is)).count() as f64 / seconds
    };
    let near = |value: f64, expected: f64, share: f64| {
        assert!((value - expected).abs() <= share * expected, "{value} is not {expected} ± {share}");
    };
    near(of(&|kind| kind == TRANSACTION), 60.0, 0.03);
    near(of(&|kind| kind == SELECT), 240.0, 0.03);
    near(of(&|kind| kind >= FIRST_ANALYTIC), 6.0, 0.15);
    // About half a core of two is busy.
    let cores = arrivals.iter().map(|arrival| arrival.cpu_us).sum::<f64>() / 1e6 / seconds;
    assert!((0.5..0.7).contains(&cores), "{cores}");
    let costs: Vec<f64> = world.kinds()[FIRST_ANALYTIC..].iter().map(|kind| kind.cpu_us).collect();
    assert!(costs.len() == 20 && costs.is_sorted(), "{costs:?}");
    assert!((700.0..1_100.0).contains(&costs[0]) && (350_000.0..500_000.0).contains(&costs[19]), "{costs:?}");
    for (number, kind) in world.kinds().iter().enumerate() {
        let of_kind = arrivals.iter().filter(|arrival| arrival.kind == Some(number));
        let costs: Vec<f64> = of_kind.map(|arrival| arrival.cpu_us).collect();
        if costs.len() > 100 {
            let mean = costs.iter().sum::<f64>() / costs.len() as f64;
            near(mean, kind.cpu_us, 5.0 * kind.spread / (costs.len() as f64).sqrt());
        }
    }
}

#[test]
fn what_arrives_depends_on_time_alone() {
    let world = world(RealScenario::Real, 3);
    let whole = world.arrivals(60 * SECOND);
    let half: Vec<Arrival> = whole.iter().copied().filter(|arrival| arrival.at_us < 30 * SECOND).collect();
    assert_eq!(world.arrivals(30 * SECOND), half);
    let has = |is: &dyn Fn(&Arrival) -> bool| whole.iter().any(is);
    assert!(has(&|arrival| arrival.kind.is_none()) && has(&|arrival| arrival.processes > 1));
    let night = self::world(RealScenario::RealNight, 3);
    let of = |arrival: &Arrival| arrival.kind.map(|kind| night.kinds()[kind].origin);
    assert!(night.arrivals(60 * SECOND).iter().all(|arrival| of(arrival) != Some(Origin::Interactive)));
}

#[test]
fn every_policy_serves_the_same_load_and_keeps_maximum_delays() {
    let runs = RealPolicy::ALL.map(|policy| run(RealScenario::Real, 5, policy, Learning::Agent));
    let used = |run: &RealRun| run.ticks.iter().sum::<f64>() / 10.0;
    for (policy, run) in RealPolicy::ALL.iter().zip(&runs) {
        assert_eq!(run.report.beyond_maximum, 0, "{policy}");
        assert!(
            (used(run) / used(&runs[0]) - 1.0).abs() < 0.15,
            "{policy}: {} of {}",
            used(run),
            used(&runs[0])
        );
        assert!(run.report.throughput > 0.9, "{policy}: {}", run.report.throughput);
    }
    // Nobody is held where nobody times; two seconds are added where two seconds are added.
    assert!(runs[0].report.delay.max_s == 0.0 && (runs[3].report.delay.mean_s - 2.0).abs() < 0.02);
}

#[test]
fn paced_levels_more_than_one_at_a_time_and_delays_less() {
    for seed in 41..=43 {
        let of = |policy| run(RealScenario::RealPlain, seed, policy, Learning::Agent).report;
        let [none, cap, paced] = [RealPolicy::None, RealPolicy::CapOne, RealPolicy::Paced].map(of);
        let deviation = paced.level.second_deviation;
        assert!(deviation < 0.6 * none.level.second_deviation, "{:?} {:?}", paced.level, none.level);
        assert!(deviation < 0.8 * cap.level.second_deviation, "{:?} {:?}", paced.level, cap.level);
        assert!(paced.level.peak_to_mean < 0.65 * none.level.peak_to_mean);
        assert!(paced.delay.mean_s < 4.0, "{:?}", paced.delay);
        assert!(paced.interactive.p99_s < 0.8 * none.interactive.p99_s);
    }
}

#[test]
fn costs_are_learned_with_clocks_and_from_windows_alone() {
    for (learning, most) in [(Learning::Clocks, 0.02), (Learning::Agent, 0.04), (Learning::Windows, 0.3)] {
        for policy in [RealPolicy::None, RealPolicy::Paced] {
            let run = run(RealScenario::Real, 44, policy, learning);
            let error = run.cost_error(&world(RealScenario::Real, 44));
            assert!(error < most, "{learning:?} {policy}: {error}");
        }
    }
}

#[test]
fn the_same_seed_runs_the_same() {
    let of = || run(RealScenario::Real, 6, RealPolicy::Paced, Learning::Agent).report;
    assert_eq!(of(), of());
}

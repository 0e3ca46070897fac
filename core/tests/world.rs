//! The simulated database against its definition: distributions, arrivals, and what they depend on.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::{f64::consts::PI, fmt::Write};

use evenkeel_core::{
    units::{resource::Resource, tick::Tick},
    world::{Parameters, Scenario, World},
};

fn world(parameters: Parameters, seed: u64) -> World {
    World::new(parameters, seed).unwrap()
}

/// Mean of trunc(X) clipped at 1 for X = μ + σ·Z skew normal, by numerical integration of its density
/// 2φ(z)Φ(λz) (Azzalini 1985): an account of its own, not the simulator's.
fn mean_cost(location: f64, scale: f64, skew: f64) -> f64 {
    let steps = 400_000;
    let width = 20.0 / f64::from(steps);
    (0..steps)
        .map(|step| {
            let z = -10.0 + (f64::from(step) + 0.5) * width;
            let density = 2.0 * (-z * z / 2.0).exp() / (2.0 * PI).sqrt()
                * 0.5
                * libm::erfc(-skew * z / std::f64::consts::SQRT_2);
            (location + scale * z).trunc().max(1.0) * density * width
        })
        .sum()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

#[test]
fn costs_have_the_means_of_their_distributions() {
    let world = world(Parameters { query_count: 60_000, ..Parameters::default() }, 7);
    let bound: Vec<f64> = (0..60_000).map(|i| world.cost(i, Tick(0))[world.profile(i)] as f64).collect();
    let other: Vec<f64> = (0..60_000)
        .flat_map(|i| {
            let others = Resource::ALL.into_iter().filter(move |r| *r != Resource::ALL[i % 3]);
            others.map(move |r| (i, r)).collect::<Vec<_>>()
        })
        .map(|(i, r)| world.cost(i, Tick(0))[r] as f64)
        .collect();
    // The standard deviation is 9.1, so the standard error of 60,000 draws is 0.037.
    assert!((mean(bound.into_iter()) - mean_cost(70.0, 15.0, -10.0)).abs() < 0.15);
    assert!((mean(other.into_iter()) - mean_cost(30.0, 15.0, 10.0)).abs() < 0.11);
}

#[test]
fn profiles_take_turns_and_costs_are_at_least_one() {
    let cheap = Parameters { query_count: 300, ..Parameters::default() };
    let cheap = Parameters {
        other_cost: evenkeel_core::world::SkewNormal { location: -50.0, ..cheap.other_cost },
        ..cheap
    };
    let world = world(cheap, 3);
    for i in 0..300 {
        assert_eq!(world.profile(i), Resource::ALL[i % 3]);
        assert!(Resource::ALL.into_iter().all(|r| world.cost(i, Tick(0))[r] >= 1));
    }
}

#[test]
fn arrivals_have_the_mean_of_their_rates_over_the_day() {
    let world = world(Scenario::Busy.parameters(), 11);
    for from in [0, 4_500, 14_500] {
        let ticks = from..from + 1_000;
        let arrived = ticks.clone().map(|t| world.arrivals(Tick(t)).len()).sum::<usize>() as f64;
        let (mut expected, mut variance) = (0.0, 0.0);
        for t in ticks {
            for i in 0..world.query_count() {
                let rate = world.rate(i, Tick(t));
                expected += rate;
                variance += rate.fract() * (1.0 - rate.fract());
            }
        }
        let deviations = (arrived - expected) / f64::sqrt(variance);
        assert!(deviations.abs() < 4.0, "ticks from {from}: {deviations} standard deviations");
    }
}

#[test]
fn the_daily_curve_is_the_one_of_its_formula() {
    let curve = Parameters::default().daily_curve;
    for (tick, level) in [(500, 1.5), (5_500, 2.0), (10_500, 1.5), (15_500, 1.0), (20_500, 1.5)] {
        assert!((curve.at(Tick(tick)) - level).abs() < 1e-12, "tick {tick}");
    }
}

#[test]
fn rates_are_exponential_with_a_mean_of_one_over_the_query_count() {
    let count = 50_000;
    let world = world(Parameters { query_count: count, ..Parameters::default() }, 5);
    let rates: Vec<f64> = (0..count).map(|i| world.rate(i, Tick(500)) / 1.5 * count as f64).collect();
    let mean_rate = mean(rates.iter().copied());
    let variance = mean(rates.iter().map(|rate| (rate - mean_rate).powi(2)));
    // Standard errors of an exponential's mean and variance: 1/√n and √8/√n.
    assert!((mean_rate - 1.0).abs() < 0.02);
    assert!((variance - 1.0).abs() < 0.06);
}

#[test]
fn arrivals_depend_on_parameters_seed_and_tick_only() {
    let one = world(Scenario::Spiky.parameters(), 42);
    let other = world(Scenario::Spiky.parameters(), 42);
    let forwards: Vec<_> = (0..700).map(|t| one.arrivals(Tick(t))).collect();
    let mut backwards: Vec<_> = (0..700).rev().map(|t| other.arrivals(Tick(t))).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(
        forwards[1..60],
        (1..60).map(|t| world(Scenario::Spiky.parameters(), 43).arrivals(Tick(t))).collect::<Vec<_>>()[..]
    );
}

#[test]
fn a_burst_comes_at_every_tick_divisible_by_300_and_differs_from_the_one_before() {
    let spiky = world(Scenario::Spiky.parameters(), 1);
    let calm = world(Scenario::X5.parameters(), 1);
    let extra = |t| {
        let with = spiky.arrivals(Tick(t));
        let without = calm.arrivals(Tick(t)).len();
        with[without..].to_vec()
    };
    assert!((1..300).all(|t| extra(t).is_empty()));
    assert_eq!((extra(0).len(), extra(300).len(), extra(600).len()), (100, 100, 100));
    assert_ne!(extra(300), extra(600));
}

#[test]
fn drift_draws_every_second_query_anew_and_leaves_the_rest() {
    let drift = world(Scenario::Drift.parameters(), 1);
    let calm = world(Scenario::X5.parameters(), 1);
    for i in 0..100 {
        assert_eq!(drift.cost(i, Tick(9_999)), calm.cost(i, Tick(0)));
        assert_eq!(drift.arrivals(Tick(i as u64 * 200)), calm.arrivals(Tick(i as u64 * 200)));
        let changed = drift.cost(i, Tick(10_000)) != calm.cost(i, Tick(0));
        assert!(i % 2 == 1 || !changed);
    }
    assert!((0..100).filter(|i| drift.cost(*i, Tick(10_000)) != calm.cost(*i, Tick(0))).count() > 45);
}

#[test]
fn parameters_that_cannot_be_are_named() {
    let cases: [(Parameters, &str); 4] = [
        (Parameters { query_count: 0, ..Parameters::default() }, "query_count"),
        (Parameters { rate: f64::NAN, ..Parameters::default() }, "rate"),
        (Parameters { rate: -1.0, ..Parameters::default() }, "rate"),
        (Parameters { tick_ms: 0, ..Parameters::default() }, "tick_ms"),
    ];
    for (parameters, name) in cases {
        assert_eq!(World::new(parameters, 1).unwrap_err().parameter, name);
    }
}

/// Seed 1, pinned: a change here changes every result that was ever published.
#[test]
fn seed_1_is_the_golden_one() {
    let mut text = String::new();
    for scenario in Scenario::ALL {
        let world = world(scenario.parameters(), 1);
        writeln!(text, "{scenario}").unwrap();
        for i in 0..3 {
            let (cost, drifted) = (world.cost(i, Tick(0)), world.cost(i, Tick(10_000)));
            writeln!(
                text,
                "  query {i} {} cost {} {} {} at 10000 {} {} {} rate {:?}",
                world.query(i),
                cost.cpu,
                cost.io,
                cost.memory,
                drifted.cpu,
                drifted.io,
                drifted.memory,
                world.rate(i, Tick(0)),
            )
            .unwrap();
        }
        for tick in [0, 1, 2, 300, 15_500] {
            let arrivals = world.arrivals(Tick(tick));
            let sum: usize = arrivals.iter().sum();
            writeln!(text, "  tick {tick} arrivals {} sum of indices {sum}", arrivals.len()).unwrap();
        }
    }
    let golden = include_str!("golden/world-seed-1.txt");
    assert!(text == golden, "seed 1 has changed; it is now\n{text}");
}

//! What policies reach on a database with executions that take time, with and without on the same arrivals.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench real -- SCENARIO FIRST_SEED LAST_SEED [LEARNING] [NAME=VALUE…]
//! ```
//! SCENARIO is `real`, `real-plain` or `real-night`; LEARNING is `known`, `clocks`, `agent` (default), `ticks` or
//! `windows`. Settings: `mean`, `drain`, `stock`, `credit`, `share`, `handicap`, `others`; `only=POLICY` runs that one and
//! `none`. A row a policy: medians over seeds of the ratios with ÷ without.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring tool: it ends when asked for nonsense"
)]

use evenkeel_core::{
    simulate::real::{Learning, RealPolicy, RealReport, RealSimulation, Tuning},
    world::real::{RealScenario, RealWorld},
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let [scenario, first, last, options @ ..] = args.as_slice() else {
        println!("SCENARIO FIRST_SEED LAST_SEED [LEARNING] [NAME=VALUE…], see core/benches/real.rs");
        return;
    };
    let scenario: RealScenario = scenario.parse().unwrap();
    let seeds: Vec<u64> = (first.parse().unwrap()..=last.parse().unwrap()).collect();
    let (mut tuning, mut learning, mut only) = (Tuning::default(), Learning::Agent, None);
    for option in options {
        match option.split_once('=') {
            Some(("only", name)) => only = Some(name.parse::<RealPolicy>().unwrap()),
            Some((name, value)) => set(&mut tuning, name, value.parse().unwrap()),
            None => learning = learned(option),
        }
    }
    let run = |policy: RealPolicy| -> Vec<RealReport> {
        let run = |seed: &u64| {
            let world = RealWorld::new(scenario.parameters(), *seed);
            RealSimulation { world, policy, learning, tuning, warm_up_s: 60, counted_s: 120 }.run().report
        };
        seeds.iter().map(run).collect()
    };
    println!(
        "{scenario} {first}..{last} {learning:?}\n{:12} {:>15} {:>5} {:>15} {:>5} {:>5} {:>6} {:>9} {:>5} {:>6} {:>6} {:>6} {:>6} {:>5} {:>5} {:>5} {:>5}",
        "policy",
        "peak/mean",
        "÷",
        "sd/s",
        "÷",
        "÷cap1",
        "sd/tick÷",
        "±25 %",
        "corr.",
        "delay",
        "p99",
        "max",
        "p99÷",
        "slow",
        "cpu÷",
        "thr",
        "left"
    );
    let none = run(RealPolicy::None);
    let cap = run(RealPolicy::CapOne);
    print(RealPolicy::None, &none, &none, &cap);
    for policy in RealPolicy::ALL.into_iter().skip(1).filter(|policy| only.is_none_or(|only| only == *policy))
    {
        print(policy, &run(policy), &none, &cap);
    }
}

fn learned(name: &str) -> Learning {
    match name {
        "known" => Learning::Known,
        "clocks" => Learning::Clocks,
        "agent" => Learning::Agent,
        "ticks" => Learning::Ticks,
        "windows" => Learning::Windows,
        _ => panic!("unknown: {name}"),
    }
}

fn set(tuning: &mut Tuning, name: &str, value: f64) {
    match name {
        "mean" => tuning.target.mean_s = value,
        "drain" => tuning.target.drain_s = value,
        "stock" => tuning.target.stock_s = value,
        "credit" => tuning.pacer.credit_s = value,
        "share" => tuning.pacer.share_of_cost = value,
        "handicap" => tuning.pacer.handicap = value,
        "others" => tuning.pacer.others_us = value * 1e3,
        _ => panic!("unknown: {name}"),
    }
}

fn print(policy: RealPolicy, with: &[RealReport], without: &[RealReport], cap: &[RealReport]) {
    let of = |of: fn(&RealReport) -> f64| median(with.iter().map(of).collect());
    let ratio = |to: &[RealReport], of: fn(&RealReport) -> f64| {
        median(with.iter().zip(to).map(|(with, to)| of(with) / of(to)).collect())
    };
    let range = |of: fn(&RealReport) -> f64| {
        let all: Vec<f64> = with.iter().map(of).collect();
        let (least, most) =
            (all.iter().copied().fold(f64::MAX, f64::min), all.iter().copied().fold(0.0, f64::max));
        format!("{:.2}[{least:.2}..{most:.2}]", median(all))
    };
    println!(
        "{:12} {:>15} {:>5.2} {:>15} {:>5.2} {:>5.2} {:>6.2} {:>9.2} {:>5.3} {:>6.2} {:>6.1} {:>6.1} {:>6.2} {:>5.2} {:>5.2} {:>5.2} {:>5.1}",
        policy.name(),
        range(|report| report.level.peak_to_mean),
        ratio(without, |report| report.level.peak_to_mean),
        range(|report| report.level.second_deviation),
        ratio(without, |report| report.level.second_deviation),
        ratio(cap, |report| report.level.second_deviation),
        ratio(without, |report| report.level.tick_deviation),
        of(|report| report.level.within_quarter),
        of(|report| report.level.in_corridor),
        of(|report| report.delay.mean_s),
        of(|report| report.delay.p99_s),
        of(|report| report.delay.max_s),
        ratio(without, |report| report.interactive.p99_s),
        of(|report| report.interactive_slowdown),
        ratio(without, |report| report.cpu_s),
        of(|report| report.throughput),
        of(|report| report.left as f64),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}

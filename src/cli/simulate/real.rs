//! `evenkeel simulate --scenario real`: executions that take time, with and without who times them.

use std::io::Write;

use evenkeel_core::{
    simulate::real::{Learning, RealPolicy, RealReport, RealRun, RealSimulation, Tuning},
    world::real::{RealScenario, RealWorld},
};
use serde::Serialize;

use super::Options;
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// Ticks of a second: these scenarios have no other pace.
const SECOND_TICKS: u64 = 10;
const MINUTE_TICKS: u64 = 60 * SECOND_TICKS;

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    seed: u64,
    policy: RealPolicy,
    costs: Learning,
    /// Of the same arrivals, when nobody times.
    without: &'a RealReport,
    #[serde(flatten)]
    report: &'a RealReport,
    /// What learned costs are off by, weighed by what each query used; none when they are known.
    cost_error: Option<f64>,
}

pub(super) fn main(options: &Options, scenario: RealScenario) -> anyhow::Result<Exit> {
    if options.delay_budget.is_some() || options.plot.is_some() {
        let refused = format!("--delay-budget and --plot are not for the scenario {scenario}");
        return Err(ExitError::usage(refused).into());
    }
    if options.ticks < options.warm_up + MINUTE_TICKS {
        let least = options.warm_up + MINUTE_TICKS;
        output::note(format!(
            "nothing is counted: minutes count after the warm-up; give --ticks {least} or more"
        ));
    }
    let policies = policies(&options.policy)?;
    let mut begun = options.json;
    for seed in options.seeds.0.clone() {
        let run = |policy| run(options, scenario, seed, policy);
        let without = run(RealPolicy::None);
        for policy in &policies {
            let other = (*policy != RealPolicy::None).then(|| run(*policy));
            let (ran, world) = other.as_ref().unwrap_or(&without);
            let line = Line {
                scenario: scenario.name(),
                seed,
                policy: *policy,
                costs: learning(options),
                without: &without.0.report,
                report: &ran.report,
                cost_error: (learning(options) != Learning::Known).then(|| ran.cost_error(world)),
            };
            let text = if options.json { Some(serde_json::to_string(&line)?) } else { None };
            let begun = std::mem::replace(&mut begun, true);
            output::data(|out| match &text {
                Some(text) => writeln!(out, "{text}"),
                None => row(out, &line, begun),
            })?;
        }
    }
    Ok(Exit::Ok)
}

fn run(options: &Options, scenario: RealScenario, seed: u64, policy: RealPolicy) -> (RealRun, RealWorld) {
    let world = RealWorld::new(scenario.parameters(), seed);
    let seconds = |ticks: u64| ticks.div_ceil(SECOND_TICKS);
    let simulation = RealSimulation {
        world,
        policy,
        learning: learning(options),
        tuning: Tuning::default(),
        warm_up_s: seconds(options.warm_up),
        counted_s: seconds(options.ticks.saturating_sub(options.warm_up)),
    };
    (simulation.run(), simulation.world)
}

fn learning(options: &Options) -> Learning {
    match (options.costs.as_str(), options.measured.as_str()) {
        ("known", _) => Learning::Known,
        (_, "clocks") => Learning::Clocks,
        (_, "ticks") => Learning::Ticks,
        (_, "windows") => Learning::Windows,
        _ => Learning::Agent,
    }
}

/// `evenkeel` is what evenkeel does there.
fn policies(text: &str) -> Result<Vec<RealPolicy>, ExitError> {
    match text {
        "all" => Ok(RealPolicy::ALL.to_vec()),
        "evenkeel" => Ok(vec![RealPolicy::None, RealPolicy::Paced]),
        _ => {
            let policy = text.parse().map_err(|error| ExitError::usage(format!("{error}, or all")))?;
            Ok(vec![policy])
        }
    }
}

/// A figure, and its ratio to that without.
fn beside(with: f64, without: f64) -> String {
    if without > 0.0 { format!("{with:.2} ÷{:.2}", with / without) } else { format!("{with:.2}") }
}

fn row(out: &mut dyn Write, line: &Line<'_>, begun: bool) -> std::io::Result<()> {
    if !begun {
        writeln!(
            out,
            "{:10} {:>5} {:11} {:>5} {:>10} {:>10} {:>10} {:>6} {:>8} {:>9} {:>7} {:>7} {:>11} {:>8} {:>10} {:>6} {:>4}",
            "scenario",
            "seed",
            "policy",
            "cores",
            "peak/mean",
            "sd/s",
            "sd/tick",
            "±25 %",
            "corridor",
            "delay (s)",
            "p99 (s)",
            "max (s)",
            "p99 (ms)",
            "slowdown",
            "cost error",
            "CPU s",
            "left",
        )?;
    }
    let (with, without) = (line.report, line.without);
    writeln!(
        out,
        "{:10} {:>5} {:11} {:>5.2} {:>10} {:>10} {:>10} {:>6.2} {:>8.3} {:>9.2} {:>7.1} {:>7.1} {:>11} {:>8.2} {:>10} {:>6.1} {:>4}",
        line.scenario,
        line.seed,
        line.policy.name(),
        with.level.mean_cores,
        beside(with.level.peak_to_mean, without.level.peak_to_mean),
        beside(with.level.second_deviation, without.level.second_deviation),
        beside(with.level.tick_deviation, without.level.tick_deviation),
        with.level.within_quarter,
        with.level.in_corridor,
        with.delay.mean_s,
        with.delay.p99_s,
        with.delay.max_s,
        beside(with.interactive.p99_s * 1e3, without.interactive.p99_s * 1e3),
        with.interactive_slowdown,
        line.cost_error.map_or_else(|| "-".to_owned(), |error| format!("{:.1} %", error * 100.0)),
        with.cpu_s,
        with.left,
    )
}

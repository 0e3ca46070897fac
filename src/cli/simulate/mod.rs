//! `evenkeel simulate`: scenarios × policies × seeds in virtual time.

mod frontier;
mod plot;
mod real;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use evenkeel_core::{
    scheduler::PolicyName,
    server::queue::HoldSettings,
    simulate::{Costs, Report, Run, Simulation, WARM_UP_TICKS},
    units::{
        lengths::Lengths,
        span::{Given, Span},
        tick::Tick,
    },
    world::{Scenario, real::RealScenario},
};
use serde::Serialize;

use super::{Seeds, delays::MaxDelayOptions, known, progress::Progress};
use crate::{
    config::{self, ScenarioChoice},
    exit::{Exit, ExitError},
    output,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A scenario's name, `all`, or a TOML file of parameters. `real`, `real-plain` and `real-night` have executions
    /// that take time; `all` is the others.
    #[arg(long, env = "EVENKEEL_SCENARIO", default_value = "seed", value_parser = known::scenarios_or_all())]
    scenario: String,
    /// Ticks to run.
    #[arg(long, default_value_t = 20_000)]
    ticks: u64,
    /// Ticks that are not counted, at the least: it goes on from the next window's first tick.
    #[arg(long, value_name = "TICKS", default_value_t = WARM_UP_TICKS)]
    warm_up: u64,
    /// Seeds A..B, both included.
    #[arg(long, default_value = "1..1")]
    seeds: Seeds,
    /// A policy's name, or `all`. With `real`: none, cap-1, cap-n, fixed-delay, paced-fifo or paced; `evenkeel` is
    /// `paced`, with `none` beside it.
    #[arg(long, default_value = "evenkeel", value_parser = known::simulated_policies())]
    policy: String,
    /// Whether costs are learned, as live, or known.
    #[arg(long, value_parser = ["learned", "known"], default_value = "learned")]
    costs: String,
    /// With `real`: what costs are learned from. The clocks of busy backends each tick, of every statement before and
    /// after, or what the whole database used each tick or each window.
    #[arg(long, value_parser = ["agent", "clocks", "ticks", "windows"], default_value = "agent")]
    measured: String,
    /// Ceiling for the mean delay: ticks, where 1 is none added, or a time such as 6s.
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET", value_name = "TIME")]
    delay_budget: Option<Given>,
    #[command(flatten)]
    max_delay: MaxDelayOptions,
    /// An object a line for each (scenario, seed, policy).
    #[arg(long)]
    json: bool,
    /// Draw the first scenario and seed into this SVG file, with and without, and all policies' frontier.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// A configuration file: its maximum delays are used.
    #[arg(long, env = "EVENKEEL_CONFIG")]
    config: Option<PathBuf>,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    scenario: &'a str,
    seed: u64,
    policy: PolicyName,
    costs: Costs,
    budget: Option<f64>,
    ticks: u64,
    /// For people: the table has seconds.
    #[serde(skip)]
    tick_ms: u64,
    #[serde(flatten)]
    report: &'a Report,
    wall_seconds: f64,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    if let Ok(scenario) = options.scenario.parse::<RealScenario>() {
        return real::main(options, scenario);
    }
    let runs = Runs::new(options)?;
    let policies = policies(&options.policy)?;
    let scenarios = scenarios(&options.scenario)?;
    if let Some(path) = &options.plot {
        plot::check(path)?;
    }
    for choice in &scenarios {
        runs.note_if_nothing_counts(choice);
    }
    let mut drawn = None;
    let mut table = Table::new(options.json);
    for choice in &scenarios {
        let budget = runs.budget(choice);
        for seed in options.seeds.0.clone() {
            for &policy in &policies {
                let started = Instant::now();
                let run = runs.run(choice, seed, policy, budget)?;
                table.print(&Line {
                    scenario: &choice.label,
                    seed,
                    policy,
                    costs: runs.costs,
                    budget,
                    ticks: runs.ticks,
                    tick_ms: choice.parameters.tick_ms,
                    report: &run.report,
                    wall_seconds: started.elapsed().as_secs_f64(),
                })?;
                if policy == PolicyName::Evenkeel && options.plot.is_some() {
                    drawn.get_or_insert(run);
                }
            }
        }
    }
    if let Some(path) = &options.plot {
        plot(path, &runs, &scenarios[0], *options.seeds.0.start(), drawn)?;
    }
    Ok(Exit::Ok)
}

/// What all runs have in common.
struct Runs {
    costs: Costs,
    delay_budget: Option<Given>,
    limits: HoldSettings,
    warm_up: u64,
    ticks: u64,
}

impl Runs {
    fn new(options: &Options) -> Result<Self, ExitError> {
        Ok(Self {
            costs: if options.costs == "known" { Costs::Known } else { Costs::Learned },
            delay_budget: config::delay_budget(options.delay_budget)?,
            limits: options.max_delay.merge(&config::File::read(options.config.as_deref())?.hold_settings()),
            warm_up: options.warm_up,
            ticks: options.ticks,
        })
    }

    /// The budget in ticks of this scenario.
    fn budget(&self, choice: &ScenarioChoice) -> Option<f64> {
        self.delay_budget.map(|given| given.budget_ticks(choice.parameters.tick_ms))
    }

    /// The first tick that counts.
    fn counted_from(&self, lengths: Lengths) -> Tick {
        Tick(self.warm_up.next_multiple_of(lengths.window_ticks))
    }

    fn note_if_nothing_counts(&self, choice: &ScenarioChoice) {
        let lengths = choice.parameters.lengths();
        let from = self.counted_from(lengths);
        let least = from.after(lengths.window_ticks);
        if self.ticks < least.0 {
            output::note(format!(
                "nothing is counted: windows count from tick {from}, and only {} ticks are run; give --ticks {least} or \
                 more",
                self.ticks
            ));
        }
    }

    fn run(
        &self,
        choice: &ScenarioChoice,
        seed: u64,
        policy: PolicyName,
        delay_budget: Option<f64>,
    ) -> Result<Run, ExitError> {
        let lengths = choice.parameters.lengths();
        let simulation = Simulation {
            world: choice.world(seed)?,
            policy,
            costs: self.costs,
            delay_budget,
            limits: self.limits.of(lengths),
            warm_up_ticks: self.counted_from(lengths).0,
            ticks: self.ticks,
        };
        let what = format!("{} seed {seed} {policy}", choice.label);
        let mut progress = Progress::new(what, self.ticks);
        let run = simulation.run(|tick| progress.show(tick.0));
        progress.clear();
        Ok(run)
    }
}

fn plot(
    path: &Path,
    runs: &Runs,
    choice: &ScenarioChoice,
    seed: u64,
    drawn: Option<Run>,
) -> anyhow::Result<()> {
    let with = match drawn {
        Some(run) => run,
        None => runs.run(choice, seed, PolicyName::Evenkeel, runs.budget(choice))?,
    };
    let without = runs.run(choice, seed, PolicyName::None, None)?;
    let frontier = frontier::run(runs, choice, seed, &with)?;
    plot::draw(path, &format!("{} seed {seed}", choice.label), &with, &without, &frontier)
        .with_context(|| format!("{} cannot be drawn", path.display()))
}

pub(super) fn policies(text: &str) -> Result<Vec<PolicyName>, ExitError> {
    if text == "all" {
        return Ok(PolicyName::ALL.to_vec());
    }
    let policy = text.parse().map_err(|error| ExitError::usage(format!("{error}, or all")))?;
    Ok(vec![policy])
}

fn scenarios(text: &str) -> Result<Vec<ScenarioChoice>, ExitError> {
    if text == "all" {
        return Scenario::ALL.iter().map(|scenario| ScenarioChoice::parse(scenario.name())).collect();
    }
    Ok(vec![ScenarioChoice::parse(text)?])
}

/// What binds, and whether peaks are cut nevertheless.
fn note(report: &Report) -> String {
    let cuts = if report.only_peaks_share > 0.0 {
        format!(", peaks are cut in {:.2}", report.only_peaks_share)
    } else {
        String::new()
    };
    report.binding.map(|binding| format!("  binding: {binding}{cuts}")).unwrap_or_default()
}

struct Table {
    json: bool,
    begun: bool,
}

impl Table {
    fn new(json: bool) -> Self {
        Self { json, begun: false }
    }

    fn print(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        if self.json {
            let line = serde_json::to_string(line)?;
            return Ok(output::data(|out| writeln!(out, "{line}"))?);
        }
        let begun = std::mem::replace(&mut self.begun, true);
        Ok(output::data(|out| Self::row(out, line, begun))?)
    }

    fn row(out: &mut dyn Write, line: &Line<'_>, begun: bool) -> std::io::Result<()> {
        if !begun {
            writeln!(
                out,
                "{:8} {:>5} {:12} {:>8} {:>7} {:>8} {:>17} {:>15} {:>16} {:>7} {:>14} {:>8} {:>7}",
                "scenario",
                "seed",
                "policy",
                "corridor",
                "any",
                "peak/60s",
                "delay (ticks)",
                "p99 (ticks)",
                "max (ticks)",
                "pending",
                "error med/p95",
                "feasible",
                "seconds",
            )?;
        }
        let report = line.report;
        let delay = |ticks: f64, digits: usize| {
            format!("{:.2} s ({ticks:.digits$})", Span { ticks, tick_ms: line.tick_ms }.seconds())
        };
        // A share of nothing is none.
        let counted = |share: f64| if report.windows == 0 { "-".to_owned() } else { format!("{share:.4}") };
        let error = report.estimate_error.map_or_else(
            || "-".to_owned(),
            |error| format!("{:.2}%/{:.1}%", error.median * 100.0, error.p95 * 100.0),
        );
        writeln!(
            out,
            "{:8} {:>5} {:12} {:>8} {:>7} {:>8.2} {:>17} {:>15} {:>16} {:>7} {:>14} {:>8.2} {:>7.1}{}",
            line.scenario,
            line.seed,
            line.policy.name(),
            counted(report.in_corridor),
            counted(report.any_alignment),
            report.peak_to_mean_60s,
            delay(report.delay_ticks.mean, 2),
            delay(report.delay_ticks.p99 as f64, 0),
            delay(report.delay_ticks.max as f64, 0),
            report.pending_end,
            error,
            report.feasible_share,
            line.wall_seconds,
            note(report),
        )
    }
}

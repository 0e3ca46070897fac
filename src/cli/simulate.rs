//! `evenkeel simulate`: scenarios × policies × seeds in virtual time.

use std::{
    io::{IsTerminal, Write, stderr, stdout},
    time::Instant,
};

use clap::Args;
use evenkeel_core::{
    scheduler::PolicyName,
    simulate::{Costs, Report, Simulation},
    world::Scenario,
};
use serde::Serialize;

use super::Seeds;
use crate::{
    config::{self, ScenarioChoice},
    exit::{Exit, ExitError},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A scenario's name, `all`, or a TOML file of parameters.
    #[arg(long, env = "EVENKEEL_SCENARIO", default_value = "seed")]
    scenario: String,
    /// Ticks to run; those before 3,000 are not counted.
    #[arg(long, default_value_t = 20_000)]
    ticks: u64,
    /// Seeds A..B, both included.
    #[arg(long, default_value = "1..1")]
    seeds: Seeds,
    /// A policy's name, or `all`.
    #[arg(long, default_value = "evenkeel")]
    policy: String,
    /// Whether costs are learned, as live, or known.
    #[arg(long, value_parser = ["learned", "known"], default_value = "learned")]
    costs: String,
    /// Ceiling for the mean delay, in ticks, where 1 is none added.
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET")]
    delay_budget: Option<f64>,
    /// An object a line for each (scenario, seed, policy).
    #[arg(long)]
    json: bool,
    /// A configuration file: its maximum delays are used.
    #[arg(long, env = "EVENKEEL_CONFIG")]
    config: Option<std::path::PathBuf>,
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
    #[serde(flatten)]
    report: &'a Report,
    wall_seconds: f64,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let file = config::File::read(options.config.as_deref())?;
    let limits = file.hold_limits()?;
    let delay_budget = config::delay_budget(options.delay_budget)?;
    let costs = if options.costs == "known" { Costs::Known } else { Costs::Learned };
    let policies = policies(&options.policy)?;
    let mut table = Table::new(options.json);
    for choice in scenarios(&options.scenario)? {
        for seed in options.seeds.0.clone() {
            for &policy in &policies {
                let simulation = Simulation {
                    world: choice.world(seed)?,
                    policy,
                    costs,
                    delay_budget,
                    limits: limits.clone(),
                    ticks: options.ticks,
                };
                let started = Instant::now();
                let mut progress = Progress::new(&choice.label, seed, policy, options.ticks);
                let report = simulation.run(|tick| progress.show(tick.0));
                progress.clear();
                table.print(&Line {
                    scenario: &choice.label,
                    seed,
                    policy,
                    costs,
                    budget: delay_budget,
                    ticks: options.ticks,
                    report: &report,
                    wall_seconds: started.elapsed().as_secs_f64(),
                })?;
            }
        }
    }
    Ok(Exit::Ok)
}

fn policies(text: &str) -> Result<Vec<PolicyName>, ExitError> {
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

struct Table {
    json: bool,
    begun: bool,
}

impl Table {
    fn new(json: bool) -> Self {
        Self { json, begun: false }
    }

    fn print(&mut self, line: &Line<'_>) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(line)?)?;
            return Ok(());
        }
        if !self.begun {
            self.begun = true;
            writeln!(
                out,
                "{:8} {:>5} {:12} {:>8} {:>7} {:>8} {:>7} {:>5} {:>6} {:>7} {:>14} {:>8} {:>7}",
                "scenario",
                "seed",
                "policy",
                "corridor",
                "any",
                "peak/60s",
                "delay",
                "p99",
                "max",
                "pending",
                "error med/p95",
                "feasible",
                "seconds",
            )?;
        }
        let report = line.report;
        let error = report.estimate_error.map_or_else(
            || "-".to_owned(),
            |error| format!("{:.2}%/{:.1}%", error.median * 100.0, error.p95 * 100.0),
        );
        writeln!(
            out,
            "{:8} {:>5} {:12} {:>8.4} {:>7.4} {:>8.2} {:>7.2} {:>5} {:>6} {:>7} {:>14} {:>8.2} {:>7.1}{}",
            line.scenario,
            line.seed,
            line.policy.name(),
            report.in_corridor,
            report.any_alignment,
            report.peak_to_mean_60s,
            report.delay_ticks.mean,
            report.delay_ticks.p99,
            report.delay_ticks.max,
            report.pending_end,
            error,
            report.feasible_share,
            line.wall_seconds,
            report.binding.map(|binding| format!("  binding: {binding}")).unwrap_or_default(),
        )?;
        Ok(())
    }
}

/// A line on stderr that is written over, when a person looks at it.
struct Progress {
    label: String,
    ticks: u64,
    shown: Option<Instant>,
    visible: bool,
}

impl Progress {
    fn new(scenario: &str, seed: u64, policy: PolicyName, ticks: u64) -> Self {
        let visible = stderr().is_terminal();
        Self { label: format!("{scenario} seed {seed} {policy}"), ticks, shown: None, visible }
    }

    fn show(&mut self, tick: u64) {
        if self.visible && self.shown.is_none_or(|shown| shown.elapsed().as_millis() >= 200) {
            eprint!("\r{}: tick {tick} of {}\x1b[K", self.label, self.ticks);
            self.shown = Some(Instant::now());
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

//! How level the load is, and at what delay: the scenarios side by side, each with its budget.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench levelling -- [FIRST..LAST] [ROW…] [-v]
//! ROW = SCENARIO[@BUDGET][:known][:POLICY][/TICKS]    `x5@6`, `many@4:known`, `seed@8:least-loaded`, `seed/40000`
//! ```
//! `learning` instead of rows: how soon windows are level when nothing is known at first.
//! `thinking` instead of rows: how long a decision takes while 10,000 and 100,000 wait, and one that rehearses.
//! Seeds 1..10 and the rows with a target when none are given; `-v` also prints every seed. `spiky` counts
//! windows that hold no burst tick, `drift` windows from 90 s after the change beside the same seed without it, `few`
//! minutes apart in which enough arrives.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring tool: it has a clock, and ends when asked for nonsense"
)]

#[path = "levelling/learning.rs"]
mod learning;
#[path = "levelling/thinking.rs"]
mod thinking;

use std::{ops::RangeInclusive, time::Instant};

use evenkeel_core::{
    scheduler::{Binding, PolicyName},
    server::queue::HoldLimits,
    simulate::{Costs, Run, Simulation, WARM_UP_TICKS},
    units::{lengths::Lengths, tick::Tick},
    world::{Parameters, Scenario, World},
};

const ROWS: [&str; 13] = [
    "seed@60",
    "seed@120",
    "busy@15",
    "x5@6",
    "x10@4",
    "x50@1.6",
    "spiky@10",
    "drift@6",
    "few@30",
    "quiet@1.1",
    "many@4:known",
    "many@4",
    "fast@4",
];
/// Ticks after a change of costs from which on it should be learned.
const RELEARNED_TICKS: u64 = 900;
/// Arrivals a tick from which on every tick can have one.
const ENOUGH: f64 = 1.05;
/// Ticks of a minute at the default pace.
const MINUTE_TICKS: u64 = 600;

fn main() {
    let (mut seeds, mut rows, mut verbose) = (1..=10, Vec::new(), false);
    for arg in std::env::args().skip(1).filter(|arg| arg != "--bench") {
        if arg == "-v" {
            verbose = true;
        } else if let Some((first, last)) = arg.split_once("..") {
            seeds = first.parse().unwrap()..=last.parse().unwrap();
        } else {
            rows.push(arg);
        }
    }
    if rows.first().is_some_and(|row| row == "learning") {
        return learning::print(seeds, verbose, &rows[1..]);
    }
    if rows.iter().any(|row| row == "thinking") {
        return thinking::print();
    }
    if rows.is_empty() {
        rows = ROWS.map(str::to_owned).to_vec();
    }
    println!("| row | share | any alignment | mean delay | p99 | most | peak/60 s | feasible | s a seed |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        Row::parse(&row).print(&row, seeds.clone(), verbose);
    }
}

struct Row {
    scenario: Scenario,
    delay_budget: Option<f64>,
    costs: Costs,
    policy: PolicyName,
    ticks: u64,
}

struct Figures {
    share: f64,
    any: f64,
    mean: f64,
    p99: f64,
    most: f64,
    peak: f64,
    feasible: f64,
    seconds: f64,
    note: String,
}

impl Row {
    fn parse(text: &str) -> Self {
        let (text, ticks) = text.split_once('/').unwrap_or((text, "20000"));
        let mut parts = text.split(':');
        let text = parts.next().unwrap();
        let (mut costs, mut policy) = (Costs::Learned, PolicyName::Evenkeel);
        for part in parts {
            match part {
                "known" => costs = Costs::Known,
                name => policy = name.parse().unwrap(),
            }
        }
        let (scenario, budget) = text.split_once('@').unzip();
        Self {
            scenario: scenario.unwrap_or(text).parse().unwrap(),
            delay_budget: budget.map(|budget| budget.parse().unwrap()),
            costs,
            policy,
            ticks: ticks.parse().unwrap(),
        }
    }

    fn print(&self, name: &str, seeds: RangeInclusive<u64>, verbose: bool) {
        let of: Vec<(u64, Figures)> = seeds.map(|seed| (seed, self.figures(seed))).collect();
        if verbose {
            for (seed, f) in &of {
                eprintln!(
                    "{name:12} {seed:5} share {:.4} any {:.4} delay {:.2} p99 {} most {} peak {:.2} feasible {:.2} {:.1} s {}",
                    f.share, f.any, f.mean, f.p99, f.most, f.peak, f.feasible, f.seconds, f.note
                );
            }
        }
        let mean =
            |of_one: fn(&Figures) -> f64| of.iter().map(|(_, f)| of_one(f)).sum::<f64>() / of.len() as f64;
        let sorted = |of_one: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = of.iter().map(|(_, f)| of_one(f)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (shares, any, delays) = (sorted(|f| f.share), sorted(|f| f.any), sorted(|f| f.mean));
        let (p99, most, peaks) = (sorted(|f| f.p99), sorted(|f| f.most), sorted(|f| f.peak));
        let last = of.len() - 1;
        println!(
            "| `{name}` | {:.4} [{:.3}..{:.3}], median {:.3} | {:.4} [{:.3}..{:.3}] | {:.2} [{:.2}..{:.2}] | {:.0} [{:.0}..{:.0}] | {:.0} | {:.3} [{:.2}..{:.2}] | {:.2} | {:.1} |",
            mean(|f| f.share),
            shares[0],
            shares[last],
            f64::midpoint(shares[last / 2], shares[of.len() / 2]),
            mean(|f| f.any),
            any[0],
            any[last],
            mean(|f| f.mean),
            delays[0],
            delays[last],
            mean(|f| f.p99),
            p99[0],
            p99[last],
            most[last],
            mean(|f| f.peak),
            peaks[0],
            peaks[last],
            mean(|f| f.feasible),
            mean(|f| f.seconds),
        );
    }

    fn figures(&self, seed: u64) -> Figures {
        let parameters = self.scenario.parameters();
        let (run, seconds) = self.run(&parameters, seed);
        let mut share = run.report.in_corridor;
        let mut note = run.report.binding.map(|binding| format!("binding {binding}")).unwrap_or_default();
        if let Some(bursts) = parameters.bursts {
            let holds_burst = |first: Tick| {
                (first.0..first.0 + Lengths::default().window_ticks).any(|t| t % bursts.every_ticks == 0)
            };
            share = self.share(&run, WARM_UP_TICKS, |first| !holds_burst(first));
        }
        if let Some(drift) = parameters.drift {
            let from = drift.at_tick + RELEARNED_TICKS;
            share = self.share(&run, from, |_| true);
            let (without, _) = self.run(&Parameters { drift: None, ..parameters.clone() }, seed);
            let without = self.share(&without, from, |_| true);
            note = format!("without the change {without:.4}, {:+.4}", share - without);
        }
        if self.scenario == Scenario::Few {
            note = self.by_minute(&run);
        }
        let report = run.report;
        Figures {
            share,
            any: report.any_alignment,
            mean: report.delay_ticks.mean,
            p99: report.delay_ticks.p99 as f64,
            most: report.delay_ticks.max as f64,
            peak: report.peak_to_mean_60s,
            feasible: report.feasible_share,
            seconds,
            note,
        }
    }

    fn run(&self, parameters: &Parameters, seed: u64) -> (Run, f64) {
        let begun = Instant::now();
        let run = Simulation {
            warm_up_ticks: WARM_UP_TICKS,
            world: World::new(parameters.clone(), seed).unwrap(),
            policy: self.policy,
            costs: self.costs,
            delay_budget: self.delay_budget,
            limits: HoldLimits::default(),
            ticks: self.ticks,
        }
        .run(|_| ());
        (run, begun.elapsed().as_secs_f64())
    }

    /// Windows of minutes in which enough arrives, and what the plan says of the others that are not level.
    fn by_minute(&self, run: &Run) -> String {
        let mut arrivals = vec![0.0; self.ticks.div_ceil(MINUTE_TICKS) as usize];
        for (queued, _) in &run.trace.delays {
            arrivals[(queued.0 / MINUTE_TICKS) as usize] += 1.0;
        }
        let enough =
            |first: Tick| arrivals[(first.0 / MINUTE_TICKS) as usize] >= ENOUGH * MINUTE_TICKS as f64;
        let firsts =
            || (WARM_UP_TICKS..self.ticks).step_by(Lengths::default().window_ticks as usize).map(Tick);
        let named = |first: Tick| {
            let said =
                &run.trace.said[first.0 as usize..(first.0 + Lengths::default().window_ticks) as usize];
            said.iter().any(|said| said.binding == Some(Binding::Arrivals))
        };
        let lost: Vec<Tick> =
            firsts().filter(|first| !enough(*first) && run.trace.is_level(*first) == Some(false)).collect();
        format!(
            "enough arrives in {} windows, level {:.3}; elsewhere {} are not level, `arrivals` is said in {:.3}",
            firsts().filter(|first| enough(*first)).count(),
            self.share(run, WARM_UP_TICKS, enough),
            lost.len(),
            lost.iter().filter(|first| named(**first)).count() as f64 / lost.len().max(1) as f64,
        )
    }

    /// Share in the corridor of the windows from tick `from` on that `counts` says yes to.
    fn share(&self, run: &Run, from: u64, counts: impl Fn(Tick) -> bool) -> f64 {
        let firsts = (from..self.ticks)
            .step_by(Lengths::default().window_ticks as usize)
            .map(Tick)
            .filter(|first| counts(*first));
        let level: Vec<bool> = firsts.map_while(|first| run.trace.is_level(first)).collect();
        level.iter().filter(|level| **level).count() as f64 / level.len().max(1) as f64
    }
}

//! How level the load is, and at what delay: the scenarios side by side, each with its budget.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench levelling -- [FIRST..LAST] [ROW…] [-v]
//! ROW = SCENARIO[@BUDGET][:known][:POLICY][/TICKS]    `x5@6`, `many@4:known`, `seed@8:least-loaded`, `seed/40000`
//! ```
//! `learning` instead of rows: how soon windows are level when nothing is known at first.
//! `thinking` instead of rows: how long a decision takes while 10,000 and 100,000 wait.
//! Seeds 1..10 and the rows with a target when none are given; `-v` also prints every seed. `spiky` counts
//! windows that hold no burst tick, `drift` windows from 90 s after the change beside the same seed without it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring tool: it has a clock, and ends when asked for nonsense"
)]

#[path = "levelling/learning.rs"]
mod learning;

use std::{ops::RangeInclusive, time::Instant};

use evenkeel_core::{
    estimator::{CostEstimate, Estimates},
    scheduler::{Carry, Expected, Pending, PolicyName, Problem, plan},
    server::queue::HoldLimits,
    simulate::{Costs, Run, Simulation, WARM_UP_TICKS},
    units::{ids::ExecutionId, lengths::Lengths, resource::PerResource, tick::Tick},
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
        return [10_000, 100_000].into_iter().for_each(thinking);
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

/// Prints how long decisions take when `waiting` executions of a hundred queries wait, as after an outage.
fn thinking(waiting: usize) {
    let world = World::new(Scenario::X10.parameters(), 1).unwrap();
    let queries: Vec<_> = (0..world.query_count()).map(|index| (world.query(index), index)).collect();
    let estimate = |index| CostEstimate {
        cost: world.cost(index, Tick(0)).map(|cost| cost as f64),
        standard_error: PerResource::default(),
        observations: 9,
        identifiable: true,
    };
    let estimates =
        Estimates::new(queries.iter().map(|(query, index)| (*query, estimate(*index))).collect(), None);
    for rate in [2.0, 10.0, 50.0] {
        let mean = rate / queries.len() as f64;
        let tick = Tick(1_000);
        let mut expected: Vec<Expected> = queries
            .iter()
            .map(|(query, _)| Expected { tick, query: *query, mean, spread: libm::sqrt(mean) })
            .collect();
        expected.sort_by_key(|expected| expected.query);
        let pending: Vec<Pending> = (0..waiting)
            .map(|n| Pending {
                execution: ExecutionId::new(1, n as u128),
                query: queries[n % queries.len()].0,
                queued_tick: Tick(900),
                due_tick: Tick(901),
                deadline: Tick(2_100),
            })
            .collect();
        let (mut carry, mut took) = (Carry::default(), Vec::new());
        for tick in (1_000..1_040).map(Tick) {
            let problem = Problem {
                tick,
                pending: &pending,
                estimates: &estimates,
                expected: &expected,
                recent: &[],
                recent_delay: None,
                delay_budget: None,
            };
            let begun = Instant::now();
            (_, carry) = plan(&problem, &carry);
            took.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let most = took.iter().copied().fold(0.0, f64::max);
        let mean = took.iter().sum::<f64>() / took.len() as f64;
        println!("{waiting} waiting, {rate} arrivals a tick: {mean:.1} ms in the mean, {most:.1} at most");
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

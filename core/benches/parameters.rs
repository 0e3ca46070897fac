//! Any parameters: databases drawn at random, each run until costs are learned and on; what they reach and what binds.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench parameters -- [SEED] [FIRST..LAST] [judged]
//! ```
//! `judged` leaves out those of which nothing is asked. The table of docs/measured/parameters.md is that of seed 1 and sets
//! 1..100. A run ends 100 windows after the median cost error has come below 1 %, or after 200,000 executions or 20,000
//! ticks.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring tool: it has a clock, and ends when asked for nonsense"
)]

#[path = "../tests/grid/mod.rs"]
mod grid;

use std::time::Instant;

use evenkeel_core::world::Parameters;
use grid::{Outcome, Set};

/// Windows that are counted.
const COUNTED: u64 = 100;
/// Executions of a run at most, and ticks.
const EXECUTIONS_MAX: f64 = 200_000.0;
const TICKS_MAX: f64 = 20_000.0;

fn main() {
    let (mut seed, mut sets, mut only_judged) = (1, 1..=100, false);
    for arg in std::env::args().skip(1).filter(|arg| arg != "--bench") {
        match arg.split_once("..") {
            Some((first, last)) => sets = first.parse().unwrap()..=last.parse().unwrap(),
            None if arg == "judged" => only_judged = true,
            None => seed = arg.parse().unwrap(),
        }
    }
    println!(
        "| set | window | default delay | ticks/s | queries | rate | shape | judged | learned, tick | windows | share | added ticks | feasible | binds | proved | s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let (mut judged, mut reached, mut unproved) = (0, 0, 0);
    for set in grid::grid(seed, *sets.end()) {
        if !sets.contains(&set.number) || only_judged && !set.is_judged() {
            continue;
        }
        let begun = Instant::now();
        let outcome = set.run(ticks(&set), COUNTED);
        row(&set, &outcome, begun.elapsed().as_secs_f64());
        let counts = set.is_judged() && outcome.learned.is_some();
        judged += u64::from(counts);
        reached += u64::from(counts && outcome.share() >= 0.9);
        unproved += u64::from(outcome.audit.findings.count() > 0);
    }
    println!(
        "\njudged and learned {judged}, of these at 0.9 or more {reached}; journals that do not hold {unproved}"
    );
}

fn ticks(set: &Set) -> u64 {
    let Parameters { rate, daily_curve, window_ticks, .. } = &set.parameters;
    let ticks = (EXECUTIONS_MAX / (rate * daily_curve.level)).min(TICKS_MAX) as u64;
    ticks / window_ticks * window_ticks + 1
}

fn row(set: &Set, outcome: &Outcome, seconds: f64) {
    let Parameters { window_ticks, default_delay_ticks, tick_ms, query_count, rate, rate_exponent, .. } =
        set.parameters;
    let learned = outcome.learned.map_or("no".to_owned(), |tick| tick.to_string());
    let share = if outcome.windows == 0 { "-".to_owned() } else { format!("{:.3}", outcome.share()) };
    let binding = outcome.binding.map_or("-".to_owned(), |binding| binding.to_string());
    let proved = if outcome.audit.findings.count() == 0 { "yes" } else { "NO" };
    println!(
        "| {} | {window_ticks} | {default_delay_ticks} | {} | {query_count} | {rate:.1} | {rate_exponent:.1} | {} | {learned} | {} | {share} | {:.1} | {:.2} | {binding} | {proved} | {seconds:.0} |",
        set.number,
        1_000 / tick_ms,
        if set.is_judged() { "yes" } else { "" },
        outcome.windows,
        outcome.added_ticks,
        outcome.feasible,
    );
}

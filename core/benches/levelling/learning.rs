//! How soon windows are level when nothing is known at first, beside the same arrivals without levelling.

use std::ops::RangeInclusive;

use evenkeel_core::{
    scheduler::PolicyName,
    server::queue::HoldLimits,
    simulate::{Costs, Run, Simulation, WARM_UP_TICKS},
    units::{lengths::Lengths, resource::Resource, tick::Tick},
    world::{Scenario, World},
};

/// Scenario, delay budget, ticks.
const ROWS: [(Scenario, f64, u64); 3] =
    [(Scenario::X10, 4.0, 2_000), (Scenario::X5, 6.0, 2_000), (Scenario::Seed, 60.0, 3_100)];
/// Windows in a row…
const WINDOWS: usize = 10;
/// …of which so many are level.
const LEVEL: usize = 8;
/// Ticks of a minute at the default pace.
const MINUTE: usize = 600;

/// One seed.
struct Figures {
    seed: u64,
    /// Tick at which the first [`WINDOWS`] in a row with [`LEVEL`] level ones end, if they do.
    level_tick: Option<u64>,
    /// Share of level windows in each minute.
    minutes: Vec<f64>,
    /// Mean delay of what was queued in the first minute, in ticks, and largest tick over mean tick.
    delay: f64,
    peak: f64,
    peak_without: f64,
    /// Median and 95th percentile of costs' relative errors at the end.
    errors: [f64; 2],
}

pub(crate) fn print(seeds: RangeInclusive<u64>, verbose: bool, only: &[String]) {
    println!(
        "| row | level from tick: median, worst | minutes: share level | delay, peak of minute 1 (none) |"
    );
    println!("|---|---|---|---|");
    for (scenario, budget, ticks) in ROWS {
        if !only.is_empty() && !only.contains(&scenario.to_string()) {
            continue;
        }
        let mut of: Vec<Figures> = seeds.clone().map(|seed| figures(scenario, budget, ticks, seed)).collect();
        for f in of.iter().filter(|_| verbose) {
            eprintln!(
                "{scenario} {} level from {:?} minutes {:.2?} delay {:.2} peak {:.2}, without {:.2}, errors {:.5?}",
                f.seed, f.level_tick, f.minutes, f.delay, f.peak, f.peak_without, f.errors
            );
        }
        of.sort_by_key(|f| f.level_tick.unwrap_or(u64::MAX));
        let mean = |of_one: &dyn Fn(&Figures) -> f64| of.iter().map(of_one).sum::<f64>() / of.len() as f64;
        let at = |place: usize| of[place].level_tick.map_or("never".to_owned(), |tick| tick.to_string());
        let minutes: Vec<String> =
            (0..of[0].minutes.len()).map(|m| format!("{:.2}", mean(&|f| f.minutes[m]))).collect();
        println!(
            "| `{scenario}@{budget}` | {}..{}, {} (seed {}) | {} | {:.2}, {:.2} ({:.2}) | {:.3} %, {:.2} % (tick {ticks}) |",
            at((of.len() - 1) / 2),
            at(of.len() / 2),
            at(of.len() - 1),
            of[of.len() - 1].seed,
            minutes.join(", "),
            mean(&|f| f.delay),
            mean(&|f| f.peak),
            mean(&|f| f.peak_without),
            100.0 * mean(&|f| f.errors[0]),
            100.0 * mean(&|f| f.errors[1]),
        );
    }
}

fn figures(scenario: Scenario, budget: f64, ticks: u64, seed: u64) -> Figures {
    let run = |policy, ticks| {
        Simulation {
            world: World::new(scenario.parameters(), seed).unwrap(),
            policy,
            costs: Costs::Learned,
            delay_budget: Some(budget),
            limits: HoldLimits::default(),
            ticks,
            warm_up_ticks: WARM_UP_TICKS,
        }
        .run(|_| ())
    };
    let (with, without) = (run(PolicyName::Evenkeel, ticks), run(PolicyName::None, MINUTE as u64));
    let windows: Vec<bool> =
        (0..).map_while(|n| with.trace.is_level(Tick(n * Lengths::default().window_ticks))).collect();
    let first = windows.windows(WINDOWS).position(|row| row.iter().filter(|level| **level).count() >= LEVEL);
    let share = |minute: &[bool]| minute.iter().filter(|level| **level).count() as f64 / minute.len() as f64;
    let early: Vec<f64> = with
        .trace
        .delays
        .iter()
        .filter(|(queued, _)| queued.0 < MINUTE as u64)
        .map(|(_, delay)| *delay as f64)
        .collect();
    Figures {
        seed,
        level_tick: first.map(|first| (first + WINDOWS) as u64 * Lengths::default().window_ticks),
        minutes: windows.chunks_exact(MINUTE / Lengths::default().window_ticks as usize).map(share).collect(),
        delay: early.iter().sum::<f64>() / early.len() as f64,
        peak: peak(&with),
        peak_without: peak(&without),
        errors: with.report.estimate_error.map_or([1.0; 2], |error| [error.median, error.p95]),
    }
}

/// The largest tick of the first minute over its mean, in the resource where that is most.
fn peak(run: &Run) -> f64 {
    let minute = &run.trace.usage[..MINUTE];
    let of = |r: Resource| {
        let sum: u64 = minute.iter().map(|usage| usage[r]).sum();
        let most = minute.iter().map(|usage| usage[r]).max().unwrap_or_default();
        most as f64 * MINUTE as f64 / sum.max(1) as f64
    };
    Resource::ALL.into_iter().map(of).fold(0.0, f64::max)
}

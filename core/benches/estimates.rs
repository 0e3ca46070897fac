//! How well and how fast costs are learned, against the simulator's truth.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench estimates -- SCENARIO FIRST_SEED LAST_SEED TICKS[,TICKS…] [OPTION…]
//! ```
//! SCENARIO is a name, or parameters as JSON: `{"query_count":1000,"rate":10}`. `grouped` runs like queries
//! together, as a levelling policy does; `borders`, `missing`, `noise` and `background` disturb the windows,
//! `disturbed` is all of it; `export` prints one JSON object a seed with the windows, the truth and the
//! learned costs instead, for `nnls.py`.
//!
//! SCENARIO `real`, `real-plain` or `real-night` measures executions that take time: see `estimates/real.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measuring tool: it has a clock, and ends when asked for nonsense"
)]

#[path = "../tests/estimator/scene.rs"]
mod scene;

#[path = "estimates/real.rs"]
mod real;

use std::{cell::RefCell, collections::BTreeMap, time::Instant};

use evenkeel_core::{
    estimator::{Estimator, Snapshot},
    units::{ids::QueryId, resource::Resource, tick::Tick},
    world::{Parameters, Scenario, real::RealScenario},
};
use serde_json::{Value, json};

use self::scene::{Disturbance, Scene, Seen};

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(scenario) = args.next() else {
        println!("SCENARIO FIRST_SEED LAST_SEED TICKS[,TICKS…] [OPTION…], see core/benches/estimates.rs");
        return;
    };
    if let Ok(scenario) = scenario.parse::<RealScenario>() {
        let mut next = || args.next().map(|number| number.parse().unwrap());
        return real::main(scenario, next().unwrap_or(1), next().unwrap_or(5), next().unwrap_or(120));
    }
    let parameters: Parameters = match scenario.parse::<Scenario>() {
        Ok(scenario) => scenario.parameters(),
        Err(_) => serde_json::from_str(&scenario).unwrap(),
    };
    let mut next = || args.next().unwrap();
    let (first, last): (u64, u64) = (next().parse().unwrap(), next().parse().unwrap());
    let checkpoints: Vec<u64> = next().split(',').map(|ticks| ticks.parse().unwrap()).collect();
    let options: Vec<String> = args.collect();
    let has = |name: &str| options.iter().any(|option| option == name);
    let all = if has("disturbed") { Disturbance::all() } else { Disturbance::default() };
    let disturbance = Disturbance {
        borders: all.borders || has("borders"),
        missing_percent: if has("missing") { 5 } else { all.missing_percent },
        noise: if has("noise") { 0.02 } else { all.noise },
        background: if has("background") { 40 } else { all.background },
    };
    for seed in first..=last {
        let mut scene = Scene::with(parameters.clone(), seed);
        scene.grouped = has("grouped");
        scene.disturbance = disturbance;
        if has("export") {
            println!("{}", export(&scene, *checkpoints.last().unwrap()));
        } else {
            measure(&scene, &format!("{scenario} {seed}"), &checkpoints);
        }
    }
}

/// Prints a line a checkpoint.
fn measure(scene: &Scene, name: &str, checkpoints: &[u64]) {
    let spent = RefCell::new(Vec::new());
    let started = RefCell::new(None::<Instant>);
    let mut estimator = Estimator::default();
    // From handing over a window and its executions until the next tick.
    let begin = |_: &mut Estimator, _: &Seen| *started.borrow_mut() = Some(Instant::now());
    let end = |estimator: &Estimator, tick: Tick, counts: &[u64]| {
        if let Some(started) = started.borrow_mut().take() {
            spent.borrow_mut().push(started.elapsed().as_secs_f64() * 1e3);
        }
        if !checkpoints.contains(&(tick.0 + 1)) {
            return;
        }
        let judged = scene.judge_counted(estimator, tick, counts);
        let mut spent = spent.borrow().clone();
        spent.sort_by(f64::total_cmp);
        println!(
            "{name} ticks {:6} judged {:4} median {:.3} % p95 {:.2} % within2se {:.3} background off {:.3} ms mean {:.3} p99 {:.3} max {:.2}",
            tick.0 + 1,
            judged.queries,
            judged.median * 100.0,
            judged.p95 * 100.0,
            judged.within_two_errors,
            judged.background,
            spent.iter().sum::<f64>() / spent.len() as f64,
            spent[spent.len() * 99 / 100],
            spent[spent.len() - 1],
        );
    };
    scene.watch(&mut estimator, *checkpoints.last().unwrap(), begin, end);
    let bytes = serde_json::to_string(&Snapshot::from(estimator)).unwrap().len();
    println!("{name} snapshot {:.2} MiB", bytes as f64 / f64::from(1 << 20));
}

/// The windows as a linear system, the truth, and what was learned from them.
fn export(scene: &Scene, ticks: u64) -> Value {
    let world = scene.world();
    let queries: BTreeMap<QueryId, usize> = (0..world.query_count()).map(|i| (world.query(i), i)).collect();
    let windows = RefCell::new(Vec::new());
    let mut counted = Vec::new();
    let mut estimator = Estimator::default();
    let note = |_: &mut Estimator, seen: &Seen| {
        let observation = seen.observation();
        let mut counts = BTreeMap::<usize, f64>::new();
        for tick in &observation.ticks {
            for (query, executions) in &tick.runs {
                *counts.entry(queries[query]).or_default() += executions * tick.share;
            }
        }
        let length: f64 = observation.ticks.iter().map(|tick| tick.share).sum();
        let averages = Resource::ALL.map(|r| observation.usage[r].average);
        let counts: Vec<_> = counts.into_iter().collect();
        windows.borrow_mut().push(json!({"length": length, "averages": averages, "counts": counts}));
    };
    scene.watch(&mut estimator, ticks, note, |_, _, counts| counted = counts.to_vec());
    let costs = |index: usize| {
        let learned = estimator.estimates().get(world.query(index)).copied();
        let truth = world.cost(index, Tick(ticks - 1));
        let of = |r: Resource| json!([truth[r], learned.map_or(0.0, |estimate| estimate.cost[r])]);
        json!({"executions": counted[index], "true_learned": Resource::ALL.map(of)})
    };
    json!({
        "seed": world.seed(),
        "queries": (0..world.query_count()).map(costs).collect::<Vec<_>>(),
        "windows": windows.into_inner(),
    })
}

//! How well and how fast costs are learned, against the simulator's truth.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench estimates -- SCENARIO FIRST_SEED LAST_SEED TICKS[,TICKS…] [OPTION…]
//! ```
//! Options: `grouped` runs like queries together, as a levelling policy does; `borders`, `missing`, `noise`,
//! `background` disturb the data, `disturbed` does all of it; `export` prints the windows as JSON for `nnls.py`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::struct_excessive_bools,
    reason = "a measuring tool: it has a clock, and ends when asked for nonsense"
)]

use std::time::Instant;

use evenkeel_core::{
    estimator::{Estimates, Estimator, Observation, TickRuns},
    ids::{ExecutionId, QueryId},
    journal::{Executed, Outcome},
    resource::{PerResource, Resource, Usage},
    tick::Tick,
    window::{Extent, Stretch, Window},
    world::{Scenario, World},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Executions from which on an estimate is judged.
const JUDGED_EXECUTIONS: u64 = 5;
/// Units that the background uses in each tick.
const BACKGROUND: u64 = 40;

struct Options {
    grouped: bool,
    borders: bool,
    missing: bool,
    noise: bool,
    background: bool,
    export: bool,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let Some(scenario) = args.next() else {
        println!("SCENARIO FIRST_SEED LAST_SEED TICKS[,TICKS…] [OPTION…]");
        return;
    };
    let scenario: Scenario = scenario.parse().unwrap();
    let mut number = || args.next().unwrap();
    let (first, last): (u64, u64) = (number().parse().unwrap(), number().parse().unwrap());
    let checkpoints: Vec<u64> = number().split(',').map(|ticks| ticks.parse().unwrap()).collect();
    let given: Vec<String> = args.collect();
    let has = |name: &str| given.iter().any(|option| option == name);
    let disturbed = |name: &str| has(name) || has("disturbed");
    let options = Options {
        grouped: has("grouped"),
        borders: disturbed("borders"),
        missing: disturbed("missing"),
        noise: disturbed("noise"),
        background: disturbed("background"),
        export: has("export"),
    };
    for seed in first..=last {
        run(scenario, seed, &checkpoints, &options);
    }
}

fn run(scenario: Scenario, seed: u64, checkpoints: &[u64], options: &Options) {
    let world = World::new(scenario.parameters(), seed).unwrap();
    let index: std::collections::BTreeMap<_, _> =
        (0..world.query_count()).map(|index| (world.query(index), index)).collect();
    let mut executor = Executor { grouped: options.grouped, pending: Vec::new(), plan: Vec::new() };
    let mut watcher = Watcher::new(seed);
    let mut estimator = Estimator::default();
    let mut count = vec![0u64; world.query_count()];
    let mut seconds = 0.0;
    let mut worst: f64 = 0.0;
    let mut windows = 0;
    let mut line = String::new();
    for tick in (0..*checkpoints.last().unwrap()).map(Tick) {
        let ran = executor.run(tick, &world, estimator.estimates());
        for query in &ran {
            count[*query] += 1;
        }
        let observation = watcher.tick(tick, &world, &ran, options);
        if let Some(observation) = observation {
            if options.export {
                export(&mut line, &observation, &index);
            } else {
                let started = Instant::now();
                observation.give(&mut estimator);
                let took = started.elapsed().as_secs_f64();
                worst = worst.max(took);
                seconds += took;
                windows += 1;
            }
        }
        if checkpoints.contains(&(tick.0 + 1)) && !options.export {
            let judged = judge(&world, tick, &count, estimator.estimates());
            let background = estimator.background().map_or(String::new(), |background| {
                format!(
                    "{:6.2} {:6.2} {:6.2}",
                    background.cost.cpu, background.cost.io, background.cost.memory
                )
            });
            println!(
                "{scenario} {seed} ticks {:6} judged {:4} median {:.3} % p95 {:.2} % within2se {:.3} background {background} ms mean {:.3} max {:.2}",
                tick.0 + 1,
                judged.count,
                judged.median * 100.0,
                judged.p95 * 100.0,
                judged.within,
                seconds * 1e3 / f64::from(windows.max(1)),
                worst * 1e3,
            );
        }
    }
    if options.export {
        let truth: Vec<_> = (0..world.query_count())
            .map(|i| {
                let c = world.cost(i, Tick(0));
                [c.cpu, c.io, c.memory]
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({"seed": seed, "truth": truth, "count": count, "windows": serde_json::from_str::<serde_json::Value>(&format!("[{}]", line.trim_end_matches(','))).unwrap()})
        );
    }
}

/// One line of JSON a window: counts by query, and averages.
fn export(line: &mut String, seen: &Seen, index: &std::collections::BTreeMap<QueryId, usize>) {
    use std::fmt::Write;
    let mut counts = std::collections::BTreeMap::<usize, f64>::new();
    let observation = seen.observation();
    for tick in &observation.ticks {
        for (query, executions) in &tick.runs {
            *counts.entry(index[query]).or_default() += executions * tick.share;
        }
    }
    let length: f64 = observation.ticks.iter().map(|tick| tick.share).sum();
    let averages = observation.usage.map(|extent| extent.average);
    let counts: Vec<_> = counts.into_iter().collect();
    let json = serde_json::json!({"length": length, "averages": averages.values(), "counts": counts});
    write!(line, "{json},").unwrap();
}

struct Judged {
    count: usize,
    median: f64,
    p95: f64,
    within: f64,
}

fn judge(world: &World, tick: Tick, count: &[u64], estimates: &Estimates) -> Judged {
    let mut errors = Vec::new();
    let mut within = 0;
    for (index, _) in count.iter().enumerate().filter(|(_, count)| **count >= JUDGED_EXECUTIONS) {
        let truth = world.cost(index, tick);
        let Some(estimate) = estimates.get(world.query(index)) else { continue };
        for r in Resource::ALL {
            let error = (estimate.cost[r] - truth[r] as f64).abs();
            errors.push(error / truth[r] as f64);
            within += usize::from(error <= 2.0 * estimate.standard_error[r]);
        }
    }
    errors.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        errors.get((share * errors.len() as f64).ceil() as usize - 1).copied().unwrap_or(f64::NAN)
    };
    Judged {
        count: errors.len() / 3,
        median: if errors.is_empty() { f64::NAN } else { rank(0.5) },
        p95: if errors.is_empty() { f64::NAN } else { rank(0.95) },
        within: f64::from(within as u32) / errors.len() as f64,
    }
}

/// Decides what runs when: at once, or like queries together.
struct Executor {
    grouped: bool,
    pending: Vec<usize>,
    plan: Vec<Vec<usize>>,
}

impl Executor {
    fn run(&mut self, tick: Tick, world: &World, estimates: &Estimates) -> Vec<usize> {
        if !self.grouped {
            return tick.0.checked_sub(1).map_or(Vec::new(), |before| world.arrivals(Tick(before)));
        }
        if tick.0.is_multiple_of(10) {
            self.plan_window(world, estimates);
        }
        self.pending.extend(world.arrivals(tick));
        self.plan.pop().unwrap_or_default()
    }

    /// Ten ticks of k executions each: the ten that are most alike, k times.
    fn plan_window(&mut self, world: &World, estimates: &Estimates) {
        self.plan = vec![Vec::new(); 10];
        let cost = |query: usize| {
            estimates.get(world.query(query)).map_or([0.0; 3], |e| [e.cost.cpu, e.cost.io, e.cost.memory])
        };
        while self.pending.len() > 150 {
            let centre = cost(self.pending[0]);
            let distance = |query: &usize| {
                let cost = cost(*query);
                (0..3).map(|r| (cost[r] - centre[r]).abs()).fold(0.0, f64::max)
            };
            let mut order: Vec<usize> = (0..self.pending.len()).collect();
            order.sort_by(|a, b| distance(&self.pending[*a]).total_cmp(&distance(&self.pending[*b])));
            let mut taken = order[..10].to_vec();
            for (tick, at) in taken.iter().enumerate() {
                self.plan[tick].push(self.pending[*at]);
            }
            taken.sort_unstable();
            for at in taken.into_iter().rev() {
                self.pending.remove(at);
            }
        }
    }
}

/// A window as it is given to the estimator.
enum Seen {
    Journal(Vec<Executed>, Window),
    Outside(Observation),
}

impl Seen {
    fn give(&self, estimator: &mut Estimator) {
        match self {
            Self::Journal(executions, window) => {
                for executed in executions {
                    estimator.executed(executed);
                }
                estimator.window(window);
            }
            Self::Outside(observation) => estimator.observe(observation),
        }
    }

    fn observation(&self) -> Observation {
        match self {
            Self::Outside(observation) => observation.clone(),
            Self::Journal(executions, window) => {
                let ticks = (window.first_tick.0..=window.last_tick.0).map(|tick| {
                    let runs = executions.iter().filter(|e| e.tick.0 == tick).map(|e| (e.query, 1.0));
                    TickRuns::new(runs.collect(), 1.0)
                });
                Observation { usage: window.usage, ticks: ticks.collect() }
            }
        }
    }
}

/// Watches windows go by, clearly or not.
struct Watcher {
    rng: ChaCha8Rng,
    first_tick: u64,
    length: u64,
    ticks: Vec<(Usage, Vec<usize>)>,
    previous: Vec<usize>,
    early: bool,
}

impl Watcher {
    fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0xd157),
            first_tick: 0,
            length: 10,
            ticks: Vec::new(),
            previous: Vec::new(),
            early: false,
        }
    }

    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn tick(&mut self, tick: Tick, world: &World, ran: &[usize], options: &Options) -> Option<Seen> {
        let mut usage = Usage::all(if options.background { BACKGROUND } else { 0 });
        for query in ran {
            usage += world.cost(*query, tick);
        }
        if options.noise {
            usage = usage.map(|value| (value as f64 * (1.0 + 0.02 * self.normal())).round().max(0.0) as u64);
        }
        self.ticks.push((usage, ran.to_vec()));
        if (self.ticks.len() as u64) < self.length {
            return None;
        }
        let stretch: Stretch = self.ticks.iter().map(|(usage, _)| usage).collect();
        let extents = PerResource::from_fn(|r| Extent {
            average: stretch.sum[r] / stretch.ticks,
            min: stretch.min[r],
            max: stretch.max[r],
        });
        let executed: u64 = self.ticks.iter().map(|(_, ran)| ran.len() as u64).sum();
        let ticks = std::mem::take(&mut self.ticks);
        let seen = if options.borders {
            Seen::Outside(self.outside_view(world, &ticks, extents))
        } else {
            let first_tick = Tick(tick.0 + 1 - ticks.len() as u64);
            let executions = ticks.iter().enumerate().flat_map(|(at, (_, ran))| {
                ran.iter().map(move |query| executed_in(world.query(*query), first_tick.after(at as u64)))
            });
            let window = Window {
                first_tick,
                last_tick: tick,
                usage: extents,
                executed,
                in_corridor: stretch.in_corridor(),
            };
            Seen::Journal(executions.collect(), window)
        };
        self.previous = ticks.last().map(|(_, ran)| ran.clone()).unwrap_or_default();
        self.length = if options.borders { 9 + (self.unit() * 3.0) as u64 } else { 10 };
        self.first_tick = tick.0 + 1;
        let missing = options.missing && self.unit() < 0.05;
        (!missing).then_some(seen)
    }

    /// The watcher is not sure of the window's first and last tick: each time it sees two candidates for the first one, the true one
    /// and its neighbour, and cannot tell which it is; the last tick may as well belong to the next.
    fn outside_view(
        &mut self,
        world: &World,
        ticks: &[(Usage, Vec<usize>)],
        usage: PerResource<Extent>,
    ) -> Observation {
        let runs = |ran: &[usize], share: f64| {
            TickRuns::new(ran.iter().map(|query| (world.query(*query), 1.0)).collect(), share)
        };
        let mut seen = Vec::new();
        // The first border: either the tick before is suspected to belong to it, or its own first is not sure.
        let early = self.early;
        if early {
            seen.push(runs(&self.previous.clone(), 0.5));
        }
        let late = self.unit() < 0.5;
        let last = ticks.len() - 1;
        for (at, (_, ran)) in ticks.iter().enumerate() {
            let unsure = at == 0 && !early || at == last && late;
            seen.push(runs(ran, if unsure { 0.5 } else { 1.0 }));
        }
        // When this window's last tick is in doubt, the next window suspects it to be its own.
        self.early = late;
        Observation { usage, ticks: seen }
    }
}

fn executed_in(query: QueryId, tick: Tick) -> Executed {
    Executed {
        execution: ExecutionId::new(tick.0, 0),
        query,
        queued_tick: tick,
        due_tick: tick,
        tick,
        finished_tick: tick,
        reason: String::new(),
        outcome: Outcome::Ok,
        executed_at_ms: 0,
    }
}

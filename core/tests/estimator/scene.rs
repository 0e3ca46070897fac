//! A simulated database that is watched, clearly or not. Tests and the benchmark share it.
#![allow(dead_code, reason = "each of them uses some of it")]

use evenkeel_core::{
    estimator::{Estimates, Estimator, Observation, TickRuns},
    journal::{Executed, Outcome},
    units::{
        ids::{ExecutionId, QueryId},
        resource::{PerResource, Resource, Usage},
        tick::Tick,
        window::{Extent, Stretch, Window},
    },
    world::{Parameters, Scenario, World},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Executions from which on an estimate is judged.
const JUDGED_EXECUTIONS: u64 = 5;
/// Units that the background uses in each tick.
const BACKGROUND: u64 = 40;
/// Executions that wait before any are run in groups.
const STOCK: usize = 150;

/// How windows differ from what really happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disturbance {
    /// Windows have 9 to 11 ticks, and each border is in doubt every other time.
    pub(crate) borders: bool,
    /// Windows of a hundred that are missing.
    pub(crate) missing_percent: u32,
    /// Standard deviation of each tick's usage, relative.
    pub(crate) noise: f64,
    /// Units that each tick uses besides its executions.
    pub(crate) background: u64,
}

impl Disturbance {
    /// All of it at once.
    pub(crate) fn all() -> Self {
        Self { borders: true, missing_percent: 5, noise: 0.02, background: BACKGROUND }
    }
}

/// How good estimates are, over all resources of queries executed at least five times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// Queries.
    pub(crate) queries: usize,
    /// Median of |estimate − truth| / truth.
    pub(crate) median: f64,
    /// Its 95th percentile.
    pub(crate) p95: f64,
    /// Root of the mean squared error, in units.
    pub(crate) rms: f64,
    /// Share of true costs within two standard errors.
    pub(crate) within_two_errors: f64,
    /// Largest relative error of the background; 0 without one.
    pub(crate) background: f64,
}

/// What runs, and how it is watched.
pub(crate) struct Scene {
    world: World,
    /// Runs like queries together, as a levelling policy does.
    pub(crate) grouped: bool,
    /// How windows differ from what really happened.
    pub(crate) disturbance: Disturbance,
}

impl Scene {
    /// A named scenario.
    pub(crate) fn new(scenario: Scenario, seed: u64) -> Self {
        Self::with(scenario.parameters(), seed)
    }

    /// Any world.
    pub(crate) fn with(parameters: Parameters, seed: u64) -> Self {
        let world = World::new(parameters, seed).expect("the parameters are valid");
        Self { world, grouped: false, disturbance: Disturbance::default() }
    }

    /// The world.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The journal's executions and windows of ticks 0..`ticks`, nobody levelling.
    pub(crate) fn journal(&self, ticks: u64) -> (Vec<Executed>, Vec<Window>) {
        let mut watcher = Watcher::new(&self.world, Disturbance::default());
        let (mut executions, mut windows) = (Vec::new(), Vec::new());
        for tick in (0..ticks).map(Tick) {
            if let Some(Seen::Journal(executed, window)) = watcher.tick(tick, &arrived(&self.world, tick)) {
                executions.extend(executed);
                windows.push(window);
            }
        }
        (executions, windows)
    }

    /// Runs ticks 0..`ticks` and says how good the estimates are after each of `checkpoints`.
    pub(crate) fn run(
        &self,
        estimator: &mut Estimator,
        ticks: u64,
        checkpoints: &[u64],
        mut judge: impl FnMut(Judged),
    ) {
        self.watch(
            estimator,
            ticks,
            |_, _| {},
            |estimator, tick, counts| {
                if checkpoints.contains(&(tick.0 + 1)) {
                    judge(self.judge_counted(estimator, tick, counts));
                }
            },
        );
    }

    /// Runs ticks 0..`ticks`; each window goes through `seen` before it goes to the estimator.
    pub(crate) fn watch(
        &self,
        estimator: &mut Estimator,
        ticks: u64,
        mut seen: impl FnMut(&mut Estimator, &Seen),
        mut after_tick: impl FnMut(&Estimator, Tick, &[u64]),
    ) {
        let mut watcher = Watcher::new(&self.world, self.disturbance);
        let mut groups = Groups::default();
        let mut counts = vec![0; self.world.query_count()];
        for tick in (0..ticks).map(Tick) {
            let ran = if self.grouped {
                groups.run(&self.world, tick, estimator.estimates())
            } else {
                arrived(&self.world, tick)
            };
            for query in &ran {
                counts[*query] += 1;
            }
            if let Some(window) = watcher.tick(tick, &ran) {
                seen(estimator, &window);
                window.give(estimator);
            }
            after_tick(estimator, tick, &counts);
        }
    }

    /// How good estimates are after ticks 0..`ticks` with nobody levelling.
    pub(crate) fn judge(&self, estimator: &Estimator, ticks: u64) -> Judged {
        let mut counts = vec![0; self.world.query_count()];
        for tick in (0..ticks).map(Tick) {
            for query in arrived(&self.world, tick) {
                counts[query] += 1;
            }
        }
        self.judge_counted(estimator, Tick(ticks - 1), &counts)
    }

    /// How good estimates are after `tick`, with executions by query so far.
    pub(crate) fn judge_counted(&self, estimator: &Estimator, tick: Tick, counts: &[u64]) -> Judged {
        let (mut errors, mut squares, mut within) = (Vec::new(), 0.0, 0);
        for (index, _) in counts.iter().enumerate().filter(|(_, count)| **count >= JUDGED_EXECUTIONS) {
            let Some(estimate) = estimator.estimates().get(self.world.query(index)) else { continue };
            let truth = self.world.cost(index, tick).map(|cost| cost as f64);
            for r in Resource::ALL {
                let error = (estimate.cost[r] - truth[r]).abs();
                errors.push(error / truth[r]);
                squares += error * error;
                within += usize::from(error <= 2.0 * estimate.standard_error[r]);
            }
        }
        errors.sort_by(f64::total_cmp);
        let count = errors.len();
        let rank = |share: f64| errors[((share * count as f64).ceil() as usize).max(1) - 1];
        let background = self.disturbance.background as f64;
        let background = Resource::ALL.map(|r| match estimator.background() {
            Some(learned) if background > 0.0 => (learned.cost[r] / background - 1.0).abs(),
            _ => 0.0,
        });
        Judged {
            queries: count / 3,
            median: rank(0.5),
            p95: rank(0.95),
            rms: (squares / count as f64).sqrt(),
            within_two_errors: within as f64 / count as f64,
            background: background.into_iter().fold(0.0, f64::max),
        }
    }
}

/// What runs in a tick when nobody levels: the arrivals of the tick before.
fn arrived(world: &World, tick: Tick) -> Vec<usize> {
    tick.0.checked_sub(1).map_or(Vec::new(), |before| world.arrivals(Tick(before)))
}

/// Runs ten like queries in the ten ticks of a window, one each, as often as the stock allows.
#[derive(Default)]
struct Groups {
    waiting: Vec<usize>,
    planned: Vec<Vec<usize>>,
}

impl Groups {
    fn run(&mut self, world: &World, tick: Tick, estimates: &Estimates) -> Vec<usize> {
        if tick.0.is_multiple_of(10) {
            self.plan(world, estimates);
        }
        self.waiting.extend(world.arrivals(tick));
        self.planned.pop().unwrap_or_default()
    }

    fn plan(&mut self, world: &World, estimates: &Estimates) {
        self.planned = vec![Vec::new(); 10];
        let cost = |query: usize| {
            estimates.get(world.query(query)).map(|estimate| estimate.cost).unwrap_or_default()
        };
        while self.waiting.len() > STOCK {
            let centre = cost(self.waiting[0]);
            let distance = |at: &usize| {
                let cost = cost(self.waiting[*at]);
                Resource::ALL.map(|r| (cost[r] - centre[r]).abs()).into_iter().fold(0.0, f64::max)
            };
            let mut alike: Vec<usize> = (0..self.waiting.len()).collect();
            alike.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
            alike.truncate(10);
            for (tick, at) in alike.iter().enumerate() {
                self.planned[tick].push(self.waiting[*at]);
            }
            alike.sort_unstable();
            alike.into_iter().rev().for_each(|at| {
                self.waiting.remove(at);
            });
        }
    }
}

/// A window as it is given to the estimator.
pub(crate) enum Seen {
    /// By the journal.
    Journal(Vec<Executed>, Window),
    /// From outside, without knowing its borders.
    Outside(Observation),
}

impl Seen {
    /// Gives it.
    pub(crate) fn give(&self, estimator: &mut Estimator) {
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

    /// What ran in it and what was measured, by tick.
    pub(crate) fn observation(&self) -> Observation {
        match self {
            Self::Outside(observation) => observation.clone(),
            Self::Journal(executions, window) => {
                let ticks = (window.first_tick.0..=window.last_tick.0).map(|tick| {
                    let ran = executions.iter().filter(|executed| executed.tick.0 == tick);
                    TickRuns::new(ran.map(|executed| (executed.query, 1.0)).collect(), 1.0)
                });
                Observation { usage: window.usage, ticks: ticks.collect() }
            }
        }
    }
}

/// Watches ticks go by and closes windows.
struct Watcher<'w> {
    world: &'w World,
    disturbance: Disturbance,
    rng: ChaCha8Rng,
    length: usize,
    ticks: Vec<(Usage, Vec<usize>)>,
    /// The last tick of the window before, when it may belong to this one.
    in_doubt: Option<Vec<usize>>,
}

impl<'w> Watcher<'w> {
    fn new(world: &'w World, disturbance: Disturbance) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(world.seed() ^ 0xd157);
        Self { world, disturbance, rng, length: 10, ticks: Vec::new(), in_doubt: None }
    }

    fn unit(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal: the sum of twelve uniform draws.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    fn tick(&mut self, tick: Tick, ran: &[usize]) -> Option<Seen> {
        let mut usage = Usage::all(self.disturbance.background);
        for query in ran {
            usage += self.world.cost(*query, tick);
        }
        if self.disturbance.noise > 0.0 {
            let noise = self.disturbance.noise;
            usage = usage.map(|value| (value as f64 * (1.0 + noise * self.normal())).round().max(0.0) as u64);
        }
        self.ticks.push((usage, ran.to_vec()));
        if self.ticks.len() < self.length {
            return None;
        }
        let ticks = std::mem::take(&mut self.ticks);
        let seen = self.close(tick, &ticks);
        let missing = self.unit() < f64::from(self.disturbance.missing_percent) / 100.0;
        (!missing).then_some(seen)
    }

    fn close(&mut self, last_tick: Tick, ticks: &[(Usage, Vec<usize>)]) -> Seen {
        let stretch: Stretch = ticks.iter().map(|(usage, _)| usage).collect();
        let usage = PerResource::from_fn(|r| Extent {
            average: stretch.sum[r] / stretch.ticks,
            min: stretch.min[r],
            max: stretch.max[r],
        });
        if self.disturbance.borders {
            self.length = 9 + (self.unit() * 3.0) as usize;
            return Seen::Outside(self.from_outside(ticks, usage));
        }
        let first_tick = Tick(last_tick.0 + 1 - stretch.ticks);
        let world = self.world;
        let executions = ticks.iter().enumerate().flat_map(|(at, (_, ran))| {
            ran.iter().map(move |query| executed(world.query(*query), first_tick.after(at as u64)))
        });
        let executions: Vec<_> = executions.collect();
        let executed = executions.len() as u64;
        Seen::Journal(
            executions,
            Window {
                first_tick,
                last_tick,
                usage,
                executed,
                in_corridor: stretch.in_corridor(),
                running: 0,
                incomplete: false,
            },
        )
    }

    /// Every other border is in doubt: its tick may belong to the window before or to the one after.
    #[expect(clippy::wrong_self_convention, reason = "seen from outside")]
    fn from_outside(&mut self, ticks: &[(Usage, Vec<usize>)], usage: PerResource<Extent>) -> Observation {
        let world = self.world;
        let runs = |ran: &[usize], share: f64| {
            TickRuns::new(ran.iter().map(|query| (world.query(*query), 1.0)).collect(), share)
        };
        let before = self.in_doubt.take();
        let first_in_doubt = before.is_none() && self.unit() < 0.5;
        let last_in_doubt = self.unit() < 0.5;
        let mut seen: Vec<TickRuns> = before.iter().map(|ran| runs(ran, 0.5)).collect();
        for (at, (_, ran)) in ticks.iter().enumerate() {
            let in_doubt = at == 0 && first_in_doubt || at + 1 == ticks.len() && last_in_doubt;
            seen.push(runs(ran, if in_doubt { 0.5 } else { 1.0 }));
        }
        self.in_doubt = last_in_doubt.then(|| ticks[ticks.len() - 1].1.clone());
        Observation { usage, ticks: seen }
    }
}

fn executed(query: QueryId, tick: Tick) -> Executed {
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
        tenant: None,
        trace: None,
        statement: None,
        answer: None,
    }
}

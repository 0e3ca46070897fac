//! How well costs of executions that take time are learned, by what is measured, against what they really used.
//!
//! ```text
//! cargo bench -p evenkeel-core --bench estimates -- real FIRST_SEED LAST_SEED SECONDS
//! ```
//! *error*: what estimates are off by, weighed by what each query used: Σ n·|estimate − true mean| / Σ n·true mean, of the
//! executions that ran, as `pg_stat_kcache` would tell. *2 se*: share of queries whose true cost lies within two standard
//! errors; of those that ran at least five times: of the mean of what ran, and of the mean that executions are drawn from.

use std::collections::BTreeMap;

use evenkeel_core::{
    estimator::Estimator,
    journal::{Executed, Outcome},
    simulate::real::{Learning, RealPolicy, RealRun, RealSimulation, Tuning},
    units::{
        ids::ExecutionId,
        resource::PerResource,
        tick::Tick,
        window::{Extent, Window},
    },
    world::real::{RealScenario, RealWorld},
};

/// Executions from which on the standard error is judged.
const JUDGED: u64 = 5;

/// What is known of a kind: cost and standard error.
type Known = BTreeMap<usize, (f64, f64)>;

#[derive(Default)]
struct Judged {
    errors: Vec<f64>,
    kinds: usize,
    ran: usize,
    drawn: usize,
}

pub(super) fn main(scenario: RealScenario, first: u64, last: u64, seconds: u64) {
    println!("{scenario}, seeds {first}..{last}, {seconds} s");
    for policy in [RealPolicy::None, RealPolicy::Paced] {
        println!(
            "{:6} {:28} {:>7} {:>16} {:>10} {:>12}",
            "policy", "measured", "error", "[best..worst]", "2 se, ran", "2 se, drawn"
        );
        let row = |name: &str, learn: &dyn Fn(u64) -> (RealRun, RealWorld, Known)| {
            let mut judged = Judged::default();
            for seed in first..=last {
                let (run, world, known) = learn(seed);
                judged.add(&run, &world, &known);
            }
            judged.print(policy, name);
        };
        let simulate = |seed: u64, learning: Learning| {
            let world = RealWorld::new(scenario.parameters(), seed);
            let tuning = Tuning::default();
            let simulation =
                RealSimulation { world, policy, learning, tuning, warm_up_s: 0, counted_s: seconds };
            (simulation.run(), simulation.world)
        };
        for (name, learning) in [
            ("clocks, before and after", Learning::Clocks),
            ("agent, each 100 ms", Learning::Agent),
            ("the whole, each 100 ms", Learning::Ticks),
            ("windows of a second", Learning::Windows),
        ] {
            row(name, &|seed| {
                let (run, world) = simulate(seed, learning);
                let of = |(number, kind): (usize, &evenkeel_core::world::real::Kind)| {
                    let cost = run.estimator.cost(kind.query)?;
                    Some((number, (cost.cpu_us, cost.standard_error_us)))
                };
                let known = world.kinds().iter().enumerate().filter_map(of).collect();
                (run, world, known)
            });
        }
        row("windows, cost at the start", &|seed| {
            let (run, world) = simulate(seed, Learning::Known);
            let known = at_the_start(&run, &world);
            (run, world, known)
        });
        row("duration", &|seed| {
            let (run, world) = simulate(seed, Learning::Known);
            let mut sums = BTreeMap::<usize, (f64, f64)>::new();
            for ended in &run.ended {
                let sum = sums.entry(ended.kind).or_default();
                *sum = (sum.0 + (ended.ended_us - ended.began_us) as f64, sum.1 + 1.0);
            }
            let known = sums.into_iter().map(|(kind, (sum, count))| (kind, (sum / count, 0.0))).collect();
            (run, world, known)
        });
    }
}

/// The estimator of databases whose executions end in the tick in which they run, on the same windows.
fn at_the_start(run: &RealRun, world: &RealWorld) -> Known {
    let mut estimator = Estimator::default();
    let mut began: Vec<_> = run.ended.iter().map(|ended| (ended.began_us / 100_000, ended.kind)).collect();
    began.sort_unstable();
    let mut next = 0;
    for (number, ticks) in run.ticks.chunks_exact(10).enumerate() {
        let (first_tick, last_tick) = (Tick(number as u64 * 10), Tick(number as u64 * 10 + 9));
        let from = next;
        while let Some((tick, kind)) = began.get(next).filter(|(tick, _)| *tick <= last_tick.0) {
            next += 1;
            let (query, tick) = (world.kinds()[*kind].query, Tick(*tick));
            estimator.executed(&Executed {
                execution: ExecutionId::new(0, next as u128),
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
            });
        }
        let us: Vec<u64> = ticks.iter().map(|cores| (cores * 100_000.0) as u64).collect();
        let average = us.iter().sum::<u64>() / 10;
        let cpu = Extent { average, min: *us.iter().min().unwrap(), max: *us.iter().max().unwrap() };
        let one = Extent { average: 1, min: 1, max: 1 };
        estimator.window(&Window {
            first_tick,
            last_tick,
            usage: PerResource { cpu, io: one, memory: one },
            executed: (next - from) as u64,
            in_corridor: false,
            running: 0,
            incomplete: false,
        });
    }
    let of = |(number, kind): (usize, &evenkeel_core::world::real::Kind)| {
        let estimate = estimator.estimates().get(kind.query)?;
        Some((number, (estimate.cost.cpu, estimate.standard_error.cpu)))
    };
    world.kinds().iter().enumerate().filter_map(of).collect()
}

impl Judged {
    fn add(&mut self, run: &RealRun, world: &RealWorld, known: &Known) {
        let (mut off, mut all) = (0.0, 0.0);
        for (number, (mean, count)) in run.truth.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            let (cost, error) = known.get(&number).copied().unwrap_or_default();
            off += (cost - mean).abs() * *count as f64;
            all += mean * *count as f64;
            if *count >= JUDGED {
                self.kinds += 1;
                self.ran += usize::from((cost - mean).abs() <= 2.0 * error);
                self.drawn += usize::from((cost - world.kinds()[number].cpu_us).abs() <= 2.0 * error);
            }
        }
        self.errors.push(off / all);
    }

    fn print(mut self, policy: RealPolicy, name: &str) {
        self.errors.sort_by(f64::total_cmp);
        let (best, worst) = (self.errors[0] * 100.0, self.errors[self.errors.len() - 1] * 100.0);
        let mean = self.errors.iter().sum::<f64>() / self.errors.len() as f64 * 100.0;
        let share = |hits: usize| hits as f64 / self.kinds as f64;
        println!(
            "{:6} {name:28} {mean:5.1} % {:>16} {:>10.2} {:>12.2}",
            policy.name(),
            format!("[{best:.1}..{worst:.1}]"),
            share(self.ran),
            share(self.drawn)
        );
    }
}

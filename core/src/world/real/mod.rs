//! A database whose executions take time: many ticks, or a fraction of one.
//!
//! ```text
//! (parameters, seed)         ──▶ kinds: cost, spread, share of a core, workers    drawn once
//! (…, second or time slot)   ──▶ arrivals with the CPU time that each needs       one stream each: no history
//! ```
//!
//! The load is that of `pgbench` (interactive, never held) beside bursts of analytic statements (deferrable), with what a
//! database does besides: its own processes, autovacuum, clients that nobody records. No kill, policy or restart changes
//! what arrives or what it needs. Nothing in the estimator or the scheduler may name it.

mod parameters;

use rand_chacha::ChaCha8Rng;

pub use self::parameters::{RealParameters, RealScenario, UnknownRealScenario};
use super::{draw, stream};
use crate::{chance, units::ids::QueryId};

/// A second.
pub const SECOND_US: u64 = 1_000_000;

/// Streams of what is drawn: one once, the others by second or slot.
const KINDS: u64 = 1 << 60;
const INTERACTIVE: u64 = 1 << 61;
const BURSTS: u64 = 2 << 61;
const REPORTS: u64 = 3 << 61;
const BACKGROUND: u64 = 4 << 61;

/// A transaction of `pgbench`: five statements that write, and their COMMIT.
pub const TRANSACTION: usize = 0;
/// A SELECT of `pgbench`.
pub const SELECT: usize = 1;
/// A report that takes seconds.
pub const REPORT: usize = 2;
/// The first analytic kind; the others follow.
pub const FIRST_ANALYTIC: usize = 3;

/// Who waits for it, and whether evenkeel knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Passes at once.
    Interactive,
    /// May be held.
    Deferrable,
    /// Of the database itself, or of clients that go past evenkeel: recorded nowhere.
    Background,
}

/// What executions of one kind have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Its name in a journal.
    pub query: QueryId,
    /// Who waits for it.
    pub origin: Origin,
    /// Mean CPU time of an execution, µs.
    pub cpu_us: f64,
    /// Standard deviation of an execution's CPU time over its mean: parameters differ.
    pub spread: f64,
    /// Share of a core that a process of it uses when nobody else wants one; the rest is waiting.
    pub share: f64,
    /// Processes that work on an execution: one, and its parallel workers.
    pub processes: u32,
}

/// An execution that arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When, µs from the beginning.
    pub at_us: u64,
    /// Which of the world's kinds; none for what nobody records.
    pub kind: Option<usize>,
    /// CPU time that it needs, µs, of all its processes.
    pub cpu_us: f64,
    /// Share of a core that a process of it uses when nobody else wants one.
    pub share: f64,
    /// Processes that work on it.
    pub processes: u32,
}

/// A simulated database with executions that take time.
#[derive(Clone, Debug)]
pub struct RealWorld {
    parameters: RealParameters,
    seed: u64,
    kinds: Vec<Kind>,
}

impl RealWorld {
    /// Draws the world of (`parameters`, `seed`).
    pub fn new(parameters: RealParameters, seed: u64) -> Self {
        let mut rng = stream(seed, KINDS);
        let mut kinds = vec![
            kind(seed, TRANSACTION, Origin::Interactive, 1_400.0, 0.15, 0.55, 1),
            kind(seed, SELECT, Origin::Interactive, 140.0, 0.2, 0.9, 1),
            kind(seed, REPORT, Origin::Deferrable, 2_500_000.0, 0.3, 0.9, 1 + parameters.workers),
        ];
        let analytic = parameters.analytic_kinds;
        for index in 0..analytic {
            let [from, to] = parameters.analytic_us.map(libm::log);
            // Evenly on the scale of logarithms, each a little off its place.
            let place = (index as f64 + chance::unit(&mut rng)) / analytic as f64;
            let cpu_us = libm::exp(from + (to - from) * place);
            let spread = 0.05 * libm::pow(12.0, chance::unit(&mut rng));
            let share = 0.7 + 0.3 * chance::unit(&mut rng);
            let workers = if cpu_us > 100_000.0 && index % 2 == 1 { parameters.workers } else { 0 };
            let number = FIRST_ANALYTIC + index;
            kinds.push(kind(seed, number, Origin::Deferrable, cpu_us, spread, share, 1 + workers));
        }
        Self { parameters, seed, kinds }
    }

    /// What it was drawn from.
    pub fn parameters(&self) -> &RealParameters {
        &self.parameters
    }

    /// All kinds, numbered from 0.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// What arrives before `end_us`, in the order of time.
    pub fn arrivals(&self, end_us: u64) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for second in 0..end_us.div_ceil(SECOND_US) {
            self.interactive(second, &mut arrivals);
            self.background(second, &mut arrivals);
        }
        for slot in 0..end_us.div_ceil(self.parameters.burst_every_us) {
            self.burst(slot, &mut arrivals);
        }
        if let Some(every_us) = self.parameters.report_every_us {
            for slot in 0..end_us.div_ceil(every_us) {
                let mut rng = stream(self.seed, REPORTS + slot);
                let at_us = slot * every_us + below(&mut rng, every_us);
                arrivals.push(self.execution(at_us, REPORT, &mut rng));
            }
        }
        arrivals.retain(|arrival| arrival.at_us < end_us);
        arrivals.sort_by_key(|arrival| arrival.at_us);
        arrivals
    }

    fn interactive(&self, second: u64, arrivals: &mut Vec<Arrival>) {
        let rate = self.parameters.interactive_per_s;
        let mut rng = stream(self.seed, INTERACTIVE + second);
        let mut at_us = exponential_us(&mut rng, rate);
        while at_us < SECOND_US as f64 {
            let one_in_five = chance::below(&mut rng, 5) == 0;
            let kind = if one_in_five { TRANSACTION } else { SELECT };
            arrivals.push(self.execution(second * SECOND_US + at_us as u64, kind, &mut rng));
            at_us += exponential_us(&mut rng, rate);
        }
    }

    /// A burst in each slot, somewhere in it: from none to twice the mean.
    fn burst(&self, slot: u64, arrivals: &mut Vec<Arrival>) {
        let every_us = self.parameters.burst_every_us;
        let mean = self.parameters.analytic_per_s * every_us as f64 / SECOND_US as f64;
        let mut rng = stream(self.seed, BURSTS + slot);
        let mut at_us = (slot * every_us + below(&mut rng, every_us)) as f64;
        for _ in 0..chance::below(&mut rng, 1 + (2.0 * mean) as usize) {
            let kind = FIRST_ANALYTIC + chance::below(&mut rng, self.parameters.analytic_kinds);
            arrivals.push(self.execution(at_us as u64, kind, &mut rng));
            at_us += exponential_us(&mut rng, 1e6 / self.parameters.burst_gap_us);
        }
    }

    /// What no journal says: the database's own processes each second, clients that go past evenkeel, autovacuum.
    fn background(&self, second: u64, arrivals: &mut Vec<Arrival>) {
        let mut rng = stream(self.seed, BACKGROUND + second);
        let begin_us = second * SECOND_US;
        let mut add = |at_us: u64, cpu_us: f64, share: f64| {
            arrivals.push(Arrival { at_us: begin_us + at_us, kind: None, cpu_us, share, processes: 1 });
        };
        for tenth in 0..10 {
            add(tenth * SECOND_US / 10, self.parameters.own_us_per_s / 10.0, 1.0);
        }
        if chance::unit(&mut rng) < self.parameters.others_per_s {
            let cpu_us = 5_000.0 + 55_000.0 * chance::unit(&mut rng);
            add(below(&mut rng, SECOND_US), cpu_us, 0.9);
        }
        let seconds = self.parameters.vacuum_every_s;
        if seconds > 0 && second % seconds == (self.seed + 3 * (second / seconds)) % seconds {
            // A third of a core for one to three seconds: autovacuum sleeps for its cost limit.
            add(below(&mut rng, SECOND_US), 300_000.0 + 600_000.0 * chance::unit(&mut rng), 0.3);
        }
    }

    /// An execution with parameters of its own: log-normal around its kind's mean.
    fn execution(&self, at_us: u64, number: usize, rng: &mut ChaCha8Rng) -> Arrival {
        let Kind { cpu_us, spread, share, processes, .. } = self.kinds[number];
        let variance = libm::log(1.0 + spread * spread);
        let deviation = libm::sqrt(variance) * draw::normal(rng);
        let cpu_us = (cpu_us * libm::exp(deviation - variance / 2.0)).max(10.0);
        Arrival { at_us, kind: Some(number), cpu_us, share, processes }
    }
}

fn kind(
    seed: u64,
    number: usize,
    origin: Origin,
    cpu_us: f64,
    spread: f64,
    share: f64,
    processes: u32,
) -> Kind {
    Kind { query: QueryId::simulated(seed, number), origin, cpu_us, spread, share, processes }
}

fn exponential_us(rng: &mut ChaCha8Rng, per_s: f64) -> f64 {
    draw::exponential(rng) * SECOND_US as f64 / per_s.max(1e-9)
}

fn below(rng: &mut ChaCha8Rng, end_us: u64) -> u64 {
    chance::below(rng, end_us as usize) as u64
}

//! Databases drawn at random from everything that can be a parameter, and what a run in one comes to.

// The test and the bench use a part each.
#![allow(dead_code, reason = "each that includes it uses a part")]

use std::{convert::Infallible, ops::ControlFlow};

use evenkeel_core::{
    invariants::{self, Audit, Merge, TruthRow},
    journal::{Entry, Numbering, PerStream, Queued, Record},
    scheduler::{Binding, PolicyName},
    server::queue::HoldSettings,
    simulate::{Costs, Simulation},
    units::{lengths::Lengths, tick::Tick},
    world::{DailyCurve, Parameters, SkewNormal, World},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Ticks a second that are drawn: whole milliseconds a tick.
const TICKS_A_SECOND: [u64; 8] = [1, 2, 5, 10, 20, 50, 100, 200];
/// Costs are learned when the median error is below this.
pub(crate) const LEARNED: f64 = 0.01;

/// One database.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) number: usize,
    pub(crate) parameters: Parameters,
}

/// Draws of one seed.
struct Draws(ChaCha8Rng);

impl Draws {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Orders of magnitude are equally likely.
    fn scaled(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }

    fn whole(&mut self, low: u64, high: u64) -> u64 {
        self.scaled(low as f64, high as f64 + 1.0) as u64
    }

    fn costs(&mut self) -> SkewNormal {
        let location = self.scaled(20.0, 200.0);
        let scale = location * self.between(0.02, 0.4);
        SkewNormal { location, scale, skew: self.between(-10.0, 10.0) }
    }

    fn set(&mut self, number: usize) -> Set {
        let place = self.whole(1, TICKS_A_SECOND.len() as u64) as usize - 1;
        let parameters = Parameters {
            window_ticks: self.whole(2, 600),
            default_delay_ticks: self.whole(1, 100),
            tick_ms: 1_000 / TICKS_A_SECOND[place],
            query_count: self.whole(2, 1_000) as usize,
            rate: self.scaled(0.5, 40.0),
            rate_exponent: self.between(0.0, 2.0),
            bound_cost: self.costs(),
            other_cost: self.costs(),
            daily_curve: DailyCurve {
                amplitude: self.between(0.0, 0.5),
                half_period_ticks: self.scaled(3_000.0, 30_000.0),
                ..Parameters::default().daily_curve
            },
            ..Parameters::default()
        };
        Set { number, parameters }
    }
}

/// The first `count` sets of `seed`.
pub(crate) fn grid(seed: u64, count: usize) -> Vec<Set> {
    let mut draws = Draws(ChaCha8Rng::seed_from_u64(seed));
    (1..=count).map(|number| draws.set(number)).collect()
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) audit: invariants::Report,
    /// The tick after which costs were learned.
    pub(crate) learned: Option<Tick>,
    /// Windows since, and those of them in the corridor.
    pub(crate) windows: u64,
    pub(crate) level: u64,
    /// Share of the decisions since that said that the corridor can be reached.
    pub(crate) feasible: f64,
    /// What the others said, most often.
    pub(crate) binding: Option<Binding>,
    /// Mean delay of what ran since, less the one that nobody asked for, in ticks.
    pub(crate) added_ticks: f64,
    pub(crate) ticks: u64,
}

impl Outcome {
    pub(crate) fn share(&self) -> f64 {
        self.level as f64 / self.windows.max(1) as f64
    }
}

impl Set {
    pub(crate) fn lengths(&self) -> Lengths {
        self.parameters.lengths()
    }

    /// Whether it is one of those that must be level once costs are learned.
    pub(crate) fn is_judged(&self) -> bool {
        let Parameters { window_ticks, query_count, rate, .. } = self.parameters;
        window_ticks <= 30 && query_count <= 300 && rate >= 5.0
    }

    /// Runs `ticks`, or until `enough` windows have closed after costs were learned.
    pub(crate) fn run(&self, ticks: u64, enough: u64) -> Outcome {
        let lengths = self.lengths();
        let world = World::new(self.parameters.clone(), self.number as u64).unwrap();
        let simulation = Simulation {
            world,
            policy: PolicyName::Evenkeel,
            costs: Costs::Learned,
            delay_budget: None,
            limits: HoldSettings::default().of(lengths),
            warm_up_ticks: 0,
            ticks,
        };
        let mut numbering = Numbering::default();
        let mut entries = PerStream::<Vec<Entry>>::default();
        let (mut truth, mut rows): (Vec<TruthRow>, Vec<Queued>) = (Vec::new(), Vec::new());
        let (mut learned, mut windows, mut level, mut next_tick) = (None, 0, 0, Tick(0));
        let (mut ran, mut added, mut before) = (0_u64, 0_u64, None);
        let run = simulation.run_watched(|after| {
            for record in &after.commit.records {
                match record {
                    Record::Window(window) if learned.is_some() => {
                        windows += 1;
                        level += u64::from(window.in_corridor);
                    }
                    Record::Window(_)
                        if after.estimate_error().is_some_and(|error| error.median < LEARNED) =>
                    {
                        learned = Some(after.tick);
                        before = Some((
                            after.trace().decisions,
                            after.trace().feasible,
                            after.trace().bindings.clone(),
                        ));
                    }
                    Record::Executed(executed) => {
                        truth.push(TruthRow {
                            execution: executed.execution,
                            tick: executed.tick,
                            query: executed.query,
                        });
                        ran += u64::from(learned.is_some());
                        added += u64::from(learned.is_some())
                            * (executed.delay_ticks() - lengths.default_delay_ticks);
                    }
                    _ => {}
                }
                let entry = numbering.number(record.clone(), 1_000_000 + lengths.ms_of(after.tick.0));
                entries[entry.record.stream()].push(entry);
            }
            next_tick = after.tick.next();
            rows.clear();
            if windows >= enough || next_tick.0 == ticks {
                rows.extend(after.waiting());
            }
            if windows >= enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let (decisions, feasible, bindings) = before.unwrap_or_default();
        let since =
            |binding: &Binding, count: u64| count - bindings.get(binding).copied().unwrap_or_default();
        let bound = run.trace.bindings.iter().map(|(binding, count)| (*binding, since(binding, *count)));
        Outcome {
            audit: audit(lengths, &entries, truth, next_tick, &rows),
            learned,
            windows,
            level,
            feasible: (run.trace.feasible - feasible) as f64
                / (run.trace.decisions - decisions).max(1) as f64,
            binding: bound
                .max_by_key(|(_, count)| *count)
                .filter(|(_, count)| *count > 0)
                .map(|(binding, _)| binding),
            added_ticks: added as f64 / ran.max(1) as f64,
            ticks: next_tick.0,
        }
    }
}

/// As `evenkeel journal verify`.
fn audit(
    lengths: Lengths,
    entries: &PerStream<Vec<Entry>>,
    truth: Vec<TruthRow>,
    next_tick: Tick,
    rows: &[Queued],
) -> invariants::Report {
    let first = PerStream::from_fn(|stream| entries[stream].first().cloned());
    let mut audit = Audit::new(lengths, &first).with_truth(truth);
    let streams = PerStream::from_fn(|stream| entries[stream].iter().cloned().map(Ok::<_, Infallible>));
    for entry in Merge::new(streams) {
        audit.entry(&entry.unwrap());
    }
    audit.finish(next_tick, Some(rows))
}

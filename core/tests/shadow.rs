//! A twin says what `enforce` then does: the same world, once in mode `shadow` with a twin beside it, once levelled.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::collections::BTreeMap;

use evenkeel_core::{
    circle::{Circle, Ticked},
    estimator::Estimator,
    insight::shadow::{Summary, Tally, Twin, TwinSettings},
    journal::{Executed, Mode, Record},
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
    world::{Scenario, World},
};

const TICKS: u64 = 12_000;
/// What is counted begins here, as in `evenkeel simulate`.
const FROM: Tick = Tick(3_000);

struct Database {
    world: World,
    index: BTreeMap<QueryId, usize>,
    circle: Circle,
    estimator: Estimator,
    tally: Tally,
    executions: u128,
}

impl Database {
    fn new(scenario: Scenario, seed: u64, policy: PolicyName, delay_budget: Option<f64>) -> Self {
        let world = World::new(scenario.parameters(), seed).unwrap();
        let mode = if policy.levels() { Mode::Enforce } else { Mode::Shadow };
        let (lengths, limits) = (world.parameters().lengths(), HoldLimits::default());
        let scheduler = Scheduler::new(policy, lengths, limits.clone(), delay_budget);
        Self {
            index: (0..world.query_count()).map(|index| (world.query(index), index)).collect(),
            circle: Circle::new(lengths, mode, limits, scheduler, Tick(0)),
            estimator: Estimator::default(),
            tally: Tally::default(),
            executions: 0,
            world,
        }
    }

    fn tick(&mut self, tick: Tick) -> Vec<Record> {
        let mut arrivals = Vec::new();
        for index in self.world.arrivals(tick) {
            self.executions += 1;
            arrivals.push((ExecutionId::new(tick.0 * 100, self.executions), self.world.query(index)));
        }
        let cost = |executed: &Executed| self.world.cost(self.index[&executed.query], tick);
        let Ticked { commit, .. } = self.circle.step(tick, arrivals, cost);
        commit.records.iter().for_each(|record| self.estimator.apply(record));
        count(&mut self.tally, &commit.records, tick);
        commit.records
    }
}

fn count(tally: &mut Tally, records: &[Record], tick: Tick) {
    // The entry that closes a window comes with the tick after it.
    let counted = |record: &&Record| tick > FROM || !matches!(record, Record::Window(_)) && tick == FROM;
    records.iter().filter(counted).for_each(|record| tally.apply(record, Lengths::default()));
}

/// The database as it is in mode `shadow`, its twin, and the database as it is in `enforce`.
fn three(scenario: Scenario, seed: u64, delay_budget: Option<f64>) -> [Summary; 3] {
    let mut shadow = Database::new(scenario, seed, PolicyName::None, None);
    let lengths = shadow.world.parameters().lengths();
    let limits = HoldLimits::default();
    let settings = TwinSettings { policy: PolicyName::Evenkeel, delay_budget, limits, lengths };
    let (mut twin, mut twins) = (Twin::new(settings, Tick(0)), Tally::default());
    let mut enforce = Database::new(scenario, seed, PolicyName::Evenkeel, delay_budget);
    for tick in (0..TICKS).map(Tick) {
        for record in shadow.tick(tick) {
            if let Record::Queue(event) = record {
                twin.event(&event);
            }
        }
        let (records, _) = twin.run(shadow.estimator.estimates());
        count(&mut twins, &records, tick);
        enforce.tick(tick);
        enforce.circle.level(tick, enforce.estimator.estimates());
    }
    [shadow.tally.summary(), twins.summary(), enforce.tally.summary()]
}

/// Within 0.03 for the share, within a tenth for peak and mean delay.
fn the_twin_tells_the_truth(scenario: Scenario, seed: u64, delay_budget: f64) {
    let [shadow, twin, enforce] = three(scenario, seed, Some(delay_budget));
    let said = format!("{scenario:?} {seed}\nshadow  {shadow:?}\ntwin    {twin:?}\nenforce {enforce:?}");
    let share = |summary: &Summary| summary.in_corridor.unwrap();
    let peak = |summary: &Summary| summary.peak_to_mean_60s.unwrap();
    let delay = |summary: &Summary| summary.delays.unwrap().mean;
    assert!((share(&twin) - share(&enforce)).abs() <= 0.03, "{said}");
    assert!((peak(&twin) / peak(&enforce) - 1.0).abs() <= 0.1, "{said}");
    assert!((delay(&twin) / delay(&enforce) - 1.0).abs() <= 0.1, "{said}");
    assert!(
        share(&shadow) < 0.01 && shadow.delays.unwrap().max == 1,
        "nothing is levelled in shadow: {said}"
    );
}

#[test]
fn at_busy() {
    the_twin_tells_the_truth(Scenario::Busy, 2, 15.0);
}

#[test]
fn at_x5() {
    the_twin_tells_the_truth(Scenario::X5, 1, 6.0);
}

#[test]
fn at_x10() {
    the_twin_tells_the_truth(Scenario::X10, 1, 4.0);
}

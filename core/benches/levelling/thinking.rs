//! How long decisions take.

use std::time::Instant;

use evenkeel_core::{
    estimator::{CostEstimate, Estimates},
    scheduler::{Carry, Expected, Pending, Problem, plan},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::PerResource,
        tick::Tick,
    },
    world::{Scenario, World},
};

pub(crate) fn print() {
    let hundred = Database::new(Scenario::X10);
    for waiting in [10_000, 100_000] {
        for rate in [2.0, 10.0, 50.0] {
            let took = hundred.decisions(waiting, rate, None, false);
            println!("{waiting} waiting, {rate} arrivals a tick: {}", described(&took));
        }
    }
    let many = Database::new(Scenario::Many);
    for database in [&hundred, &many] {
        for (rate, budget) in [(1.5, 4.0), (5.0, 1.4), (10.0, 1.15)] {
            let took = database.decisions((2.0 * rate) as usize, rate, Some(budget), true);
            let queries = database.queries.len();
            println!("{queries} queries, {rate} arrivals a tick, rehearsing: {}", described(&took));
        }
    }
}

fn described(took: &[f64]) -> String {
    let most = took.iter().copied().fold(0.0, f64::max);
    let mean = took.iter().sum::<f64>() / took.len() as f64;
    format!("{mean:.1} ms in the mean, {most:.1} at most")
}

struct Database {
    queries: Vec<QueryId>,
    estimates: Estimates,
}

impl Database {
    fn new(scenario: Scenario) -> Self {
        let world = World::new(scenario.parameters(), 1).unwrap();
        let queries: Vec<QueryId> = (0..world.query_count()).map(|index| world.query(index)).collect();
        let estimate = |index| CostEstimate {
            cost: world.cost(index, Tick(0)).map(|cost| cost as f64),
            standard_error: PerResource::default(),
            observations: 9,
            identifiable: true,
        };
        let by_query = queries.iter().enumerate().map(|(index, query)| (*query, estimate(index)));
        Self { estimates: Estimates::new(by_query.collect(), None), queries }
    }

    /// Times of decisions in ms while `waiting` executions wait, as after an outage; each `anew` or one after
    /// the other.
    fn decisions(&self, waiting: usize, rate: f64, delay_budget: Option<f64>, anew: bool) -> Vec<f64> {
        let mean = rate / self.queries.len() as f64;
        let mut expected: Vec<Expected> = self
            .queries
            .iter()
            .map(|query| Expected { tick: Tick(1_000), query: *query, mean, spread: libm::sqrt(mean) })
            .collect();
        expected.sort_by_key(|expected| expected.query);
        let pending: Vec<Pending> = (0..waiting)
            .map(|n| Pending {
                execution: ExecutionId::new(1, n as u128),
                query: self.queries[n % self.queries.len()],
                queued_tick: Tick(900),
                due_tick: Tick(901),
                deadline: Tick(2_100),
            })
            .collect();
        let mut carry = Carry::default();
        let times = (1_000..1_040).map(|tick| {
            let problem = Problem {
                tick: Tick(tick),
                pending: &pending,
                estimates: &self.estimates,
                expected: &expected,
                recent: &[],
                recent_delay: None,
                delay_budget,
                lengths: Lengths::default(),
            };
            let begun = Instant::now();
            let (_, next) = plan(&problem, &carry);
            let took = begun.elapsed().as_secs_f64() * 1e3;
            carry = if anew { Carry::default() } else { next };
            took
        });
        times.collect()
    }
}

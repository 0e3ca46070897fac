//! The simulated database: what arrives when, and what each query really costs.
//!
//! ```text
//! (parameters, seed) ──▶ costs, rates          drawn once, one ChaCha8 stream each
//! (…, tick)          ──▶ arrivals, bursts      one stream per tick: no history
//! ```
//!
//! The world is a pure function of (parameters, seed, tick), so no kill, policy or restart changes
//! what arrives. Nothing in the estimator or the scheduler may name it.

mod draw;
mod parameters;
pub mod real;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

pub use self::parameters::{
    Bursts, DailyCurve, Drift, Parameters, ParametersError, Scenario, SkewNormal, UnknownScenario,
};
use crate::{
    chance,
    units::{
        ids::QueryId,
        resource::{PerResource, Resource, Usage},
        tick::Tick,
    },
};

/// Streams for what is drawn once lie above every tick that can be reached.
const COSTS: u64 = u64::MAX;
const RATES: u64 = u64::MAX - 1;
const BURSTS: u64 = u64::MAX - 2;
const DRIFT: u64 = u64::MAX - 3;

/// A query of the simulated database, as `evenkeel world` prints it.
#[derive(Clone, Debug, PartialEq)]
struct Query {
    id: QueryId,
    profile: Resource,
    cost: Usage,
    drifted: Option<Usage>,
    probability: f64,
}

/// A simulated database.
#[derive(Clone, Debug)]
pub struct World {
    parameters: Parameters,
    seed: u64,
    queries: Vec<Query>,
}

impl World {
    /// Draws the world of (`parameters`, `seed`).
    ///
    /// # Errors
    /// [`ParametersError`] says which parameter cannot be.
    pub fn new(parameters: Parameters, seed: u64) -> Result<Self, ParametersError> {
        parameters.check()?;
        let mut costs = stream(seed, COSTS);
        let mut rates = stream(seed, RATES);
        let mut drift = stream(seed, DRIFT);
        let queries = (0..parameters.query_count)
            .map(|index| {
                let profile = Resource::ALL[index % 3];
                let cost = draw_cost(&parameters, profile, &mut costs);
                let drifts = parameters.drift.is_some() && index % 2 == 1;
                Query {
                    id: QueryId::simulated(seed, index),
                    profile,
                    cost,
                    drifted: drifts.then(|| draw_cost(&parameters, profile, &mut drift)),
                    probability: draw::share(&mut rates, parameters.rate_exponent)
                        / parameters.query_count as f64,
                }
            })
            .collect();
        Ok(Self { parameters, seed, queries })
    }

    /// What it was drawn from.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it was drawn with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Queries, numbered from 0.
    pub fn query_count(&self) -> usize {
        self.queries.len()
    }

    /// The id of a query.
    pub fn query(&self, index: usize) -> QueryId {
        self.queries[index].id
    }

    /// The resource that binds a query.
    pub fn profile(&self, index: usize) -> Resource {
        self.queries[index].profile
    }

    /// What one execution of a query costs when it runs in `tick`.
    pub fn cost(&self, index: usize, tick: Tick) -> Usage {
        let query = &self.queries[index];
        match (self.parameters.drift, query.drifted) {
            (Some(drift), Some(drifted)) if tick.0 >= drift.at_tick => drifted,
            _ => query.cost,
        }
    }

    /// Expected arrivals of a query in `tick`, bursts not counted: λ = p·s(t)·rate.
    pub fn rate(&self, index: usize, tick: Tick) -> f64 {
        self.queries[index].probability * self.parameters.daily_curve.at(tick) * self.parameters.rate
    }

    /// Indices of the queries that arrive in `tick`, in the order of their indices, a burst's last.
    pub fn arrivals(&self, tick: Tick) -> Vec<usize> {
        let mut rng = stream(self.seed, tick.0);
        let scale = self.parameters.daily_curve.at(tick) * self.parameters.rate;
        let mut arrivals = Vec::new();
        for (index, query) in self.queries.iter().enumerate() {
            let rate = query.probability * scale;
            let whole = libm::floor(rate);
            let once_more = chance::unit(&mut rng) < rate - whole;
            arrivals.extend(std::iter::repeat_n(index, whole as usize + usize::from(once_more)));
        }
        if let Some(bursts) = self.parameters.bursts
            && tick.0.is_multiple_of(bursts.every_ticks)
        {
            let mut rng = stream(self.seed, BURSTS);
            // Two 32-bit words a draw: each burst has its own place in the stream.
            rng.set_word_pos(u128::from(tick.0 / bursts.every_ticks) * u128::from(bursts.arrivals) * 2);
            arrivals.extend((0..bursts.arrivals).map(|_| chance::below(&mut rng, self.queries.len())));
        }
        arrivals
    }
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

fn draw_cost(parameters: &Parameters, profile: Resource, rng: &mut impl Rng) -> Usage {
    PerResource::from_fn(|resource| {
        let shape = if resource == profile { parameters.bound_cost } else { parameters.other_cost };
        libm::trunc(draw::skew_normal(rng, shape)).max(1.0) as u64
    })
}

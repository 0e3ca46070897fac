//! How often each query arrives, folded from the queue stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{decay::Decaying, problem::Expected};
use crate::units::{ids::QueryId, tick::Tick};

/// Time constant of the total rate. A rate r is known to √(r / 2τ): 1.3 % at five arrivals a tick,
/// while a load that doubles within a quarter of an hour is followed within a few percent.
const TOTAL_TICKS: f64 = 600.0;
/// Time constant of a query's share, which moves more slowly and of which less is seen.
const SHARE_TICKS: f64 = 6_000.0;
/// Queries are looked through for forgotten ones once in so many ticks.
const FORGET_EVERY_TICKS: u64 = 10_000;
/// A query with less than this left of its arrivals is forgotten: nine time constants after its last.
const FORGOTTEN: f64 = 1e-4;

/// Exponentially forgotten counts of arrivals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalRates {
    first: Option<Tick>,
    total: Decaying,
    #[serde(with = "pairs")]
    by_query: BTreeMap<QueryId, Decaying>,
    forgot: Tick,
}

impl ArrivalRates {
    /// Notes an arrival.
    pub fn arrived(&mut self, query: QueryId, tick: Tick) {
        let first = *self.first.get_or_insert(tick);
        self.first = Some(first.min(tick));
        self.total.add(1.0, tick, TOTAL_TICKS);
        self.by_query.entry(query).or_default().add(1.0, tick, SHARE_TICKS);
        if tick.since(self.forgot) >= FORGET_EVERY_TICKS {
            self.forgot = tick;
            self.by_query.retain(|_, count| count.value(tick, SHARE_TICKS) >= FORGOTTEN);
        }
    }

    /// Arrivals a tick, as of `tick`.
    pub fn per_tick(&self, tick: Tick) -> f64 {
        self.first.map_or(0.0, |first| {
            let seen_ticks = (tick.since(first) + 1) as f64;
            // Σ e^(−n/τ) over the ticks seen: what the same sum would be at one arrival a tick.
            let decay = libm::exp(-1.0 / TOTAL_TICKS);
            let weight = (1.0 - libm::exp(-seen_ticks / TOTAL_TICKS)) / (1.0 - decay);
            self.total.value(tick, TOTAL_TICKS) / weight
        })
    }

    /// What is expected from the tick after `tick` on: each query's share of the total rate.
    pub fn expected(&self, tick: Tick) -> Vec<Expected> {
        let rate = self.per_tick(tick);
        let shares: Vec<_> =
            self.by_query.iter().map(|(query, count)| (*query, count.value(tick, SHARE_TICKS))).collect();
        let all: f64 = shares.iter().map(|(_, share)| share).sum();
        let expected = shares.into_iter().map(|(query, share)| {
            let mean = rate * share / all.max(f64::MIN_POSITIVE);
            Expected { tick: tick.next(), query, mean, spread: libm::sqrt(mean) }
        });
        expected.collect()
    }

    /// Whether every number can have come from counting.
    pub(super) fn is_sane(&self) -> bool {
        let counts = self.by_query.values().chain([&self.total]);
        counts.into_iter().all(Decaying::is_sane)
    }
}

/// JSON wants text for keys: a list of pairs serves every format.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Decaying, QueryId};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<QueryId, Decaying>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<QueryId, Decaying>, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

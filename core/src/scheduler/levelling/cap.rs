//! The lowest cap of a tick that a mean delay allows, found by rehearsing: arrivals are drawn from what is
//! expected, and run under one cap after the other.
//!
//! How much a cap holds depends on how well executions fit together, for which there is no formula: at 1.5
//! arrivals a tick a cap of 1.3 times the mean leaves single executions, one of 1.45 pairs of different kinds.

use super::{fill::fill, item::Kinds, load::Load, units::Units};
use crate::{
    chance::{Dice, unit},
    units::tick::Tick,
};

/// Executions that are drawn: with 4,000 the mean delay is known to some ten percent.
const EXECUTIONS: f64 = 4_000.0;
/// Ticks that are rehearsed at most.
const TICKS_MAX: u64 = 3_000;
/// The highest cap, over what arrives a tick: no tick without levelling passes it often.
const HIGHEST: f64 = 8.0;
/// Halvings of the interval in which the cap lies, on a logarithmic scale: to within a percent.
const HALVINGS: usize = 8;
/// Candidates for a tick, besides three times what it holds in the mean.
const CANDIDATES: usize = 24;
/// The same draw each time: the cap moves with what is expected, and not by chance.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;
/// What waits longer than this, over what should, raises the cap: lulls and rushes that come once a minute
/// do not.
const PILED_UP: f64 = 6.0;
/// How long a cap is kept. Within a minute, for its highest counts.
const KEPT_TICKS: u64 = 100;

/// A cap, over what arrives a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cap {
    pub(super) over_mean: f64,
    found: Tick,
}

impl Cap {
    /// The cap for `next`: the one `before`, as long as it is fresh.
    pub(super) fn fresh(
        before: Option<Self>,
        next: Tick,
        load: &Load,
        kinds: &mut Kinds<'_>,
        delay: f64,
    ) -> Self {
        let kept = before.filter(|before| next.since(before.found) < KEPT_TICKS);
        kept.unwrap_or_else(|| Self { over_mean: Rehearsal::draw(load, kinds).lowest(delay), found: next })
    }

    /// Which of `waiting`, oldest first, run in a tick of which `start` is taken. `Units` are over what arrives.
    pub(super) fn choose(self, rate: f64, delay: f64, start: Units, waiting: &[Units]) -> Vec<usize> {
        choose(self.over_mean, rate, delay, start, waiting)
    }
}

fn choose(cap: f64, rate: f64, delay: f64, start: Units, waiting: &[Units]) -> Vec<usize> {
    let waits = waiting.len() as f64 / rate;
    let piled_up = libm::sqrt(waits / (2.0 + PILED_UP * (delay - 1.0))).max(1.0);
    let candidates = &waiting[..waiting.len().min(CANDIDATES + (3.0 * rate) as usize)];
    fill(cap * piled_up, start, candidates)
}

/// Arrivals as they might be.
struct Rehearsal {
    rate: f64,
    /// Costs of what arrives in each tick, over what arrives a tick in the mean.
    ticks: Vec<Vec<Units>>,
}

impl Rehearsal {
    fn draw(load: &Load, kinds: &mut Kinds<'_>) -> Self {
        let mut dice = Dice::new(SEED);
        let over = |cost: Units| std::array::from_fn(|r| cost[r] / load.work[r].max(f64::MIN_POSITIVE));
        let (mut until, mut cumulated) = (0.0, Vec::new());
        for (query, mean) in &load.by_query {
            until += mean;
            let kind = kinds.of(*query);
            cumulated.push((until, over(kinds.cost(kind))));
        }
        let count = ((EXECUTIONS / load.rate) as u64).clamp(1, TICKS_MAX);
        let mut ticks = vec![Vec::new(); count as usize];
        let mut at = 0.0;
        loop {
            at -= libm::log(1.0 - unit(&mut dice)) / load.rate;
            let Some(tick) = ticks.get_mut(at as usize) else { break };
            let draw = unit(&mut dice) * until;
            let place = cumulated.partition_point(|(until, _)| *until <= draw);
            tick.extend(cumulated.get(place).map(|(_, cost)| *cost));
        }
        Self { rate: load.rate, ticks }
    }

    /// The lowest cap under which the mean delay is at most `delay`.
    fn lowest(&self, delay: f64) -> f64 {
        let (mut low, mut high) = (0.0, libm::log(HIGHEST));
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.mean_delay(libm::exp(middle), delay) <= delay { high = middle } else { low = middle }
        }
        libm::exp(high)
    }

    /// Mean delay under `cap`, where `delay` is aimed for.
    fn mean_delay(&self, cap: f64, delay: f64) -> f64 {
        let (mut waiting, mut waits): (Vec<Units>, usize) = (Vec::new(), 0);
        let enough = 2.0 * delay * self.rate * self.ticks.len() as f64;
        for arrivals in &self.ticks {
            waiting.extend(arrivals);
            let chosen = choose(cap, self.rate, delay, [0.0; 3], &waiting);
            let mut stays = vec![true; waiting.len()];
            for place in chosen {
                stays[place] = false;
            }
            let mut stays = stays.into_iter();
            waiting.retain(|_| stays.next().unwrap_or(true));
            waits += waiting.len();
            if waits as f64 > enough {
                return f64::INFINITY;
            }
        }
        1.0 + waits as f64 / self.ticks.len() as f64 / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kinds, each of which fills a tick with the other and not with its like.
    fn rehearsal(rate: f64) -> Rehearsal {
        let mut dice = Dice::new(7);
        let mut ticks = vec![Vec::new(); 2_000];
        let mut at = 0.0;
        while let Some(tick) = ticks.get_mut(at as usize) {
            let kinds: [Units; 2] = [[1.2, 0.8, 1.0], [0.8, 1.2, 1.0]];
            tick.push(kinds[usize::from(unit(&mut dice) < 0.5)].map(|cost| cost / rate));
            at -= libm::log(1.0 - unit(&mut dice)) / rate;
        }
        Rehearsal { rate, ticks }
    }

    #[test]
    fn the_cap_is_the_lower_the_more_delay_is_allowed() {
        for rate in [0.8, 1.5, 4.0, 12.0] {
            let rehearsal = rehearsal(rate);
            let caps = [1.1, 1.5, 2.5, 6.0].map(|delay| {
                let cap = rehearsal.lowest(delay);
                assert!(rehearsal.mean_delay(cap, delay) <= delay, "{rate}: {cap} at {delay}");
                cap
            });
            assert!(caps.is_sorted_by(|a, b| a >= b), "{rate}: {caps:?}");
            assert!(caps[3] < 0.9 * caps[0] && caps[3] >= 1.0, "{rate}: {caps:?}");
        }
    }
}

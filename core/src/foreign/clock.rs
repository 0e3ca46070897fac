//! When a foreign server's ticks begin, by what is seen of them.

use std::collections::VecDeque;

use crate::units::tick::Tick;

/// Boundaries from which the length of a tick is taken: two minutes of them.
const BOUNDARIES_MAX: usize = 1_200;
/// Ticks between the first and the last of them before their distance is trusted.
const BOUNDARIES_APART: u64 = 100;
/// Largest distance of a tick's length from the nominal one that is believed, as a share.
const STRAY_MAX: f64 = 0.1;

/// Ticks against this machine's monotonic clock, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct TickClock {
    nominal_us: f64,
    tick_us: f64,
    /// When tick 0 began, or would have.
    origin_us: f64,
    /// Ticks that were seen to begin, and about when.
    boundaries: VecDeque<(u64, f64)>,
}

impl TickClock {
    pub(super) fn new(tick_us: f64) -> Self {
        Self { nominal_us: tick_us, tick_us, origin_us: 0.0, boundaries: VecDeque::new() }
    }

    /// Length of a tick.
    pub(super) fn tick_us(&self) -> f64 {
        self.tick_us
    }

    /// When `tick` begins.
    pub(super) fn start_us(&self, tick: Tick) -> f64 {
        self.origin_us + tick.0 as f64 * self.tick_us
    }

    /// The tick at `us`.
    pub(super) fn tick_at(&self, us: f64) -> Tick {
        Tick(((us - self.origin_us) / self.tick_us).max(0.0) as u64)
    }

    /// `tick` was the last one to begin at some moment of `asked..=answered`.
    pub(super) fn seen(&mut self, tick: Tick, asked_us: f64, answered_us: f64) {
        let start = self.start_us(tick);
        let end = start + self.tick_us;
        if start > answered_us {
            self.origin_us += answered_us - start;
        } else if end < asked_us {
            self.origin_us += asked_us - end;
        }
    }

    /// `tick` began between two looks: some time in `from..=to`.
    pub(super) fn began(&mut self, tick: Tick, from_us: f64, to_us: f64) {
        // What is seen late or seldom tells little.
        if to_us - from_us > self.nominal_us {
            return;
        }
        self.boundaries.push_back((tick.0, f64::midpoint(from_us, to_us)));
        if self.boundaries.len() > BOUNDARIES_MAX {
            self.boundaries.pop_front();
        }
        let (Some(first), Some(last)) = (self.boundaries.front(), self.boundaries.back()) else { return };
        let ticks = last.0.saturating_sub(first.0);
        if ticks < BOUNDARIES_APART {
            return;
        }
        let stray = STRAY_MAX * self.nominal_us;
        let tick_us =
            ((last.1 - first.1) / ticks as f64).clamp(self.nominal_us - stray, self.nominal_us + stray);
        // Only the length changes: the last tick begins when it did.
        self.origin_us += last.0 as f64 * (self.tick_us - tick_us);
        self.tick_us = tick_us;
    }

    /// `tick` begins at `us`; what was seen before tells nothing any more.
    pub(super) fn restart(&mut self, tick: Tick, us: f64) {
        self.boundaries.clear();
        self.origin_us = us - tick.0 as f64 * self.tick_us;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_and_length_are_found_from_looks_at_half_a_tick() {
        let mut clock = TickClock::new(100_000.0);
        let (length, phase) = (101_000.0, 33_000.0);
        let at = |us: f64| ((us - phase) / length) as u64;
        let mut last: Option<(f64, u64)> = None;
        for n in 1..4_000 {
            let asked = f64::from(n) * 47_000.0;
            let tick = at(asked);
            if let Some((before, _)) = last.filter(|(_, before)| *before < tick) {
                clock.began(Tick(tick), before, asked + 2_000.0);
            }
            clock.seen(Tick(tick), asked, asked + 2_000.0);
            last = Some((asked, tick));
        }
        assert!((clock.tick_us() / length - 1.0).abs() < 0.001, "{clock:?}");
        let start = clock.start_us(Tick(1_800));
        assert!((start - (phase + 1_800.0 * length)).abs() < 25_000.0, "{start}");
    }
}

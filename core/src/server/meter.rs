//! The meter: sums what ticks use into windows, whether that is known when the next tick begins or told later.
//!
//! ```text
//! exact  usage of t−1 ─▶ its window
//! late   usage of any tick ─▶ waits its turn ─▶ its window; a tick that nobody tells in time is unknown
//! ```
//!
//! Invariant: ticks enter windows in their order, each once.

use std::collections::BTreeMap;

use crate::{
    journal::ServerState,
    server::steps::TickUsage,
    units::{
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::{Measured, OutOfTurn},
    },
};

/// Time that a tick's usage may come late before the tick counts as unknown: a probe over a network answers within
/// tenths of a second.
const USAGE_LATE_MS_MAX: u64 = 2_000;
/// The same in ticks at the least: two windows of the default length.
const USAGE_LATE_TICKS_MIN: u64 = 20;

/// Ticks that a tick's usage may come late before the tick counts as unknown: two seconds, 20 ticks at the least.
fn usage_late_ticks_max(lengths: Lengths) -> u64 {
    lengths.ticks_in_ms(USAGE_LATE_MS_MAX).max(USAGE_LATE_TICKS_MIN)
}

/// Ticks after its last one in which a window may close. One closes in a tick: those that wait behind one that lacks a
/// tick follow one by one.
pub fn window_late_ticks_max(lengths: Lengths) -> u64 {
    let usage = usage_late_ticks_max(lengths);
    usage + usage / lengths.window_ticks + 1
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Meter {
    measured: Measured,
    /// See [`usage_late_ticks_max`].
    late_ticks_max: u64,
    /// What has been told of ticks whose turn has not come.
    told: BTreeMap<Tick, Usage>,
}

impl Default for Meter {
    fn default() -> Self {
        Self::recover(Lengths::default(), &ServerState::default())
    }
}

impl Meter {
    /// What was known when the server stopped. Usage that was told and had not had its turn is told again, or is unknown.
    pub fn recover(lengths: Lengths, state: &ServerState) -> Self {
        let measured = Measured::recover(lengths, state.open_window, state.last_window);
        Self { measured, late_ticks_max: usage_late_ticks_max(lengths), told: BTreeMap::new() }
    }

    /// The usage of the last tick, when it is known before the next one begins; none before the first tick.
    ///
    /// # Errors
    /// [`OutOfTurn`] when the tick is not the one that is waited for; nothing is changed then.
    pub fn exact(&mut self, usage: Option<TickUsage>) -> Result<Measured, OutOfTurn> {
        if let Some(TickUsage { tick, usage, executed }) = usage {
            self.measured.add(tick, &usage, executed)?;
        }
        Ok(self.measured)
    }

    /// What has been told since the last tick, of ticks before `begins`. At most one window is closed; what would close
    /// another one waits for the next tick. Who counts executions is not asked.
    pub fn late(&mut self, begins: Tick, told: impl IntoIterator<Item = (Tick, Usage)>) -> Measured {
        let next = self.next();
        let told = told.into_iter().filter(|(tick, _)| (next..begins).contains(tick));
        for (tick, usage) in told {
            // What is told twice is told the same, or nobody knows which is right.
            self.told.entry(tick).or_insert(usage);
        }
        self.measured.closed = None;
        while self.measured.closed.is_none() {
            let next = self.next();
            let added = match self.told.remove(&next) {
                Some(usage) => self.measured.add(next, &usage, 0),
                None if begins.since(next) > self.late_ticks_max => self.measured.add_unknown(next),
                None => break,
            };
            added.expect("it is the tick's turn");
        }
        self.measured
    }

    /// What windows are made of.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The first tick that is in no window.
    fn next(&self) -> Tick {
        self.measured.first_open().after(self.measured.open.ticks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::window::Window;

    /// Closed windows when `told(t)` is told as tick t begins.
    fn windows(ticks: u64, told: impl Fn(u64) -> Vec<u64>) -> Vec<(u64, Window)> {
        let mut meter = Meter::default();
        let closed = (0..ticks).filter_map(|t| {
            let told = told(t).into_iter().map(|tick| (Tick(tick), Usage::all(tick + 1)));
            meter.late(Tick(t), told).closed.map(|window| (t, window))
        });
        closed.collect()
    }

    #[test]
    fn what_is_told_in_time_closes_the_windows_of_an_exact_meter() {
        let late = windows(41, |t| t.checked_sub(1).into_iter().collect());
        let mut meter = Meter::default();
        for (closes, window) in late {
            let exact = (window.first_tick.0..=window.last_tick.0).map(|tick| {
                let usage = TickUsage { tick: Tick(tick), usage: Usage::all(tick + 1), executed: 0 };
                meter.exact(Some(usage)).unwrap()
            });
            assert_eq!(exact.last().unwrap().closed, Some(window));
            assert_eq!(closes, window.last_tick.0 + 1);
        }
        assert_eq!(meter.measured().first_open(), Tick(40));
    }

    #[test]
    fn windows_wait_for_usage_that_comes_late_twice_and_out_of_order() {
        let told = |t: u64| match t {
            // Seven ticks late, in pairs, the later one first; and what was told before comes again.
            t if t >= 8 && t % 2 == 0 => vec![t - 7, t - 8, t.saturating_sub(12)],
            _ => Vec::new(),
        };
        let closed = windows(60, told);
        let at: Vec<_> =
            closed.iter().map(|(t, window)| (*t, window.first_tick.0, window.incomplete)).collect();
        assert_eq!(at, [(16, 0, false), (26, 10, false), (36, 20, false), (46, 30, false), (56, 40, false)]);
        assert_eq!(closed[1].1.usage.cpu.max, 20);
    }

    #[test]
    fn a_tick_that_nobody_tells_in_time_makes_its_window_incomplete_and_holds_up_no_other() {
        // Tick 13 never comes.
        let closed = windows(60, |t| t.checked_sub(1).filter(|tick| *tick != 13).into_iter().collect());
        let at: Vec<_> =
            closed.iter().map(|(t, window)| (*t, window.first_tick.0, window.incomplete)).collect();
        let late = 13 + usage_late_ticks_max(Lengths::default()) + 1;
        assert_eq!(at[..3], [(10, 0, false), (late, 10, true), (late + 1, 20, false)]);
        assert_eq!(closed[1].1.usage.cpu, crate::units::window::Extent { average: 15, min: 11, max: 20 });
        assert_eq!(at[3..], [(40, 30, false), (50, 40, false)]);
    }

    #[test]
    fn usage_may_be_two_seconds_late_at_any_pace_and_twenty_ticks_at_the_least() {
        let of = |tick_ms| usage_late_ticks_max(Lengths::at_pace(tick_ms));
        assert_eq!([5, 10, 100, 1_000].map(of), [400, 200, 20, 20]);
        let lengths = Lengths::at_pace(10);
        let unknown_at = |lengths| {
            let mut meter = Meter::recover(lengths, &ServerState::default());
            (1..1_000).find(|t| meter.late(Tick(*t), []).open.ticks() > 0)
        };
        assert_eq!((unknown_at(lengths), unknown_at(Lengths::default())), (Some(201), Some(21)));
    }

    #[test]
    fn a_start_goes_on_with_the_window_that_was_being_filled() {
        let mut meter = Meter::default();
        for t in 0..17 {
            meter.late(Tick(t), t.checked_sub(1).map(|tick| (Tick(tick), Usage::all(1))));
        }
        let Measured { open, last, .. } = *meter.measured();
        let state = ServerState {
            next_tick: Tick(17),
            open_window: open,
            last_window: last,
            ..ServerState::default()
        };
        let mut again = Meter::recover(Lengths::default(), &state);
        assert_eq!(again.measured().open, open);
        let all = (16..20).map(|tick| (Tick(tick), Usage::all(1)));
        let closed = again.late(Tick(20), all).closed.unwrap();
        assert_eq!((closed.first_tick, closed.usage.cpu.min, closed.incomplete), (Tick(10), 1, false));
    }

    #[test]
    fn of_a_tick_that_has_not_begun_nothing_can_be_told() {
        let mut meter = Meter::default();
        meter.late(Tick(1), [(Tick(0), Usage::all(1)), (Tick(1), Usage::all(5)), (Tick(90), Usage::all(9))]);
        assert!(meter.told.is_empty());
        assert_eq!(meter.measured().open.ticks(), 1);
    }
}

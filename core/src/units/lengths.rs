//! How long a tick, a window and a delay are that nobody asked for: properties of a database, known to whoever reads
//! its journal.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tick::Tick;

/// Milliseconds in a tick, by default.
const TICK_MS: u64 = 100;
/// Ticks in a window, by default: one second at the default pace.
const WINDOW_TICKS: u64 = 10;
/// Ticks between an arrival and its base due tick, by default.
const DEFAULT_DELAY_TICKS: u64 = 1;

/// The shortest and the longest window, in ticks. One of a single tick is level whatever runs.
pub const WINDOW_TICKS_RANGE: std::ops::RangeInclusive<u64> = 2..=600;
/// The least and the most ticks between an arrival and its base due tick.
pub const DEFAULT_DELAY_TICKS_RANGE: std::ops::RangeInclusive<u64> = 1..=100;

/// How long a tick, a window and a delay are that nobody asked for. A journal keeps them for ever: what stands in it
/// can be read with no other ones. Window k is ticks `k·window_ticks..(k+1)·window_ticks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// Milliseconds in a tick.
    pub tick_ms: u64,
    /// Ticks in a window.
    pub window_ticks: u64,
    /// Ticks between an arrival and its base due tick.
    pub default_delay_ticks: u64,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { tick_ms: TICK_MS, window_ticks: WINDOW_TICKS, default_delay_ticks: DEFAULT_DELAY_TICKS }
    }
}

impl Lengths {
    /// From what somebody else wrote: none when it cannot be, with nothing given as by default.
    pub fn told([tick_ms, window_ticks, default_delay_ticks]: [Option<u64>; 3]) -> Option<Self> {
        let default = Self::default();
        let told = Self {
            tick_ms: tick_ms.unwrap_or(default.tick_ms),
            window_ticks: window_ticks.unwrap_or(default.window_ticks),
            default_delay_ticks: default_delay_ticks.unwrap_or(default.default_delay_ticks),
        };
        let can_be = told.tick_ms > 0
            && WINDOW_TICKS_RANGE.contains(&told.window_ticks)
            && DEFAULT_DELAY_TICKS_RANGE.contains(&told.default_delay_ticks);
        can_be.then_some(told)
    }

    /// Windows and delays as by default, at another pace.
    pub fn at_pace(tick_ms: u64) -> Self {
        Self { tick_ms, ..Self::default() }
    }

    /// The number of the window that `tick` is in.
    pub fn window_of(self, tick: Tick) -> u64 {
        tick.0 / self.window_ticks
    }

    /// The first tick of a window, by its number.
    pub fn first_of(self, window: u64) -> Tick {
        Tick(window.saturating_mul(self.window_ticks))
    }

    /// The first tick of the window that `tick` is in.
    pub fn border_before(self, tick: Tick) -> Tick {
        Tick(tick.0 - self.into_window(tick))
    }

    /// Ticks of its window before `tick`.
    pub fn into_window(self, tick: Tick) -> u64 {
        tick.0 % self.window_ticks
    }

    /// Whether a window begins with `tick`.
    pub fn is_border(self, tick: Tick) -> bool {
        tick.0.is_multiple_of(self.window_ticks)
    }

    /// When an execution that arrived in `tick` runs if nobody says otherwise.
    pub fn base_of(self, tick: Tick) -> Tick {
        tick.after(self.default_delay_ticks)
    }

    /// Whole ticks in so many milliseconds, one at least.
    pub fn ticks_in_ms(self, ms: u64) -> u64 {
        (ms / self.tick_ms.max(1)).max(1)
    }

    /// Ticks of a minute, one at least.
    pub fn minute_ticks(self) -> u64 {
        self.ticks_in_ms(60_000)
    }

    /// Whole windows in a minute, one at least.
    pub fn minute_windows(self) -> u64 {
        self.windows_in_ms(60_000)
    }

    /// Whole windows in so many milliseconds, one at least.
    pub fn windows_in_ms(self, ms: u64) -> u64 {
        (self.ticks_in_ms(ms) / self.window_ticks).max(1)
    }

    /// Milliseconds in so many ticks.
    pub fn ms_of(self, ticks: u64) -> u64 {
        ticks.saturating_mul(self.tick_ms)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tick_ms, window_ticks, default_delay_ticks } = self;
        write!(f, "ticks of {tick_ms} ms, windows of {window_ticks} ticks, a default delay of ")?;
        write!(f, "{default_delay_ticks} tick{}", if *default_delay_ticks == 1 { "" } else { "s" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        let lengths = Lengths { window_ticks: 7, ..Lengths::default() };
        let of = |tick| (lengths.window_of(tick), lengths.border_before(tick), lengths.into_window(tick));
        assert_eq!([6, 7, 15].map(Tick).map(of), [(0, Tick(0), 6), (1, Tick(7), 0), (2, Tick(14), 1)]);
        assert_eq!([13, 14].map(Tick).map(|tick| lengths.is_border(tick)), [false, true]);
        assert_eq!(lengths.first_of(3), Tick(21));
    }

    #[test]
    fn a_minute_is_sixty_seconds_at_any_pace() {
        let minute = |tick_ms, window_ticks| {
            let lengths = Lengths { tick_ms, window_ticks, default_delay_ticks: 1 };
            (lengths.minute_ticks(), lengths.minute_windows())
        };
        assert_eq!(minute(100, 10), (600, 60));
        assert_eq!(minute(5, 2), (12_000, 6_000));
        assert_eq!(minute(1_000, 600), (60, 1));
    }

    #[test]
    fn what_somebody_else_tells_is_believed_when_it_can_be() {
        assert_eq!(Lengths::told([None; 3]), Some(Lengths::default()));
        assert_eq!(Lengths::told([Some(10), None, None]), Some(Lengths::at_pace(10)));
        for wrong in
            [[Some(0), None, None], [None, Some(1), None], [None, Some(601), None], [None, None, Some(0)]]
        {
            assert_eq!(Lengths::told(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn lengths_say_what_they_are() {
        let lengths = Lengths { default_delay_ticks: 3, ..Lengths::default() };
        assert_eq!(lengths.to_string(), "ticks of 100 ms, windows of 10 ticks, a default delay of 3 ticks");
    }
}

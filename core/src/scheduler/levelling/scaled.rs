//! The settings in windows of any length. They were found in windows of ten ticks.
//!
//! What is counted in executions of a window, or in ticks of one, grows with it. Arrivals over a window stray by the root
//! of its length, and so does the stock that a steady tick sum needs. What belongs to a single tick stays.

use super::{load::Load, settings::Settings};
use crate::units::lengths::Lengths;

/// Ticks of the windows in which the settings were found.
const FOUND_IN: f64 = 10.0;
/// Ticks of the longest windows that are planned whole: in longer ones something fails to fit nearly always, and the
/// search would take longer than a tick.
const WHOLE_MAX: u64 = 20;
/// How much more must wait, by the logarithm of the window's length, so that all ticks of a window come near their
/// target: a window of ten at 50 leaves as many out as one of 600 at 330.
const MORE_STOCK: f64 = 1.37;
/// Dispersion of costs, see [`Load`], up to which the stock is enough: in the named scenarios it is 0.25 to 0.30.
const FINE: f64 = 0.35;
/// Power of the dispersion above that with which the stock grows: at 0.54 three times as much is needed.
const COARSE: f64 = 2.5;
/// Delay in ticks that all of that comes to at most: where it is not enough, long windows fail whatever is held.
const KNEE_MAX: f64 = 20.0;
/// Most that the target moves inside a window, over what it does in one of ten ticks.
const STEP_MAX: f64 = 2.0;

impl Settings {
    /// The same where executions are coarse grains of a tick, once that is known: a target is met from a larger stock.
    pub(super) fn grained(self, load: &Load) -> Self {
        if load.uncertainty > self.uncertain {
            return self;
        }
        let more = libm::pow((load.dispersion / FINE).max(1.0), COARSE);
        let knee_fine_max = (self.knee_fine_max * more).min(KNEE_MAX);
        Self { knee_by_tick: self.knee_by_tick * more, knee_fine_max, ..self }
    }

    /// Those for a database of these lengths.
    pub(super) fn of(lengths: Lengths) -> Self {
        let found = Self::default();
        let windows = lengths.window_ticks as f64 / FOUND_IN;
        let strays = libm::sqrt(windows);
        // Short windows need as much choice for a tick as others, though for fewer ticks.
        let stock = if windows < 1.0 { strays } else { windows };
        let whole = |of_ten: usize| libm::ceil(of_ten as f64 * windows) as usize;
        Self {
            whole_windows: lengths.window_ticks <= WHOLE_MAX,
            by_window_delay: found.by_window_delay * windows,
            by_tick_stock: found.by_tick_stock * (1.0 + MORE_STOCK * libm::log(windows).max(0.0)),
            knee_by_window: found.knee_by_window * stock,
            knee_ones: found.knee_ones * stock,
            knee_by_tick: found.knee_by_tick * strays.max(1.0),
            knee_fine_max: (found.knee_fine_max * strays.max(1.0)).min(KNEE_MAX),
            step_inside: found.step_inside * (1.0 / windows).min(STEP_MAX),
            stock_slack: found.stock_slack * windows,
            drain_ticks: found.drain_ticks * windows.max(1.0),
            horizon_min: whole(found.horizon_min).max(1),
            steps_begin: whole(found.steps_begin),
            steps_go_on: whole(found.steps_go_on),
            ..found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(window_ticks: u64) -> Settings {
        Settings::of(Lengths { window_ticks, ..Lengths::default() })
    }

    #[test]
    fn windows_of_ten_ticks_have_what_was_found_in_them() {
        assert_eq!(format!("{:?}", of(10)), format!("{:?}", Settings::default()));
    }

    #[test]
    fn coarse_executions_are_levelled_from_a_larger_stock_once_costs_are_known() {
        let load = |dispersion, uncertainty| Load {
            rate: 6.0,
            work: [300.0; 3],
            uncertainty,
            dispersion,
            by_query: Vec::new(),
        };
        let knee = |load: &Load| of(10).grained(load).knee_fine_max / of(10).knee_fine_max;
        assert!((knee(&load(0.3, 0.01)) - 1.0).abs() < 1e-12);
        assert!((2.5..3.5).contains(&knee(&load(0.54, 0.01))));
        assert!((knee(&load(0.54, 0.1)) - 1.0).abs() < 1e-12);
        assert!((of(30).grained(&load(2.0, 0.01)).knee_fine_max - KNEE_MAX).abs() < 1e-12);
    }

    #[test]
    fn the_target_moves_as_far_in_a_long_window_as_in_a_short_one() {
        let (ten, thirty) = (of(10), of(30));
        assert!((10.0 * ten.step_inside - 30.0 * thirty.step_inside).abs() < 1e-12);
        assert_eq!(
            [2, 10, 20, 21, 600].map(|ticks| of(ticks).whole_windows),
            [true, true, true, false, false]
        );
        assert_eq!([2, 5, 10, 20].map(|ticks| of(ticks).horizon_min), [2, 3, 6, 12]);
    }
}

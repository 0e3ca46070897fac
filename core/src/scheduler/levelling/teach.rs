//! While costs are unknown, ticks that teach: in each window one is clearly the smallest and one clearly the largest,
//! so that the window's `min` and `max` are these ticks' sums exactly.
//!
//! A window of ticks that are believed to be level tells little more than its sum: which of its ticks was the largest
//! is anybody's guess.

use super::{
    load::Load,
    settings::Settings,
    units::{Units, times},
};
use crate::units::{tick::Tick, window::WINDOW_TICKS};

/// Queries up to which it is a matter of minutes: three unknown costs are learned from a window.
const QUERIES_MAX: usize = 600;

/// Whether costs are unknown and soon need not be.
pub(super) fn is_worth_it(settings: &Settings, load: &Load) -> bool {
    load.uncertainty > settings.uncertain && load.by_query.len() <= QUERIES_MAX
}

/// What `tick` shall sum to, so that a window of the goal `level` teaches. The mean stays what it is.
pub(super) fn goal(settings: &Settings, tick: Tick, level: Units) -> Units {
    let place = tick.0 % WINDOW_TICKS;
    let share = if place == WINDOW_TICKS * 3 / 10 {
        -settings.teach_below
    } else if place == WINDOW_TICKS * 7 / 10 {
        settings.teach_above
    } else {
        (settings.teach_below - settings.teach_above) / WINDOW_TICKS.saturating_sub(2).max(1) as f64
    };
    times(level, 1.0 + share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::levelling::units::sum;

    #[test]
    fn one_tick_is_the_smallest_one_the_largest_and_the_mean_stays() {
        let settings = Settings::default();
        let goals: Vec<f64> = (0..WINDOW_TICKS)
            .map(|tick| goal(&settings, Tick(70 + tick), [100.0, 200.0, 300.0])[0])
            .collect();
        let mean = sum(goals.iter().map(|goal| [*goal; 3]))[0] / goals.len() as f64;
        assert!((mean - 100.0).abs() < 1e-9, "{goals:?}");
        let near = goals.iter().filter(|goal| (**goal - 100.0).abs() < 3.0).count();
        assert_eq!(near, goals.len() - 2, "{goals:?}");
        assert!(goals.iter().any(|goal| *goal < 70.0) && goals.iter().any(|goal| *goal > 120.0), "{goals:?}");
    }
}

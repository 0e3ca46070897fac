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
use crate::units::{lengths::Lengths, tick::Tick};

/// Queries up to which it is a matter of minutes: three unknown costs are learned from a window.
const QUERIES_MAX: usize = 600;

/// Whether costs are unknown and soon need not be. A window of two ticks has none that makes up for the others.
pub(super) fn is_worth_it(settings: &Settings, lengths: Lengths, load: &Load) -> bool {
    lengths.window_ticks > 2 && load.uncertainty > settings.uncertain && load.by_query.len() <= QUERIES_MAX
}

/// What `tick` shall sum to, so that a window of the goal `level` teaches. The mean stays what it is.
pub(super) fn goal(settings: &Settings, lengths: Lengths, tick: Tick, level: Units) -> Units {
    let (place, window) = (lengths.into_window(tick), lengths.window_ticks);
    let share = if place == window * 3 / 10 {
        -settings.teach_below
    } else if place == window * 7 / 10 {
        settings.teach_above
    } else {
        (settings.teach_below - settings.teach_above) / window.saturating_sub(2).max(1) as f64
    };
    times(level, 1.0 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tick_is_the_smallest_one_the_largest_and_the_mean_stays() {
        for window_ticks in [3, 7, 10, 60] {
            let lengths = Lengths { window_ticks, ..Lengths::default() };
            let goal = |tick| goal(&Settings::default(), lengths, Tick(tick), [100.0; 3])[0];
            let goals: Vec<f64> = (0..window_ticks).map(|tick| goal(7 * window_ticks + tick)).collect();
            let mean = goals.iter().sum::<f64>() / goals.len() as f64;
            assert!((mean - 100.0).abs() < 1e-9, "{goals:?}");
            let count = |is: fn(&f64) -> bool| goals.iter().filter(|goal| is(goal)).count();
            assert_eq!((count(|goal| *goal < 70.0), count(|goal| *goal > 120.0)), (1, 1), "{goals:?}");
        }
    }
}

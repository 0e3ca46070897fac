//! How many executions a tick has had in the last minute.

use crate::units::{lengths::Lengths, window::Window};

/// Counts that are kept: one for each window of a minute at the default lengths. They are written with every tick.
const COUNTS_MAX: u64 = 60;

/// Executions of the windows of the last minute; where it has more than 60 windows, of several at a time.
#[derive(Clone, Debug)]
pub(super) struct Minute {
    lengths: Lengths,
    /// Oldest first.
    executed: Vec<u64>,
    /// Windows in the last count.
    in_last: u64,
}

impl Minute {
    pub(super) fn new(lengths: Lengths) -> Self {
        Self { lengths, executed: Vec::new(), in_last: 0 }
    }

    /// The minute before a stop, whose last window was `last`.
    pub(super) fn recover(lengths: Lengths, executed: &[u64], last: Option<&Window>) -> Self {
        let of_last = last.map_or(0, |window| lengths.window_of(window.first_tick));
        let minute = Self { in_last: 0, executed: executed.to_vec(), lengths };
        Self { in_last: of_last % minute.windows_a_count() + 1, ..minute }
    }

    pub(super) fn closed(&mut self, window: &Window) {
        let windows = self.windows_a_count();
        let begins = self.lengths.window_of(window.first_tick).is_multiple_of(windows);
        match self.executed.last_mut() {
            Some(count) if self.in_last < windows && !begins => {
                *count += window.executed;
                self.in_last += 1;
            }
            _ => {
                // A journal of before has sixty, whatever the pace.
                while self.executed.len() as u64 >= self.lengths.minute_windows().div_ceil(windows) {
                    self.executed.remove(0);
                }
                self.executed.push(window.executed);
                self.in_last = 1;
            }
        }
    }

    /// Oldest first.
    pub(super) fn executed(&self) -> &[u64] {
        &self.executed
    }

    /// None before the first window has closed.
    pub(super) fn mean_per_tick(&self) -> Option<f64> {
        let before = (self.executed.len() as u64).checked_sub(1)? * self.windows_a_count();
        let ticks = (before + self.in_last) * self.lengths.window_ticks;
        Some(self.executed.iter().sum::<u64>() as f64 / ticks as f64)
    }

    fn windows_a_count(&self) -> u64 {
        self.lengths.minute_windows().div_ceil(COUNTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{
        resource::PerResource,
        tick::Tick,
        window::{Extent, Window},
    };

    fn window(lengths: Lengths, number: u64, executed: u64) -> Window {
        let first_tick = lengths.first_of(number);
        Window {
            first_tick,
            last_tick: Tick(first_tick.0 + lengths.window_ticks - 1),
            usage: PerResource::all(Extent::default()),
            executed,
            in_corridor: false,
            running: 0,
            incomplete: false,
        }
    }

    /// 6,000 windows of two ticks of five milliseconds: 60 counts of a hundred windows each.
    #[test]
    fn a_minute_of_short_windows_has_no_more_counts_than_one_of_long_ones() {
        let lengths = Lengths { tick_ms: 5, window_ticks: 2, default_delay_ticks: 1 };
        let mut minute = Minute::new(lengths);
        assert_eq!(minute.mean_per_tick(), None);
        for number in 0..7_050 {
            minute.closed(&window(lengths, number, if number < 100 { 50 } else { 6 }));
            let expected = if number < 100 { 25.0 } else { 3.0 };
            let mean = minute.mean_per_tick().unwrap();
            assert!((100..6_000).contains(&number) || (mean - expected).abs() < 1e-9, "{number}: {mean}");
        }
        assert_eq!((minute.executed().len(), minute.in_last), (60, 50));
        let again = Minute::recover(lengths, minute.executed(), Some(&window(lengths, 7_049, 6)));
        assert_eq!(again.mean_per_tick(), minute.mean_per_tick());
    }

    #[test]
    fn a_window_that_is_longer_than_a_minute_is_the_mean_alone() {
        let lengths = Lengths { tick_ms: 1_000, window_ticks: 600, default_delay_ticks: 1 };
        let mut minute = Minute::new(lengths);
        minute.closed(&window(lengths, 0, 9_000));
        minute.closed(&window(lengths, 1, 600));
        assert_eq!((minute.executed(), minute.mean_per_tick()), (&[600][..], Some(1.0)));
    }
}

//! A window that is being filled, and how far it is out of the corridor.

use super::{
    item::Item,
    units::{Units, minus, plus, sum, times},
};

/// What is given: ticks that have run, executions to choose from.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    /// Sums of the window's ticks that have run.
    pub(super) past: Vec<Units>,
    /// Sums of what must run in the ticks that are planned, whatever else does.
    pub(super) fixed: Vec<Units>,
    /// What may run.
    pub(super) items: &'a [Item],
    /// What running each of them in this window is worth, in percentage points of deviation.
    pub(super) worth: Vec<f64>,
    /// Largest deviation from the mean that counts as level, as a share of it.
    pub(super) tolerance: f64,
    /// What a tick should not pass, so that it is no peak of its minute.
    pub(super) limit: Units,
    /// What a percentage point beyond it costs, in percentage points of deviation.
    pub(super) peak_worth: f64,
}

/// Which executions run in which of the planned ticks.
#[derive(Clone, Debug)]
pub(super) struct Filling {
    pub(super) ticks: Vec<Vec<usize>>,
    pub(super) sums: Vec<Units>,
}

impl Filling {
    pub(super) fn new(frame: &Frame<'_>, ticks: Vec<Vec<usize>>) -> Self {
        let sums = ticks
            .iter()
            .zip(&frame.fixed)
            .map(|(items, fixed)| plus(*fixed, sum(items.iter().map(|i| frame.items[*i].cost))))
            .collect();
        Self { ticks, sums }
    }

    pub(super) fn exchange(&mut self, frame: &Frame<'_>, tick: usize, at: usize, item: usize) {
        let before = std::mem::replace(&mut self.ticks[tick][at], item);
        self.sums[tick] = plus(minus(self.sums[tick], frame.items[before].cost), frame.items[item].cost);
    }

    pub(super) fn put(&mut self, frame: &Frame<'_>, tick: usize, item: usize) {
        self.ticks[tick].push(item);
        self.sums[tick] = plus(self.sums[tick], frame.items[item].cost);
    }

    pub(super) fn take(&mut self, frame: &Frame<'_>, tick: usize, at: usize) -> usize {
        let item = self.ticks[tick].swap_remove(at);
        self.sums[tick] = minus(self.sums[tick], frame.items[item].cost);
        item
    }
}

impl<'a> Frame<'a> {
    /// The same with fewer planned ticks.
    pub(super) fn first(&self, ticks: usize) -> Frame<'a> {
        let mut frame = self.clone();
        frame.fixed.truncate(ticks);
        frame
    }

    /// Mean of the ticks that have run and are planned.
    pub(super) fn mean(&self, filling: &Filling) -> Units {
        let ticks = self.past.len() + filling.sums.len();
        let all = self.past.iter().chain(&filling.sums).copied();
        times(sum(all), 1.0 / ticks.max(1) as f64)
    }

    /// Percentage points by which ticks leave the tolerance, summed over ticks and resources.
    pub(super) fn excess(&self, filling: &Filling) -> f64 {
        let scale = self.mean(filling).map(|mean| 100.0 / mean.max(1e-9));
        let tolerance = 100.0 * self.tolerance;
        let mut excess = 0.0;
        for sums in self.past.iter().chain(&filling.sums) {
            for r in 0..3 {
                excess += ((sums[r] * scale[r] - 100.0).abs() - tolerance).max(0.0);
            }
        }
        excess
    }

    /// What planned ticks beyond the limit cost, in percentage points of deviation.
    pub(super) fn over(&self, filling: &Filling) -> f64 {
        let scale = self.limit.map(|limit| 100.0 / limit.max(1e-9));
        let over = |sums: &Units| (0..3).map(|r| (sums[r] * scale[r] - 100.0).max(0.0)).sum::<f64>();
        self.peak_worth * filling.sums.iter().map(over).sum::<f64>()
    }
}

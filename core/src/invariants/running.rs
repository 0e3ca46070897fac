//! What windows say of executions that had begun and ended later, held against when those ended.

use std::collections::BTreeMap;

use super::finding::{Finding, Findings};
use crate::{
    journal::Executed,
    units::{lengths::Lengths, tick::Tick, window::Window},
};

/// See the module. By the windows' numbers; what is 0 is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    lengths: Lengths,
    recorded: BTreeMap<u64, u64>,
    counted: BTreeMap<u64, u64>,
    last: Option<u64>,
}

impl Running {
    pub(super) fn new(lengths: Lengths) -> Self {
        Self { lengths, ..Self::default() }
    }

    pub(super) fn executed(&mut self, executed: &Executed) {
        let (began, ended) =
            (self.lengths.window_of(executed.tick), self.lengths.window_of(executed.finished_tick));
        // What ends in the window in which it begins, as nearly everything does, is in no other one.
        for number in began..ended {
            *self.counted.entry(number).or_default() += 1;
        }
    }

    pub(super) fn window(&mut self, window: &Window) {
        let number = self.lengths.window_of(window.first_tick);
        self.last = self.last.max(Some(number));
        if window.running > 0 {
            self.recorded.insert(number, window.running);
        }
    }

    /// Nothing follows. `open` are the ticks in which what has not ended was released.
    pub(super) fn finish(
        mut self,
        first_tick: Tick,
        open: impl Iterator<Item = Tick>,
        findings: &mut Findings,
    ) {
        let Some(last) = self.last else { return };
        for tick in open {
            for number in self.lengths.window_of(tick)..=last {
                *self.counted.entry(number).or_default() += 1;
            }
        }
        let numbers: Vec<_> = self.recorded.keys().chain(self.counted.keys()).copied().collect();
        for number in numbers.into_iter().collect::<std::collections::BTreeSet<_>>() {
            let of = |counts: &BTreeMap<u64, u64>| counts.get(&number).copied().unwrap_or_default();
            let (recorded, counted) = (of(&self.recorded), of(&self.counted));
            let window_tick = self.lengths.first_of(number);
            // What was released before the proof starts, and has not ended, may be known to nobody.
            let unknown = first_tick > Tick(0) && counted < recorded;
            if number <= last && window_tick >= first_tick && counted != recorded && !unknown {
                findings.add(Finding::WindowRunning { first_tick: window_tick, recorded, counted });
            }
        }
    }
}

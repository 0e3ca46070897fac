//! What levelling brings and costs: the last minute with it, beside the same minute without.
//!
//! "Without" is the [`Counterfactual`]: every execution at its base due tick, at learned costs. A real
//! database offers nothing better: what was not run cannot be measured.

use std::collections::VecDeque;

use serde::Serialize;

use crate::{
    estimator::Estimates,
    insight::counterfactual::Counterfactual,
    journal::Record,
    units::{lengths::Lengths, tick::Tick, window::Window},
};

/// How often the minute is judged, in milliseconds: with every window, unless they are short.
const JUDGED_MS: u64 = 1_000;

/// One minute, judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Windows judged: those of the last minute, one at least.
    pub windows: usize,
    /// Share of them in the corridor.
    pub in_corridor: f64,
    /// Share that would have been in it without levelling; none before costs are known.
    pub in_corridor_without: Option<f64>,
    /// Executions that ran in them.
    pub executed: usize,
    /// Their mean delay; 1 = none added.
    pub delay_ticks_mean: f64,
    /// The 99th percentile of their delays, by nearest rank.
    pub delay_ticks_p99: u64,
}

/// Folds the journal into the last minute's summary.
#[derive(Clone, Debug, Default)]
pub struct Benefit {
    lengths: Lengths,
    windows: VecDeque<Judged>,
    /// Delays of what ran since the last closed window.
    delays: Vec<u64>,
    without: Counterfactual,
    summary: Summary,
    /// The last tick of the window with which the minute was judged.
    judged: Option<Tick>,
}

#[derive(Clone, Debug)]
struct Judged {
    in_corridor: bool,
    delays: Vec<u64>,
}

impl Benefit {
    /// Of a database of these lengths, before the first entry.
    pub fn new(lengths: Lengths) -> Self {
        Self { lengths, without: Counterfactual::new(lengths), ..Self::default() }
    }

    /// Applies an entry. A closed window has the minute judged that it ends, at what costs are known to be now.
    pub fn apply(&mut self, record: &Record, estimates: &Estimates) {
        match record {
            Record::Executed(executed) => self.delays.push(executed.delay_ticks()),
            Record::Queue(event) => self.without.queue_event(event),
            Record::Window(window) => self.window(window, estimates),
        }
    }

    fn window(&mut self, window: &Window, estimates: &Estimates) {
        self.without.window(window);
        if self.windows.len() as u64 >= self.lengths.minute_windows() {
            self.windows.pop_front();
        }
        let delays = std::mem::take(&mut self.delays);
        self.windows.push_back(Judged { in_corridor: window.in_corridor, delays });
        let fresh = |judged| window.last_tick.since(judged) < self.lengths.ticks_in_ms(JUDGED_MS);
        if !self.judged.is_some_and(fresh) {
            self.judged = Some(window.last_tick);
            self.summary = self.judge(estimates);
        }
    }

    /// The last minute, as of its last closed window.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// What would have been without levelling.
    pub fn without(&self) -> &Counterfactual {
        &self.without
    }

    fn judge(&self, estimates: &Estimates) -> Summary {
        let windows = self.windows.len();
        let level = self.windows.iter().filter(|judged| judged.in_corridor).count();
        let mut delays: Vec<u64> = self.windows.iter().flat_map(|judged| &judged.delays).copied().collect();
        delays.sort_unstable();
        let p99 = (delays.len() * 99).div_ceil(100).max(1) - 1;
        Summary {
            windows,
            in_corridor: level as f64 / windows.max(1) as f64,
            in_corridor_without: self.without.in_corridor(estimates, None),
            executed: delays.len(),
            delay_ticks_mean: delays.iter().sum::<u64>() as f64 / delays.len().max(1) as f64,
            delay_ticks_p99: delays.get(p99).copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        journal::{Executed, Outcome},
        units::{
            ids::{ExecutionId, QueryId},
            resource::PerResource,
            window::Extent,
        },
    };

    fn ran(delay: u64) -> Record {
        Record::Executed(Executed {
            execution: ExecutionId(Uuid::nil()),
            query: QueryId(Uuid::nil()),
            queued_tick: Tick(0),
            due_tick: Tick(1),
            tick: Tick(delay),
            finished_tick: Tick(delay),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        })
    }

    fn window(first: u64, in_corridor: bool) -> Record {
        Record::Window(Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent::default()),
            executed: 0,
            in_corridor,
            running: 0,
            incomplete: false,
        })
    }

    #[test]
    fn share_and_delays_are_those_of_the_last_minute() {
        let mut benefit = Benefit::default();
        let estimates = Estimates::default();
        benefit.apply(&ran(500), &estimates);
        benefit.apply(&window(0, false), &estimates);
        for n in 1..=60 {
            benefit.apply(&ran(1 + u64::from(n == 60)), &estimates);
            benefit.apply(&window(n * 10, n % 2 == 0), &estimates);
        }
        let summary = benefit.summary();
        assert_eq!((summary.windows, summary.executed, summary.delay_ticks_p99), (60, 60, 2));
        assert!((summary.in_corridor - 0.5).abs() < 1e-12);
        assert!((summary.delay_ticks_mean - 61.0 / 60.0).abs() < 1e-12);
    }

    #[test]
    fn before_the_first_window_nothing_is_claimed() {
        assert_eq!(Benefit::default().summary(), Summary::default());
    }
}

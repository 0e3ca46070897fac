//! What levelling brings and costs: the last minute with it, beside the same minute without.
//!
//! "Without" is what the ticks would have used had every execution run at its base due tick, at learned
//! costs. A real database offers nothing better: what was not run cannot be measured.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::{
    estimator::Estimates,
    ids::ExecutionId,
    journal::{Executed, QueueEvent, QueueRecord},
    resource::{PerResource, Resource},
    tick::Tick,
    window::{WINDOW_TICKS, Window},
};

/// Windows looked back on: a minute at the default pace.
const WINDOWS: usize = 60;

/// One minute, judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Windows judged, at most 60.
    pub windows: usize,
    /// Share of them in the corridor.
    pub in_corridor: f64,
    /// Share that would have been in it without levelling, at learned costs.
    pub in_corridor_without: f64,
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
    windows: VecDeque<Judged>,
    /// Delays of what ran since the last closed window.
    delays: Vec<u64>,
    /// Usage at base due ticks, for windows that have not closed.
    without: BTreeMap<Tick, PerResource<f64>>,
    /// What a later `/delay` moves.
    due: BTreeMap<ExecutionId, (Tick, PerResource<f64>)>,
}

#[derive(Clone, Debug)]
struct Judged {
    with: bool,
    without: bool,
    delays: Vec<u64>,
}

impl Benefit {
    /// Applies an event of the queue, at the costs known now.
    pub fn queue_event(&mut self, record: &QueueRecord, estimates: &Estimates) {
        match record.event {
            QueueEvent::Queued => {
                let cost = estimates.get(record.query).map_or_else(PerResource::default, |known| known.cost);
                *self.without.entry(record.due_tick).or_default() += cost;
                self.due.insert(record.execution, (record.due_tick, cost));
            }
            QueueEvent::Delayed => {
                let Some((due_tick, cost)) = self.due.get_mut(&record.execution) else { return };
                if let Some(usage) = self.without.get_mut(due_tick) {
                    *usage += cost.map(|cost| -cost);
                }
                *due_tick = record.due_tick;
                *self.without.entry(record.due_tick).or_default() += *cost;
            }
            QueueEvent::Released => {}
        }
    }

    /// Applies an execution.
    pub fn executed(&mut self, executed: &Executed) {
        self.due.remove(&executed.execution);
        self.delays.push(executed.delay_ticks());
    }

    /// Judges a closed window.
    pub fn window(&mut self, window: &Window) {
        if self.windows.len() == WINDOWS {
            self.windows.pop_front();
        }
        let without = self.level_without(window.first_tick);
        self.without = self.without.split_off(&window.last_tick.next());
        let delays = std::mem::take(&mut self.delays);
        self.windows.push_back(Judged { with: window.in_corridor, without, delays });
    }

    /// The last minute.
    pub fn summary(&self) -> Summary {
        let share = |of: fn(&Judged) -> bool| {
            self.windows.iter().filter(|judged| of(judged)).count() as f64 / self.windows.len().max(1) as f64
        };
        let mut delays: Vec<u64> = self.windows.iter().flat_map(|judged| &judged.delays).copied().collect();
        delays.sort_unstable();
        let p99 = (delays.len() * 99).div_ceil(100).max(1) - 1;
        Summary {
            windows: self.windows.len(),
            in_corridor: share(|judged| judged.with),
            in_corridor_without: share(|judged| judged.without),
            executed: delays.len(),
            delay_ticks_mean: delays.iter().sum::<u64>() as f64 / delays.len().max(1) as f64,
            delay_ticks_p99: delays.get(p99).copied().unwrap_or_default(),
        }
    }

    fn level_without(&self, first: Tick) -> bool {
        let ticks: Vec<_> = (0..WINDOW_TICKS)
            .map(|i| self.without.get(&first.after(i)).copied().unwrap_or_default())
            .collect();
        Resource::ALL.iter().all(|&r| {
            let mean = ticks.iter().map(|usage| usage[r]).sum::<f64>() / WINDOW_TICKS as f64;
            mean > 0.0 && ticks.iter().all(|usage| (0.9 * mean..=1.1 * mean).contains(&usage[r]))
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{estimator::CostEstimate, ids::QueryId, journal::Outcome, window::Extent};

    fn estimates() -> Estimates {
        let unseen = CostEstimate {
            cost: PerResource::all(10.0),
            standard_error: PerResource::all(0.0),
            observations: 1,
            identifiable: true,
        };
        Estimates::new(BTreeMap::new(), Some(unseen))
    }

    fn event(n: u128, event: QueueEvent, due: u64) -> QueueRecord {
        QueueRecord {
            event,
            execution: ExecutionId(Uuid::from_u128(n)),
            query: QueryId(Uuid::nil()),
            tick: Tick(0),
            due_tick: Tick(due),
            added_ticks: 0,
        }
    }

    fn ran(n: u128, tick: u64) -> Executed {
        Executed {
            execution: ExecutionId(Uuid::from_u128(n)),
            query: QueryId(Uuid::nil()),
            queued_tick: Tick(0),
            due_tick: Tick(1),
            tick: Tick(tick),
            finished_tick: Tick(tick),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
        }
    }

    fn window(in_corridor: bool) -> Window {
        Window {
            first_tick: Tick(0),
            last_tick: Tick(9),
            usage: PerResource::all(Extent::default()),
            executed: 0,
            in_corridor,
        }
    }

    #[test]
    fn a_window_that_would_have_been_level_is_told_from_one_that_would_not() {
        let mut level = Benefit::default();
        (0..10).for_each(|n| level.queue_event(&event(n, QueueEvent::Queued, n as u64), &estimates()));
        let mut uneven = level.clone();
        uneven.queue_event(&event(3, QueueEvent::Delayed, 4), &estimates());
        level.window(&window(false));
        uneven.window(&window(true));
        assert_eq!((level.summary().in_corridor, level.summary().in_corridor_without), (0.0, 1.0));
        assert_eq!((uneven.summary().in_corridor, uneven.summary().in_corridor_without), (1.0, 0.0));
    }

    #[test]
    fn delays_are_those_of_the_last_minute() {
        let mut benefit = Benefit::default();
        benefit.executed(&ran(1, 500));
        benefit.window(&window(true));
        for n in 0..60 {
            benefit.executed(&ran(n, 1 + u64::from(n == 59)));
            benefit.window(&window(true));
        }
        let summary = benefit.summary();
        assert_eq!((summary.windows, summary.executed, summary.delay_ticks_p99), (60, 60, 2));
    }

    #[test]
    fn memory_is_bounded_by_what_waits() {
        let mut benefit = Benefit::default();
        for n in 0..10 {
            benefit.queue_event(&event(n, QueueEvent::Queued, 5), &estimates());
            benefit.executed(&ran(n, 5));
        }
        benefit.window(&window(true));
        assert!(benefit.due.is_empty() && benefit.without.is_empty());
    }
}

//! What would have been used if nobody levelled.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    estimator::{Background, Estimates},
    journal::{QueueEvent, QueueRecord},
    units::{
        ids::QueryId,
        lengths::Lengths,
        resource::{PerResource, Resource},
        tick::Tick,
        window::{Extent, Window},
    },
};

/// Windows that are looked back on at least, where they are long.
const WINDOWS_MIN: u64 = 2;
/// Executions that are remembered: that minute at 300 a tick. Beyond it the oldest ticks are forgotten.
const RUNS_MAX: usize = 200_000;

/// Every execution at its base due tick, at its learned cost.
///
/// It is fed with the queue's events, which say when an execution is due as soon as it arrives: what the
/// scheduler holds back is missing from the measured windows and not from here. Windows say how far time is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counterfactual {
    lengths: Lengths,
    due: BTreeMap<Tick, Vec<QueryId>>,
    runs: usize,
    /// Ticks from here on are complete; nothing before the first event.
    complete_from: Option<Tick>,
    /// The last tick of the latest window.
    closed: Option<Tick>,
}

impl Counterfactual {
    /// Of a database of these lengths, before the first entry.
    pub fn new(lengths: Lengths) -> Self {
        Self { lengths, ..Self::default() }
    }

    /// Ticks that are looked back on: a minute.
    fn kept_ticks(&self) -> u64 {
        self.lengths.minute_ticks().max(WINDOWS_MIN * self.lengths.window_ticks)
    }

    /// Applies an event of the queue.
    pub fn queue_event(&mut self, record: &QueueRecord) {
        match record.event {
            QueueEvent::Queued => {
                self.complete_from.get_or_insert(record.tick.next());
                self.add(record.due_tick, record.query);
            }
            QueueEvent::Delayed => {
                self.remove(Tick(record.due_tick.0.saturating_sub(record.added_ticks)), record.query);
                self.add(record.due_tick, record.query);
            }
            QueueEvent::Released => {}
            QueueEvent::Dropped => self.remove(record.due_tick, record.query),
        }
    }

    fn remove(&mut self, due: Tick, query: QueryId) {
        if let Some(queries) = self.due.get_mut(&due)
            && let Some(at) = queries.iter().position(|of| *of == query)
        {
            queries.swap_remove(at);
            self.runs -= 1;
        }
    }

    /// Notes that a window has closed.
    pub fn window(&mut self, window: &Window) {
        self.closed = self.closed.max(Some(window.last_tick));
        let oldest = Tick(window.last_tick.next().0.saturating_sub(self.kept_ticks()));
        while self.due.first_key_value().is_some_and(|(tick, _)| *tick < oldest) {
            self.forget_oldest();
        }
        self.complete_from = self.complete_from.map(|from| from.max(oldest));
    }

    /// Usage per tick, in resource units, of the ticks that are complete up to the last closed window; none
    /// before costs are known.
    pub fn usage(
        &self,
        estimates: &Estimates,
        background: Option<&Background>,
    ) -> Option<(Tick, Vec<PerResource<f64>>)> {
        let (from, to) = (self.complete_from?, self.closed?);
        let ticks = (from.0..=to.0).map(|tick| self.in_tick(Tick(tick), estimates, background));
        Some((from, ticks.collect::<Option<_>>()?))
    }

    fn in_tick(
        &self,
        tick: Tick,
        estimates: &Estimates,
        background: Option<&Background>,
    ) -> Option<PerResource<f64>> {
        let mut sum = background.map(|background| background.cost).unwrap_or_default();
        for query in self.due.get(&tick).into_iter().flatten() {
            sum += estimates.get(*query)?.cost;
        }
        Some(sum)
    }

    /// The window that begins with `first`; none unless it is complete and its costs are known.
    pub fn in_window(
        &self,
        first: Tick,
        estimates: &Estimates,
        background: Option<&Background>,
    ) -> Option<Without> {
        let end = first.after(self.lengths.window_ticks);
        if self.complete_from? > first || self.closed? < Tick(end.0 - 1) {
            return None;
        }
        let ticks = (first.0..end.0).map(|tick| self.in_tick(Tick(tick), estimates, background));
        let ticks = ticks.collect::<Option<Vec<_>>>()?;
        let usage = PerResource::from_fn(|r| {
            let values = || ticks.iter().map(|usage| usage[r]);
            Extent {
                average: values().sum::<f64>() / ticks.len() as f64,
                min: values().fold(f64::INFINITY, f64::min),
                max: values().fold(0.0, f64::max),
            }
        });
        Some(Without { usage, in_corridor: is_level(&ticks) })
    }

    /// Share of the last minute's windows that would have been in the corridor; none before there is one.
    pub fn in_corridor(&self, estimates: &Estimates, background: Option<&Background>) -> Option<f64> {
        let (from, usage) = self.usage(estimates, background)?;
        let window_ticks = self.lengths.window_ticks;
        let before_first_window = (from.0.next_multiple_of(window_ticks) - from.0) as usize;
        let windows = usage.get(before_first_window..)?.chunks_exact(window_ticks as usize);
        let count = windows.len();
        let level = windows.filter(|window| is_level(window)).count();
        (count > 0).then(|| level as f64 / count as f64)
    }

    fn add(&mut self, due: Tick, query: QueryId) {
        if Some(due) < self.complete_from.min(self.closed) {
            return;
        }
        self.due.entry(due).or_default().push(query);
        self.runs += 1;
        while self.runs > RUNS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((tick, queries)) = self.due.pop_first() {
            self.runs -= queries.len();
            self.complete_from = self.complete_from.max(Some(tick.next()));
        }
    }
}

/// What one window would have used if nobody levelled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Without {
    /// Resource units a tick.
    pub usage: PerResource<Extent<f64>>,
    /// Whether it would have been in the corridor.
    pub in_corridor: bool,
}

/// The corridor of `window`, for sums that are not integers.
fn is_level(window: &[PerResource<f64>]) -> bool {
    Resource::ALL.into_iter().all(|r| {
        let mean = window.iter().map(|usage| usage[r]).sum::<f64>() / window.len() as f64;
        let level = |usage: &PerResource<f64>| usage[r] <= 1.1 * mean && usage[r] >= 0.9 * mean;
        mean > 0.0 && window.iter().all(level)
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        estimator::CostEstimate,
        units::{ids::ExecutionId, resource::Usage},
    };

    const QUERY: QueryId = QueryId(Uuid::from_u128(7));

    fn estimates() -> Estimates {
        let cost = CostEstimate {
            cost: PerResource::all(30.0),
            standard_error: PerResource::all(1.0),
            observations: 9,
            identifiable: true,
        };
        Estimates::new(BTreeMap::from([(QUERY, cost)]), None)
    }

    fn event(event: QueueEvent, tick: u64, due: u64, added: u64) -> QueueRecord {
        QueueRecord {
            event,
            execution: ExecutionId::new(tick, 0),
            query: QUERY,
            tick: Tick(tick),
            due_tick: Tick(due),
            added_ticks: added,
            statement: None,
        }
    }

    fn window(first: u64) -> Window {
        Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: Usage::default().map(|_| Extent::default()),
            executed: 0,
            in_corridor: false,
            running: 0,
            incomplete: false,
        }
    }

    /// One execution arrives in every tick from 0 on.
    fn one_a_tick(ticks: u64) -> Counterfactual {
        let mut counterfactual = Counterfactual::default();
        for tick in 0..ticks {
            counterfactual.queue_event(&event(QueueEvent::Queued, tick, tick + 1, 0));
            if tick % 10 == 0 && tick > 0 {
                counterfactual.window(&window(tick - 10));
            }
        }
        counterfactual
    }

    #[test]
    fn executions_count_where_they_were_due() {
        let mut counterfactual = one_a_tick(41);
        assert_eq!(counterfactual.in_corridor(&estimates(), None), Some(1.0));
        // Somebody delays one from tick 15 to tick 25: two windows are uneven.
        counterfactual.queue_event(&event(QueueEvent::Delayed, 14, 25, 10));
        let (from, usage) = counterfactual.usage(&estimates(), None).unwrap();
        assert_eq!(from, Tick(1));
        assert_eq!((usage[14].cpu, usage[24].cpu, usage[23].cpu), (0.0, 60.0, 30.0));
        assert_eq!(counterfactual.in_corridor(&estimates(), None), Some(1.0 / 3.0));
        let second = counterfactual.in_window(Tick(10), &estimates(), None).unwrap();
        let expected = Extent { average: 27.0, min: 0.0, max: 30.0 };
        assert_eq!((second.usage.io, second.in_corridor), (expected, false));
        assert_eq!(counterfactual.in_window(Tick(0), &estimates(), None), None);
        assert_eq!(counterfactual.in_window(Tick(40), &estimates(), None), None);
    }

    #[test]
    fn the_background_counts_and_unknown_costs_give_nothing() {
        let counterfactual = one_a_tick(21);
        let background = Background { cost: PerResource::all(5.0), standard_error: PerResource::default() };
        let (_, usage) = counterfactual.usage(&estimates(), Some(&background)).unwrap();
        assert!(usage.iter().all(|usage| usage.io.to_bits() == 35.0f64.to_bits()));
        assert_eq!(counterfactual.in_corridor(&Estimates::default(), None), None);
    }

    #[test]
    fn an_idle_window_is_not_level() {
        let mut counterfactual = Counterfactual::default();
        counterfactual.queue_event(&event(QueueEvent::Queued, 0, 25, 24));
        counterfactual.window(&window(10));
        assert_eq!(counterfactual.in_corridor(&estimates(), None), Some(0.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut counterfactual = one_a_tick(10_000);
        assert!(counterfactual.runs <= 620, "{}", counterfactual.runs);
        for _ in 0..=RUNS_MAX {
            counterfactual.queue_event(&event(QueueEvent::Queued, 10_000, 10_001, 0));
        }
        assert!(counterfactual.runs <= RUNS_MAX);
    }
}

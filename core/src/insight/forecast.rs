//! What the learned costs say of each window, beside what was measured.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    estimator::Estimates,
    insight::counterfactual::{Counterfactual, Without},
    journal::{Executed, Record},
    units::{
        lengths::Lengths,
        resource::{PerResource, Resource},
        tick::Tick,
        window::Window,
    },
};

/// Windows that are told about again and again at most: those of a minute, unless they are short.
const WINDOWS_MAX: u64 = 600;
/// A window's average is truncated to an integer: half of that is missing in the mean.
const TRUNCATED: f64 = 0.5;

/// One window, as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Its first tick.
    pub first_tick: Tick,
    /// Mean units a tick of what ran in it, at the costs that were known before it was seen; none before
    /// costs are known.
    pub predicted: Option<PerResource<f64>>,
    /// What would have been used if nobody levelled.
    pub without: Option<Without>,
}

/// Folds the journal into forecasts. For people only.
#[derive(Clone, Debug, Default)]
pub struct Forecaster {
    lengths: Lengths,
    /// Units that ran in each tick since the last closed window; none where a cost was not known.
    ran: BTreeMap<Tick, Option<PerResource<f64>>>,
    forecasts: VecDeque<Forecast>,
    /// Squared relative errors of as many windows, oldest first.
    errors: VecDeque<f64>,
}

impl Forecaster {
    /// Of a database of these lengths, before the first entry.
    pub fn new(lengths: Lengths) -> Self {
        Self { lengths, ..Self::default() }
    }

    /// Applies an entry: an execution at what was known when it ran, a window at what is known after it.
    pub fn apply(
        &mut self,
        record: &Record,
        known: &Estimates,
        without: &Counterfactual,
        learned: &Estimates,
    ) {
        match record {
            Record::Executed(executed) => self.executed(executed, known),
            Record::Window(window) => self.window(window, without, learned),
            Record::Queue(_) => {}
        }
    }

    fn executed(&mut self, executed: &Executed, estimates: &Estimates) {
        let cost = estimates.get(executed.query).map(|estimate| estimate.cost);
        let sum = self.ran.entry(executed.finished_tick).or_insert_with(|| Some(PerResource::default()));
        *sum = sum.zip(cost).map(|(sum, cost)| sum + cost);
    }

    fn window(&mut self, window: &Window, without: &Counterfactual, estimates: &Estimates) {
        let later = self.ran.split_off(&window.last_tick.next());
        let ran = std::mem::replace(&mut self.ran, later);
        let mut sum = Some(PerResource::default());
        for units in ran.range(window.first_tick..).map(|(_, units)| *units) {
            sum = sum.zip(units).map(|(sum, units)| sum + units);
        }
        // So that one who has missed some finds them.
        let kept = self.lengths.minute_windows().min(WINDOWS_MAX) as usize;
        // An idle window says nothing about whether costs are known.
        let known = estimates.iter().next().is_some();
        let predicted =
            sum.filter(|_| known).map(|sum| sum.map(|units| units / self.lengths.window_ticks as f64));
        if let Some(predicted) = predicted.as_ref().filter(|_| !window.incomplete) {
            push(&mut self.errors, kept, squared_error(predicted, window));
        }
        let without = without.in_window(window.first_tick, estimates, None);
        push(&mut self.forecasts, kept, Forecast { first_tick: window.first_tick, predicted, without });
    }

    /// The last minute's windows, oldest first.
    pub fn forecasts(&self) -> impl Iterator<Item = &Forecast> {
        self.forecasts.iter()
    }

    /// Root mean square over the last minute of (predicted − measured) / measured; none before costs are known.
    pub fn residual(&self) -> Option<f64> {
        let mean = self.errors.iter().sum::<f64>() / self.errors.len() as f64;
        (!self.errors.is_empty()).then(|| libm::sqrt(mean))
    }
}

fn push<T>(ring: &mut VecDeque<T>, kept: usize, value: T) {
    if ring.len() >= kept {
        ring.pop_front();
    }
    ring.push_back(value);
}

fn squared_error(predicted: &PerResource<f64>, window: &Window) -> f64 {
    let errors = Resource::ALL.map(|r| {
        let measured = window.usage[r].average as f64 + TRUNCATED;
        let error = (predicted[r] - measured) / measured;
        error * error
    });
    errors.iter().sum::<f64>() / errors.len() as f64
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        estimator::CostEstimate,
        journal::Outcome,
        units::{
            ids::{ExecutionId, QueryId},
            window::Extent,
        },
    };

    const QUERY: QueryId = QueryId(Uuid::from_u128(7));

    fn ran(tick: u64) -> Executed {
        Executed {
            execution: ExecutionId::new(tick, 0),
            query: QUERY,
            queued_tick: Tick(tick),
            due_tick: Tick(tick),
            tick: Tick(tick),
            finished_tick: Tick(tick),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        }
    }

    fn window(first: u64, average: u64) -> Window {
        Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent { average, min: 0, max: 30 }),
            executed: 10,
            in_corridor: true,
            running: 0,
            incomplete: false,
        }
    }

    #[test]
    fn what_ran_is_predicted_at_the_costs_that_were_known() {
        let cost = CostEstimate {
            cost: PerResource::all(20.0),
            standard_error: PerResource::all(1.0),
            observations: 1,
            identifiable: true,
        };
        let known = Estimates::new(BTreeMap::from([(QUERY, cost)]), None);
        let (mut forecaster, nothing) = (Forecaster::default(), Counterfactual::default());
        forecaster.executed(&ran(0), &Estimates::default());
        forecaster.window(&window(0, 2), &nothing, &known);
        assert_eq!(forecaster.forecasts().last().unwrap().predicted, None);
        assert_eq!(forecaster.residual(), None);
        // The commit that closes a window holds the next tick's executions, too.
        for tick in 10..=20 {
            forecaster.executed(&ran(tick), &known);
        }
        forecaster.window(&window(10, 24), &nothing, &known);
        assert_eq!(forecaster.forecasts().last().unwrap().predicted, Some(PerResource::all(20.0)));
        assert!((forecaster.residual().unwrap() - 4.5 / 24.5).abs() < 1e-12);
        forecaster.window(&window(20, 2), &nothing, &known);
        assert_eq!(forecaster.forecasts().last().unwrap().predicted, Some(PerResource::all(2.0)));
    }
}

//! The same arrivals in a queue that is levelled, or is not: what the database would have done.

use std::collections::BTreeMap;

use crate::{
    circle::{Circle, Ticked},
    estimator::Estimates,
    journal::{Executed, Mode, QueueEvent, QueueRecord, Record},
    scheduler::{Feasibility, PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::{lengths::Lengths, resource::Usage, tick::Tick},
};

/// How a twin is levelled.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinSettings {
    /// Who levels it.
    pub policy: PolicyName,
    /// Ceiling for the mean delay, in ticks; none lets the policy choose.
    pub delay_budget: Option<f64>,
    /// How long slots may hold executions.
    pub limits: HoldLimits,
    /// Of the database.
    pub lengths: Lengths,
}

/// A queue beside the real one: the same arrivals, `/delay`s and maximum delays, a scheduler of its own, without effect.
///
/// What runs in the twin uses what is known of its query's cost. Entries are collected as they come; ticks are run by
/// [`Twin::run`], once all entries of a tick are there.
pub struct Twin {
    circle: Circle,
    levels: bool,
    /// The tick that is run next.
    next: Tick,
    /// What happened in ticks that have not been run.
    events: BTreeMap<Tick, Vec<QueueRecord>>,
}

impl Twin {
    /// A twin whose first tick is the first border of a window from `from` on. What waits there already is not in it.
    pub fn new(settings: TwinSettings, from: Tick) -> Self {
        let TwinSettings { policy, delay_budget, limits, lengths } = settings;
        let first = Tick(from.0.next_multiple_of(lengths.window_ticks));
        let mode = if policy.levels() { Mode::Enforce } else { Mode::Off };
        let scheduler = Scheduler::new(policy, lengths, limits.clone(), delay_budget);
        Self {
            circle: Circle::new(lengths, mode, limits, scheduler, first),
            levels: policy.levels(),
            next: first,
            events: BTreeMap::new(),
        }
    }

    /// The tick that is run next.
    pub fn next(&self) -> Tick {
        self.next
    }

    /// Collects what happened to an execution.
    pub fn event(&mut self, event: &QueueRecord) {
        if event.tick >= self.next {
            self.events.entry(event.tick).or_default().push(event.clone());
        } else {
            // It was done after its tick, which has been run.
            self.circle.repeat(event);
        }
    }

    /// Runs the next tick, at costs as they are known now. What a journal would have recorded, and what was decided.
    pub fn run(&mut self, estimates: &Estimates) -> (Vec<Record>, Option<Feasibility>) {
        let (Ticked { commit, .. }, feasibility) = self.step(estimates);
        (commit.records, feasibility)
    }

    /// The same, with what ran and what that used.
    pub fn step(&mut self, estimates: &Estimates) -> (Ticked, Option<Feasibility>) {
        let tick = self.next;
        let events = self.events.remove(&tick).unwrap_or_default();
        let arrived = events.iter().filter(|event| event.event == QueueEvent::Queued);
        let arrivals = arrived.map(|event| (event.execution, event.query)).collect();
        let ticked = self.circle.step(tick, arrivals, |executed| cost(executed, estimates));
        for event in &events {
            self.circle.repeat(event);
        }
        let feasibility = self.levels.then(|| self.circle.level(tick, estimates));
        self.next = tick.next();
        (ticked, feasibility)
    }

    /// When each execution that waits was queued.
    pub fn waiting(&self) -> impl Iterator<Item = Tick> {
        self.circle.queue().planned().map(|planned| planned.queued.queued_tick)
    }
}

/// What an execution uses, as far as that is known: nothing before the first cost is.
fn cost(executed: &Executed, estimates: &Estimates) -> Usage {
    let known = estimates.get(executed.query).map(|estimate| estimate.cost);
    known.unwrap_or_default().map(|units| libm::round(units.max(0.0)) as u64)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::units::ids::{ExecutionId, QueryId};

    fn event(event: QueueEvent, tick: u64, due: u64, added_ticks: u64) -> QueueRecord {
        let (execution, query) = (ExecutionId::new(1, 1), QueryId(Uuid::from_u128(7)));
        QueueRecord {
            event,
            execution,
            query,
            tick: Tick(tick),
            due_tick: Tick(due),
            added_ticks,
            statement: None,
        }
    }

    /// When the one execution runs, and what is done to it after tick 0 has been run.
    fn ran(after: &[QueueRecord]) -> Option<Tick> {
        let (limits, lengths) = (HoldLimits::default(), Lengths::default());
        let settings = TwinSettings { policy: PolicyName::None, delay_budget: None, limits, lengths };
        let mut twin = Twin::new(settings, Tick(0));
        twin.event(&event(QueueEvent::Queued, 0, 1, 0));
        twin.run(&Estimates::default());
        for event in after {
            twin.event(event);
        }
        let records = (1..20).flat_map(|_| twin.run(&Estimates::default()).0).collect::<Vec<_>>();
        records.iter().find_map(|record| match record {
            Record::Executed(executed) => Some(executed.tick),
            _ => None,
        })
    }

    #[test]
    fn what_is_done_between_two_ticks_is_done_in_the_twin_too() {
        assert_eq!(ran(&[]), Some(Tick(1)));
        assert_eq!(ran(&[event(QueueEvent::Delayed, 0, 8, 7)]), Some(Tick(8)));
        assert_eq!(ran(&[event(QueueEvent::Dropped, 0, 1, 0)]), None);
    }
}

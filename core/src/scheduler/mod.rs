//! When each waiting execution should run.
//!
//! ```text
//! journal entries ──▶ Fold: what waits, how often queries arrive, what ran ──▶ Problem ──policy──▶ Plan
//! estimates ────────────────────────────────────────────────────────────────────┘   (slots, reasons, feasible?)
//! ```

mod arrivals;
mod backlog;
mod decay;
mod delays;
mod fold;
mod handover;
mod levelling;
pub mod pacing;
mod policies;
mod problem;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use arrivals::ArrivalRates;
pub use backlog::Backlog;
pub use fold::{SchedulerSnapshot, SnapshotError};
pub use levelling::{Carry, plan};
pub use policies::{Policy, PolicyName, UnknownPolicy};
pub use problem::{Binding, Expected, Feasibility, Pending, Plan, Problem};
pub use recent::Ran;

use self::fold::Fold;
use crate::{
    estimator::Estimates,
    journal::Record,
    server::{
        control::{SetOutcome, SetResult},
        queue::HoldLimits,
    },
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick},
};

/// Folds the journal and plans, tick after tick.
pub struct Scheduler {
    lengths: Lengths,
    fold: Fold,
    policy: Box<dyn Policy>,
    delay_budget: Option<f64>,
    /// Soft: what was expected at the last window's border.
    expected: Option<(u64, Vec<Expected>)>,
    /// Soft: what waits by the journal and, by the server's answers, does not.
    gone: BTreeSet<ExecutionId>,
}

impl Scheduler {
    /// A scheduler that has seen nothing of a database of these lengths. `delay_budget` is a ceiling for the mean delay in
    /// ticks, where 1 is none added; none lets the policy choose.
    pub fn new(policy: PolicyName, lengths: Lengths, limits: HoldLimits, delay_budget: Option<f64>) -> Self {
        Self::with(policy, lengths, Fold::new(lengths, limits), delay_budget)
    }

    /// The scheduler that a snapshot was taken of. What its policy carried is not in it and comes back
    /// within a few windows.
    ///
    /// # Errors
    /// [`SnapshotError`] when no sequence of entries leads to the snapshot.
    pub fn restore(
        policy: PolicyName,
        lengths: Lengths,
        limits: HoldLimits,
        delay_budget: Option<f64>,
        snapshot: SchedulerSnapshot,
    ) -> Result<Self, SnapshotError> {
        Ok(Self::with(policy, lengths, Fold::restore(lengths, limits, snapshot)?, delay_budget))
    }

    fn with(policy: PolicyName, lengths: Lengths, fold: Fold, delay_budget: Option<f64>) -> Self {
        let policy = policy.build(lengths);
        Self { lengths, fold, policy, delay_budget, expected: None, gone: BTreeSet::new() }
    }

    /// What is stored so that a restart loses nothing.
    pub fn snapshot(&self) -> SchedulerSnapshot {
        self.fold.snapshot()
    }

    /// Applies an entry of the journal.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Executed(executed) => {
                self.fold.executed(executed);
                self.policy.executed(executed);
            }
            Record::Queue(event) => self.fold.queue_event(event),
            Record::Window(window) => self.policy.window(window),
        }
    }

    /// Applies what the server answered: what has run, or is not known there, takes no room in a plan, even if its
    /// entry never comes. Soft: it is no part of the snapshot, the next answers tell it again.
    pub fn answered(&mut self, results: &[SetResult]) {
        let gone = results.iter().filter(|result| result.result != SetOutcome::Set);
        self.gone.extend(gone.map(|result| result.execution));
    }

    /// What should run when, seen from after `tick`: its slots act from the next tick on.
    pub fn decide(&mut self, tick: Tick, estimates: &Estimates) -> Plan {
        let window = self.lengths.window_of(tick.next());
        if self.expected.as_ref().is_none_or(|(of, _)| *of != window) {
            self.expected = Some((window, self.fold.arrivals.expected(tick)));
        }
        let backlog = &self.fold.backlog;
        self.gone.retain(|execution| backlog.contains(*execution));
        let pending = self.pending();
        self.policy.plan(&Problem {
            lengths: self.lengths,
            tick,
            pending: &pending,
            estimates,
            expected: self.expected.as_ref().map_or(&[], |(_, expected)| expected),
            recent: self.fold.recent.ran(),
            recent_delay: self.fold.delays.mean_ticks(tick),
            delay_budget: self.delay_budget,
        })
    }

    /// The same for a leader that ends after `tick`: everything that waits has a slot, and the load goes on at the pace
    /// at which executions arrive.
    pub fn hand_over(&mut self, tick: Tick, estimates: &Estimates) -> Plan {
        let Plan { set, feasibility } = self.decide(tick, estimates);
        let pace = self.fold.arrivals.per_tick(tick);
        Plan {
            set: handover::hand_over(self.lengths, tick, &self.pending(), set, estimates, pace),
            feasibility,
        }
    }

    /// What waits, as far as the server has not said otherwise.
    fn pending(&self) -> Vec<Pending> {
        let pending = self.fold.backlog.pending();
        pending.filter(|pending| !self.gone.contains(&pending.execution)).copied().collect()
    }
}

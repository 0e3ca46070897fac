//! What each query costs, learned from 1-second averages.
//!
//! ```text
//! executions ─▶ assembly ─▶ observation ─▶ knowledge ─▶ estimates
//! windows ────▶ (in tick      (borders in   │
//!               order)         doubt are    ├ up to 512 queries: a learner a resource, of two models
//!                              weighed)     │   (windows exact or noisy), each with all covariances
//!                                           └ more: sparse equations, solved a few at a time
//! ```
//!
//! A window says three things of ten unknown tick sums: what they add up to (truncated), that each lies
//! between `min` and `max`, and, once it is certain which tick was the extreme one, that tick's sum
//! exactly. Each is an equation or an interval for a linear combination of costs.

mod assembly;
mod belief;
mod borders;
mod equations;
mod estimates;
mod knowledge;
mod learner;
mod memory;
mod model;
mod noise;
mod numbers;
mod observation;
mod population;
pub mod runs;
mod snapshot;
mod sparse;
mod truncated;

use std::collections::BTreeMap;

use self::{
    assembly::Assembly,
    equations::{BACKGROUND, Equations, QUERIES},
    knowledge::Knowledge,
    memory::Memory,
    truncated::Moments,
};
pub use self::{
    assembly::LateWindow,
    estimates::{Background, CostEstimate, Estimates},
    memory::OpenWindow,
    observation::{Observation, TickRuns},
    snapshot::{Snapshot, SnapshotError},
};
use crate::{
    journal::{Executed, Record},
    units::{
        ids::QueryId,
        resource::{PerResource, Resource},
        window::Window,
    },
};

/// Learns costs from executions and the windows that they ran in.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Snapshot", try_from = "Snapshot")]
pub struct Estimator {
    assembly: Assembly,
    /// The belief's number of each query, less [`QUERIES`].
    numbers: BTreeMap<QueryId, usize>,
    /// Executions seen in applied windows, by number.
    observed: Vec<f64>,
    knowledge: Option<Knowledge>,
    memory: Memory,
    estimates: Estimates,
}

impl Estimator {
    /// Applies an entry of the journal.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Executed(executed) => self.executed(executed),
            Record::Window(window) => self.window(window),
            Record::Queue(_) => {}
        }
    }

    /// Notes an execution; it counts once the windows of its ticks are closed.
    pub fn executed(&mut self, executed: &Executed) {
        self.assembly.executed(executed);
        self.apply_complete();
    }

    /// Notes a closed window; it is applied once the executions that it counts have been seen.
    pub fn window(&mut self, window: &Window) {
        self.assembly.window(window);
        self.apply_complete();
    }

    /// What of the state its stored form, which is that of format 1, has no place for.
    pub fn late_windows(&self) -> Vec<LateWindow> {
        self.assembly.late().collect()
    }

    /// Puts back what [`Estimator::late_windows`] said.
    ///
    /// # Errors
    /// [`SnapshotError`] when it belongs to another state.
    pub fn restore_late_windows(&mut self, late: &[LateWindow]) -> Result<(), SnapshotError> {
        self.assembly.restore_late(late)
    }

    /// What of the state its stored form has no place for, either: windows that may still tell something.
    pub fn open_windows(&self) -> Vec<OpenWindow> {
        self.memory.stored()
    }

    /// Puts back what [`Estimator::open_windows`] said.
    ///
    /// # Errors
    /// [`SnapshotError`] when it belongs to another state.
    pub fn restore_open_windows(&mut self, open: &[OpenWindow]) -> Result<(), SnapshotError> {
        let variables = self.knowledge.as_ref().and_then(Knowledge::dense_variables).unwrap_or_default();
        self.memory = Memory::restore(open, variables)?;
        Ok(())
    }

    /// What is known.
    pub fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    /// What a tick uses when nothing runs; nothing before the first window.
    pub fn background(&self) -> Option<Background> {
        let background = |r| self.knowledge.as_ref().map(|knowledge| knowledge.background(r));
        let (cpu, io, memory) =
            (background(Resource::Cpu)?, background(Resource::Io)?, background(Resource::Memory)?);
        let background = PerResource { cpu, io, memory };
        Some(Background {
            cost: background.map(|moments| moments.mean.max(0.0)),
            standard_error: background.map(|moments| libm::sqrt(moments.variance)),
        })
    }

    /// Learns from a window that was put together elsewhere.
    pub fn observe(&mut self, observation: &Observation) {
        self.learn(observation);
        self.publish();
    }

    fn apply_complete(&mut self) {
        let mut applied = false;
        while let Some(observation) = self.assembly.next() {
            self.learn(&observation);
            applied = true;
        }
        if applied {
            self.publish();
        }
    }

    fn learn(&mut self, observation: &Observation) {
        let equations = self.equations(observation);
        if self.knowledge.is_none() && equations.executions > 0.0 {
            self.knowledge = Some(Knowledge::new(&observation.usage, &equations));
        }
        if let Some(knowledge) = &mut self.knowledge {
            knowledge.learn(&mut self.memory, &observation.usage, equations, self.observed.len());
        }
    }

    /// Numbers the observation's queries, new ones in order, and counts their executions.
    fn equations(&mut self, observation: &Observation) -> Equations {
        let mut ticks = Vec::with_capacity(observation.ticks.len());
        for tick in &observation.ticks {
            let mut terms = Vec::with_capacity(tick.runs.len() + 1);
            terms.push((BACKGROUND, 1.0));
            for (query, executions) in &tick.runs {
                let next = self.observed.len();
                let number = *self.numbers.entry(*query).or_insert(next);
                if number == next {
                    self.observed.push(0.0);
                }
                self.observed[number] += executions * tick.share;
                terms.push((QUERIES + number, *executions));
            }
            terms.sort_unstable_by_key(|(variable, _)| *variable);
            ticks.push((terms, tick.share));
        }
        Equations::new(ticks)
    }

    fn publish(&mut self) {
        let Some(knowledge) = &self.knowledge else { return };
        let estimate = |moments: PerResource<Moments>, observations: u64, identifiable: bool| CostEstimate {
            cost: moments.map(|moments| moments.mean.max(0.0)),
            standard_error: moments.map(|moments| libm::sqrt(moments.variance)),
            observations,
            identifiable,
        };
        let of_query = |query: usize| {
            let moments = PerResource::from_fn(|r| knowledge.cost(query, r));
            let identifiable = Resource::ALL.into_iter().all(|r| knowledge.is_identified(query, r));
            estimate(moments, libm::round(self.observed[query]) as u64, identifiable)
        };
        let unseen = estimate(PerResource::from_fn(|r| knowledge.unseen(r)), 0, false);
        self.estimates.renew(self.numbers.iter().map(|(query, number)| (*query, of_query(*number))), unseen);
    }
}

//! What each query costs, learned from 1-second averages.
//!
//! ```text
//! executions ─▶ assembly ─▶ observation ─▶ learner (one a resource) ─▶ estimates
//! windows ────▶ (in tick                   belief: means, covariances
//!               order)                     population: what to expect of any query
//!                                          noise: how far measurements stray
//! ```

mod assembly;
mod belief;
mod borders;
mod equations;
mod estimates;
mod learner;
mod model;
mod noise;
mod numbers;
mod observation;
mod population;
mod snapshot;
mod truncated;

use std::collections::BTreeMap;

use self::{
    assembly::Assembly,
    equations::{BACKGROUND, Equations, QUERIES, TYPICAL},
    learner::Learner,
};
pub use self::{
    estimates::{Background, CostEstimate, Estimates},
    observation::{Observation, TickRuns},
    snapshot::{Snapshot, SnapshotError},
};
use crate::{
    ids::QueryId,
    journal::Executed,
    resource::{PerResource, Resource},
    window::Window,
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
    learners: Option<PerResource<Learner>>,
    estimates: Estimates,
}

impl Estimator {
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

    /// What is known.
    pub fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    /// What a tick uses when nothing runs; nothing before the first window.
    pub fn background(&self) -> Option<Background> {
        let learners = self.learners.as_ref()?;
        Some(Background {
            cost: PerResource::from_fn(|r| learners[r].model().belief.mean(BACKGROUND).max(0.0)),
            standard_error: PerResource::from_fn(|r| {
                libm::sqrt(learners[r].model().belief.variance(BACKGROUND))
            }),
        })
    }

    #[doc(hidden)]
    pub fn debug(&self) -> String {
        self.learners.as_ref().map_or(String::new(), |l| {
            let of = |l: &Learner| {
                format!(
                    "{:.4} {:.1} {:4.0}",
                    libm::sqrt(l.noisy.noise.variance(1.0)),
                    libm::sqrt(l.noisy.population.variance()),
                    l.exact_leads
                )
            };
            format!("{} {}", of(&l.cpu), of(&l.io))
        })
    }

    /// Learns from a window that was put together elsewhere.
    pub fn observe(&mut self, observation: &Observation) {
        self.apply(observation);
        self.publish();
    }

    fn apply_complete(&mut self) {
        let mut applied = false;
        while let Some(observation) = self.assembly.next() {
            self.apply(&observation);
            applied = true;
        }
        if applied {
            self.publish();
        }
    }

    fn apply(&mut self, observation: &Observation) {
        let mut equations = self.equations(observation);
        if self.learners.is_none() && equations.executions > 0.0 {
            self.learners = Some(PerResource::from_fn(|r| Learner::new(observation.usage[r], &equations)));
        }
        let Some(learners) = &mut self.learners else { return };
        for resource in Resource::ALL {
            learners[resource].admit(self.observed.len());
        }
        borders::weigh(&mut equations, &observation.usage, learners);
        for resource in Resource::ALL {
            learners[resource].learn(observation.usage[resource], &equations);
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
        let Some(learners) = &self.learners else { return };
        let estimate = |number: usize| {
            let of = |r: Resource| (&learners[r].model().belief, &learners[r].model().population);
            let variable = QUERIES + number;
            CostEstimate {
                cost: PerResource::from_fn(|r| of(r).0.mean(variable).max(0.0)),
                standard_error: PerResource::from_fn(|r| libm::sqrt(of(r).0.variance(variable))),
                observations: libm::round(self.observed[number]) as u64,
                identifiable: Resource::ALL.into_iter().all(|r| {
                    let (belief, population) = of(r);
                    population::deviation_variance(belief, number) < 0.5 * population.variance()
                }),
            }
        };
        let by_query = self.numbers.iter().map(|(query, number)| (*query, estimate(*number))).collect();
        let unseen = CostEstimate {
            cost: PerResource::from_fn(|r| learners[r].model().belief.mean(TYPICAL).max(0.0)),
            standard_error: PerResource::from_fn(|r| {
                libm::sqrt(
                    learners[r].model().belief.variance(TYPICAL) + learners[r].model().population.variance(),
                )
            }),
            observations: 0,
            identifiable: false,
        };
        self.estimates = Estimates::new(by_query, Some(unseen));
    }
}

//! An estimator's state, to be kept and restored to the bit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Estimator, assembly::Assembly, belief::Belief, equations::QUERIES, knowledge::Knowledge,
    learner::Learner, model::Model, noise::Noise, numbers::Numbers, population::Population,
    sparse::SparseSnapshot,
};
use crate::units::{ids::QueryId, resource::PerResource};

/// Everything that an [`Estimator`] knows. Restored, it goes on as if nothing had happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    assembly: Assembly,
    /// Queries in the order in which they were numbered.
    queries: Vec<QueryId>,
    observed: Numbers,
    knowledge: Option<KnowledgeSnapshot>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum KnowledgeSnapshot {
    Dense(Box<PerResource<ResourceSnapshot>>),
    Sparse(Box<SparseSnapshot>),
}

/// One resource's part of a [`Snapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceSnapshot {
    exact: ModelSnapshot,
    noisy: ModelSnapshot,
    exact_leads: Numbers,
}

/// A model's part of a [`ResourceSnapshot`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelSnapshot {
    mean: Numbers,
    /// The covariances' lower triangle, row by row.
    covariance: Numbers,
    /// The population's variance, its first guess, then each query's precision.
    population: Numbers,
    population_next: usize,
    /// Relative variances of averages and of ticks.
    noise: Numbers,
    contradictions: u32,
}

/// A snapshot that no estimator can have written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Parts do not fit together.
    #[error("the estimator's snapshot has {got} {what} where {expected} are expected")]
    Length {
        /// Of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A query stands twice.
    #[error("the estimator's snapshot has query {query} twice")]
    Twice {
        /// Which.
        query: QueryId,
    },
    /// A number cannot be.
    #[error("the estimator's snapshot has a {what} that cannot be")]
    Value {
        /// Which.
        what: &'static str,
    },
}

impl From<Estimator> for Snapshot {
    fn from(estimator: Estimator) -> Self {
        let mut queries: Vec<_> = estimator.numbers.into_iter().collect();
        queries.sort_unstable_by_key(|(_, number)| *number);
        Self {
            assembly: estimator.assembly,
            queries: queries.into_iter().map(|(query, _)| query).collect(),
            observed: Numbers(estimator.observed),
            knowledge: estimator.knowledge.as_ref().map(KnowledgeSnapshot::of),
        }
    }
}

impl TryFrom<Snapshot> for Estimator {
    type Error = SnapshotError;

    fn try_from(snapshot: Snapshot) -> Result<Self, SnapshotError> {
        let count = snapshot.queries.len();
        expect("observation counts", snapshot.observed.0.len(), count)?;
        all("observation count", &snapshot.observed.0, |observed| observed >= 0.0)?;
        let mut numbers = BTreeMap::new();
        for (number, query) in snapshot.queries.into_iter().enumerate() {
            if numbers.insert(query, number).is_some() {
                return Err(SnapshotError::Twice { query });
            }
        }
        snapshot.assembly.check()?;
        let knowledge = snapshot.knowledge.map(|knowledge| knowledge.restore(count)).transpose()?;
        let mut estimator = Self {
            assembly: snapshot.assembly,
            numbers,
            observed: snapshot.observed.0,
            knowledge,
            ..Self::default()
        };
        estimator.publish();
        Ok(estimator)
    }
}

impl KnowledgeSnapshot {
    fn of(knowledge: &Knowledge) -> Self {
        match knowledge {
            Knowledge::Dense(learners) => {
                Self::Dense(Box::new(PerResource::from_fn(|r| ResourceSnapshot::of(&learners[r]))))
            }
            Knowledge::Sparse(sparse) => Self::Sparse(Box::new(SparseSnapshot::of(sparse))),
        }
    }

    fn restore(self, queries: usize) -> Result<Knowledge, SnapshotError> {
        Ok(match self {
            Self::Dense(resources) => {
                let PerResource { cpu, io, memory } = *resources;
                Knowledge::Dense(Box::new(PerResource {
                    cpu: cpu.restore(queries)?,
                    io: io.restore(queries)?,
                    memory: memory.restore(queries)?,
                }))
            }
            Self::Sparse(sparse) => Knowledge::Sparse(Box::new(sparse.restore(queries)?)),
        })
    }
}

impl ResourceSnapshot {
    fn of(learner: &Learner) -> Self {
        Self {
            exact: ModelSnapshot::of(&learner.exact),
            noisy: ModelSnapshot::of(&learner.noisy),
            exact_leads: Numbers(vec![learner.exact_leads]),
        }
    }

    fn restore(self, queries: usize) -> Result<Learner, SnapshotError> {
        expect("leads", self.exact_leads.0.len(), 1)?;
        all("lead", &self.exact_leads.0, |_| true)?;
        Ok(Learner {
            exact: self.exact.restore(queries)?,
            noisy: self.noisy.restore(queries)?,
            exact_leads: self.exact_leads.0[0],
        })
    }
}

impl ModelSnapshot {
    fn of(model: &Model) -> Self {
        let count = model.belief.len();
        let Population { variance, first_guess, precision, next } = &model.population;
        Self {
            mean: Numbers((0..count).map(|i| model.belief.mean(i)).collect()),
            covariance: Numbers(
                (0..count)
                    .flat_map(|i| (0..=i).map(move |j| (i, j)))
                    .map(|(i, j)| model.belief.covariance(i, j))
                    .collect(),
            ),
            population: Numbers([&[*variance, *first_guess], precision.as_slice()].concat()),
            population_next: *next,
            noise: Numbers(model.noise.relative_variances().to_vec()),
            contradictions: model.contradictions,
        }
    }

    fn restore(self, queries: usize) -> Result<Model, SnapshotError> {
        let count = QUERIES + queries;
        expect("means", self.mean.0.len(), count)?;
        expect("covariances", self.covariance.0.len(), count * (count + 1) / 2)?;
        expect("precisions", self.population.0.len(), 2 + queries)?;
        all("mean", &self.mean.0, |_| true)?;
        all("covariance", &self.covariance.0, |_| true)?;
        all("precision", &self.population.0, |precision| precision >= 0.0)?;
        let belief = Belief::restore(self.mean.0, &self.covariance.0);
        if (0..count).any(|i| belief.variance(i) < 0.0) {
            return Err(SnapshotError::Value { what: "variance" });
        }
        if self.population_next > queries {
            return Err(SnapshotError::Value { what: "next query" });
        }
        let population = Population {
            variance: self.population.0[0],
            first_guess: self.population.0[1],
            precision: self.population.0[2..].to_vec(),
            next: self.population_next,
        };
        Ok(Model {
            belief,
            population,
            noise: restore_noise(&self.noise)?,
            contradictions: self.contradictions,
        })
    }
}

pub(super) fn restore_noise(numbers: &Numbers) -> Result<Noise, SnapshotError> {
    expect("noise levels", numbers.0.len(), 2)?;
    Noise::restore([numbers.0[0], numbers.0[1]]).ok_or(SnapshotError::Value { what: "noise level" })
}

pub(super) fn expect(what: &'static str, got: usize, expected: usize) -> Result<(), SnapshotError> {
    if got == expected { Ok(()) } else { Err(SnapshotError::Length { what, got, expected }) }
}

pub(super) fn all(
    what: &'static str,
    numbers: &[f64],
    valid: impl Fn(f64) -> bool,
) -> Result<(), SnapshotError> {
    let fine = numbers.iter().all(|number| number.is_finite() && valid(*number));
    if fine { Ok(()) } else { Err(SnapshotError::Value { what }) }
}

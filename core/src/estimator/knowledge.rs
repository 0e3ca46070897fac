//! What is known of all costs: with all covariances while queries are few, sparse when they are many.

use super::{
    borders,
    equations::{BACKGROUND, Equations, QUERIES, TYPICAL},
    learner::Learner,
    memory::Memory,
    sparse::{General, Sparse},
    truncated::Moments,
};
use crate::units::{
    resource::{PerResource, Resource},
    window::Extent,
};

/// Queries up to which all covariances are kept: an update costs their square, two milliseconds here, and
/// a snapshot 11 MB.
pub(super) const DENSE_MAX: usize = 512;

/// Costs by query and resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Knowledge {
    Dense(Box<PerResource<Learner>>),
    Sparse(Box<Sparse>),
}

impl Knowledge {
    /// Begins with the first window in which something ran.
    pub(super) fn new(usage: &PerResource<Extent>, equations: &Equations) -> Self {
        Self::Dense(Box::new(PerResource::from_fn(|r| Learner::new(usage[r], equations))))
    }

    /// Learns from a window, after which `count` queries have been seen, and from what `memory` has of earlier ones.
    pub(super) fn learn(
        &mut self,
        memory: &mut Memory,
        usage: &PerResource<Extent>,
        mut equations: Equations,
        count: usize,
    ) {
        if let Self::Dense(learners) = self
            && count > DENSE_MAX
        {
            *self = Self::Sparse(Box::new(go_sparse(learners)));
            *memory = Memory::default();
        }
        match self {
            Self::Dense(learners) => {
                for r in Resource::ALL {
                    learners[r].admit(count);
                }
            }
            Self::Sparse(sparse) => sparse.admit(count),
        }
        borders::weigh(&mut equations, |r, way| self.likelihood_of_average(r, usage[r], way));
        match self {
            Self::Dense(learners) => {
                for r in Resource::ALL {
                    if learners[r].learn(usage[r], &equations) {
                        memory.forget(r);
                    }
                }
                memory.look_back(learners, usage, equations);
            }
            Self::Sparse(sparse) => sparse.learn(usage, &equations),
        }
    }

    fn likelihood_of_average(&self, r: Resource, usage: Extent, equations: &Equations) -> f64 {
        match self {
            Self::Dense(learners) => learners[r].model().likelihood_of_average(usage, equations),
            Self::Sparse(sparse) => sparse.likelihood_of_average(r, usage, equations),
        }
    }

    /// A query's cost.
    pub(super) fn cost(&self, query: usize, r: Resource) -> Moments {
        match self {
            Self::Dense(learners) => moments(&learners[r], QUERIES + query),
            Self::Sparse(sparse) => {
                let cost = sparse.cost(query, r);
                Moments { mean: cost.mean(), variance: cost.variance }
            }
        }
    }

    /// Whether more is known of a query's cost than of any query's.
    pub(super) fn is_identified(&self, query: usize, r: Resource) -> bool {
        self.cost(query, r).variance < 0.5 * self.spread(r)
    }

    /// What to expect of a query that was never seen.
    pub(super) fn unseen(&self, r: Resource) -> Moments {
        let typical = match self {
            Self::Dense(learners) => moments(&learners[r], TYPICAL),
            Self::Sparse(sparse) => sparse.general[r].moments(TYPICAL),
        };
        Moments { variance: typical.variance + self.spread(r), ..typical }
    }

    /// What a tick uses when nothing runs.
    pub(super) fn background(&self, r: Resource) -> Moments {
        match self {
            Self::Dense(learners) => moments(&learners[r], BACKGROUND),
            Self::Sparse(sparse) => sparse.general[r].moments(BACKGROUND),
        }
    }

    /// Variables of the dense belief; none when covariances are not kept.
    pub(super) fn dense_variables(&self) -> Option<usize> {
        match self {
            Self::Dense(learners) => Some(learners.cpu.exact.belief.len()),
            Self::Sparse(_) => None,
        }
    }

    fn spread(&self, r: Resource) -> f64 {
        match self {
            Self::Dense(learners) => learners[r].model().population.variance(),
            Self::Sparse(sparse) => sparse.general[r].spread,
        }
    }
}

fn moments(learner: &Learner, variable: usize) -> Moments {
    let belief = &learner.model().belief;
    Moments { mean: belief.mean(variable), variance: belief.variance(variable) }
}

/// Drops the covariances between queries.
fn go_sparse(learners: &PerResource<Learner>) -> Sparse {
    let count = learners.cpu.model().belief.len() - QUERIES;
    let cost = |query: usize, r: Resource| {
        let moments = moments(&learners[r], QUERIES + query);
        (moments.mean, moments.variance)
    };
    let known = (0..count).map(|query| Resource::ALL.map(|r| cost(query, r))).collect();
    Sparse::new(PerResource::from_fn(|r| General::new(learners[r].model())), known)
}

//! Entries on their way through the client's half, and its state.

use std::sync::Arc;

use actix::Message;
use evenkeel_core::{
    estimator::{Estimates, Estimator, Observation},
    journal::Entry,
    scheduler::{SchedulerSnapshot, SnapshotError},
    units::{lengths::Lengths, tick::Tick},
};

use crate::messages::Lost;

/// Consumer → Estimator: entries of the journal, each stream in its own order.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), LearnError>")]
pub struct Batch {
    /// What was read.
    pub entries: Arc<Vec<Entry>>,
    /// Windows of a server that is watched from outside: what runs in them is known only so well, and costs
    /// are learned from these instead of from `entries`. None for a journal.
    pub observed: Option<Arc<Vec<Observation>>>,
    /// How long the database's ticks and windows are, where the source tells that.
    pub lengths: Option<Lengths>,
    /// The last tick that they tell about, when nothing younger was there to be read: time to decide.
    pub caught_up: Option<Tick>,
}

/// Estimator → Scheduler: the same entries, and what is known of costs after them.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), LearnError>")]
pub struct Learned {
    /// What was read.
    pub batch: Batch,
    /// Learned costs.
    pub estimates: Arc<Estimates>,
}

/// Why a batch was not applied: the consumer starts again from its snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// See [`Lost`].
    #[error(transparent)]
    Lost(#[from] Lost),
    /// An actor failed on it.
    #[error("the {0} failed on it")]
    Failed(&'static str),
}

/// Consumer → Estimator: a copy of your state, as of the last batch.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Estimator, Lost>")]
pub struct GetEstimator;

/// Consumer → Scheduler: a copy of your state, as of the last batch.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<SchedulerSnapshot, Lost>")]
pub struct GetScheduler;

/// Consumer → Estimator: start again from this.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct RestoreEstimator(pub Estimator);

/// Consumer → Scheduler: start again from this, or from nothing.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), SnapshotError>")]
pub struct RestoreScheduler(pub Option<SchedulerSnapshot>);

/// Program → Consumer: write the client's state now. Answered when it is durable.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct SaveState;

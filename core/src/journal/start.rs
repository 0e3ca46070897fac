//! The starts of a journal's writers, one after the other.

use serde::{Deserialize, Serialize};

use crate::units::tick::Tick;

/// A writer, from its start to its end, as the journal notes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Counts the writers from 1.
    pub writer_epoch: u64,
    /// When it began, Unix ms.
    pub at_ms: u64,
    /// The first tick that it may commit. The batch of the one before is started again.
    pub first_tick: Tick,
    /// Whether the writer before it had ended in order; none where there was none, or nobody noted it.
    pub after_orderly_end: Option<bool>,
    /// When it ended in order, Unix ms.
    pub ended_at_ms: Option<u64>,
    /// What it noted when it found, alive, that a later one had begun.
    pub replaced: Option<Replaced>,
}

/// A writer found that another one had taken its place while it lived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// When it found out, Unix ms.
    pub at_ms: u64,
    /// Its last durable tick, none when it had none: both writers started its batch.
    pub last_tick: Option<Tick>,
}

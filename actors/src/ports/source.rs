//! Where the client's half reads the journal on.

use evenkeel_core::{
    estimator::Observation,
    journal::{Entry, NewerFormat, Positions},
    units::{lengths::Lengths, tick::Tick},
};
use tokio::sync::mpsc;

/// Where entries come from.
pub trait Source {
    /// Reads on after `after`, until the receiver is dropped. Each stream's entries come in their order
    /// and without gaps.
    fn follow(&self, after: Positions) -> mpsc::Receiver<Result<Read, SourceError>>;
}

/// Entries, as a source gives them.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// What was read; may be empty when a tick recorded nothing.
    pub entries: Vec<Entry>,
    /// Windows of a server that is watched from outside, in place of `entries`; none for a journal.
    pub observed: Option<Vec<Observation>>,
    /// How long the database's ticks and windows are, where the source tells that.
    pub lengths: Option<Lengths>,
    /// The last tick that was read whole, when nothing younger was there to be read.
    pub caught_up: Option<Tick>,
}

/// A source cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// Now.
    #[error("the journal cannot be read: {0}")]
    Failed(String),
    /// Only a later program can go on.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
}

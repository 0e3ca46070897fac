//! Where entries are handed out to other processes.

use std::sync::Arc;

use evenkeel_core::journal::{PerStream, Positions};

/// A place that takes entries in their order, once. Its calls block.
pub trait Sink: Send {
    /// Hands out what has not arrived yet, at most a batch.
    ///
    /// # Errors
    /// [`SinkFault`].
    fn ship(&mut self) -> Result<Shipped, SinkFault>;

    /// Removes there what is old enough and has been read.
    ///
    /// # Errors
    /// [`SinkFault`].
    fn trim(&mut self) -> Result<(), SinkFault>;

    /// What has been lost there since the last call, in sentences.
    fn take_lost(&mut self) -> Vec<String>;

    /// What a person should look at, in sentences.
    fn warnings(&self) -> &[String];
}

/// Opens a sink, after each start of who hands out.
pub type OpenSink = Arc<dyn Fn() -> Result<Box<dyn Sink>, SinkFault> + Send + Sync>;

/// Why nothing is handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct SinkFault {
    /// In a sentence.
    pub cause: String,
    /// What mends it.
    pub remedy: Remedy,
}

/// What mends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Time may.
    Time,
    /// Somebody has to decide something.
    Decision,
    /// Nothing here: another server writes this journal, or knows more of it. Whoever goes on runs executions twice.
    None,
}

/// What has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Last id of each stream there.
    pub last: Positions,
    /// Last sequence number of each stream there.
    pub last_seq: PerStream<u64>,
    /// Whether more waits.
    pub more: bool,
}

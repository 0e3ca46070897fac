//! Where the client's durable state is kept, and with it the right to level.
//!
//! ```text
//! Consumer ─▶ StateStore ─┬─ embedded: a file, nobody else levels
//!                         └─ between processes: a lease with an epoch, checked by each save
//! ```

use evenkeel_core::{
    journal::{EntryId, NewerFormat, Stream},
    leveller::ClientState,
};
use serde::{Deserialize, Serialize};

/// Keeps a client's state. Its calls block.
pub trait StateStore: Send {
    /// The newest whole state, or a new one, once this client is the one that levels.
    ///
    /// # Errors
    /// [`StateError`].
    fn load(&mut self) -> Result<ClientState, StateError>;

    /// Makes `state` durable, and acknowledges the entries up to its positions.
    ///
    /// # Errors
    /// [`StateError`].
    fn store(&mut self, state: &ClientState) -> Result<(), StateError>;

    /// Sets an entry aside that cannot be applied. Done twice it changes nothing.
    ///
    /// # Errors
    /// [`StateError`].
    fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError>;

    /// Whether others level from the same state, when this client does not.
    fn is_shared(&self) -> bool {
        false
    }

    /// Gives the right to level back, so that nobody has to wait for it to end.
    fn release(&mut self) {}
}

/// Why state was not loaded or stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Somebody else levels.
    #[error("standing by: {holder} levels this database")]
    StandingBy {
        /// Who.
        holder: String,
    },
    /// Somebody else levels since: what this client knows is out of date.
    #[error("another client has taken over: this one stands by")]
    Fenced,
    /// A later program wrote it, and it is left as it is.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// The store cannot be used now.
    #[error("{0}")]
    Unavailable(String),
}

/// An entry that could not be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Of which stream.
    pub stream: Stream,
    /// Which entry.
    pub id: EntryId,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entry {} was set aside: {}", self.stream, self.id, self.reason)
    }
}

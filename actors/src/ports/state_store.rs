//! Where the client's durable state is kept, in one hand with the right to level.
//!
//! ```text
//! Consumer ─▶ LeasedStates = LeaseStore + StateStore ─┬─ embedded: a file, nobody else levels
//!                                                     └─ between processes: a lease with an epoch, checked by each save
//! ```

use evenkeel_core::{
    journal::{EntryId, NewerFormat, Stream},
    leveller::ClientState,
};
use serde::{Deserialize, Serialize};

use super::lease::{LeaseError, LeaseStore};

/// Keeps a client's state. Its calls block.
pub trait StateStore: Send {
    /// The newest whole state, or a new one.
    ///
    /// # Errors
    /// [`StateError`].
    fn load(&mut self) -> Result<ClientState, StateError>;

    /// Makes `state` durable, and acknowledges the entries up to its positions, unless somebody else levels by now.
    ///
    /// # Errors
    /// [`StateError`].
    fn store(&mut self, state: &ClientState) -> Result<(), StateError>;

    /// Sets an entry aside that cannot be applied. Done twice it changes nothing.
    ///
    /// # Errors
    /// [`StateError`].
    fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError>;
}

/// A state, and the right to level by which it is saved.
pub trait LeasedStates: StateStore + LeaseStore {
    /// Takes the right to level, and loads the state. One who cannot read that leaves the right to one who can.
    ///
    /// # Errors
    /// [`TakeOverError`].
    fn take_over(&mut self) -> Result<ClientState, TakeOverError> {
        self.acquire()?;
        let loaded = self.load();
        if matches!(loaded, Err(StateError::Newer(_))) {
            self.release();
        }
        Ok(loaded?)
    }
}

impl<T: StateStore + LeaseStore> LeasedStates for T {}

/// Why a client does not level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeOverError {
    /// It may not.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// It has no state to level from.
    #[error(transparent)]
    State(#[from] StateError),
}

impl TakeOverError {
    /// Whether a later program can go on where this one cannot.
    pub fn is_newer(&self) -> bool {
        matches!(self, Self::Lease(LeaseError::Newer(_)) | Self::State(StateError::Newer(_)))
    }
}

/// Why state was not loaded or stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
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

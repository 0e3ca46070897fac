//! Where the client's state is kept, and which recovery has loaded it last.

use evenkeel_core::leveller::ClientState;

use crate::ports::state_store::{DeadLetter, LeasedStates, StateError, TakeOverError};

/// A state that an earlier recovery collected is not saved over what a later one has read on from: the acknowledgement
/// that goes with it would let trimming remove what the later one still needs.
pub(crate) struct States {
    store: Box<dyn LeasedStates>,
    loaded: u64,
}

impl States {
    pub(crate) fn new(store: Box<dyn LeasedStates>) -> Self {
        Self { store, loaded: 0 }
    }

    /// Takes over for the recovery `generation`.
    pub(crate) fn take_over(&mut self, generation: u64) -> Result<ClientState, TakeOverError> {
        self.loaded = generation;
        self.store.take_over()
    }

    /// Saves what the recovery `generation` led to.
    pub(crate) fn save(&mut self, generation: u64, state: &ClientState) -> Result<(), StateError> {
        if generation != self.loaded {
            return Err(StateError::Unavailable("the state has been restored meanwhile".to_owned()));
        }
        self.store.store(state)
    }

    pub(crate) fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError> {
        self.store.bury(dead)
    }

    pub(crate) fn release(&mut self) {
        self.store.release();
    }
}

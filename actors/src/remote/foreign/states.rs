//! The client's state in memory: a foreign server has no journal to go on from.

use evenkeel_core::leveller::ClientState;

use crate::ports::{
    lease::LeaseStore,
    state_store::{DeadLetter, StateError, StateStore},
};

/// Keeps what was learned while the process lives, for actors that start again.
#[derive(Debug, Default)]
pub struct MemoryStates(ClientState);

impl StateStore for MemoryStates {
    fn load(&mut self) -> Result<ClientState, StateError> {
        // What waits is told anew by whoever watches.
        Ok(ClientState { estimator: self.0.estimator.clone(), ..ClientState::default() })
    }

    fn store(&mut self, state: &ClientState) -> Result<(), StateError> {
        self.0 = state.clone();
        Ok(())
    }

    fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError> {
        tracing::warn!(%dead, "there is no journal to name it in");
        Ok(())
    }
}

/// Nobody says who levels a foreign server.
impl LeaseStore for MemoryStates {}

//! What the consumer waits for: the others taking a batch, giving their states, being restored.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use evenkeel_core::{
    estimator::Observation,
    journal::{Entry, Positions},
    leveller::ClientState,
    units::{lengths::Lengths, tick::Tick},
};
use futures_util::future::try_join;
use tokio::sync::watch;

use super::{Ports, SharedStates, States};
use crate::{
    messages::{Batch, GetEstimator, GetScheduler, HandOver, LearnError, RestoreEstimator, RestoreScheduler},
    ports::state_store::{StateError, TakeOverError},
    supervise::port::Port,
};

/// Longest that an end waits until the server has taken what is left to it: a second for the request that is on its
/// way, and one for the last.
const HAND_OVER_MAX: Duration = Duration::from_secs(2);

/// When no batch is on its way any more.
pub(super) async fn until_applied(mut applying: watch::Receiver<bool>) {
    // The sender lives as long as the consumer.
    let _ = applying.wait_for(|applying| !applying).await;
}

/// What became of a read.
pub(super) struct Outcome {
    pub(super) done: Vec<Arc<Vec<Entry>>>,
    /// The part that was not applied; those after it were not tried.
    pub(super) failed: Option<(Arc<Vec<Entry>>, LearnError)>,
}

/// What was read besides entries.
pub(super) struct Said {
    pub(super) observed: Option<Arc<Vec<Observation>>>,
    pub(super) lengths: Option<Lengths>,
    pub(super) caught_up: Option<Tick>,
}

/// Sends the parts one after the other; the last one says whether it is time to decide.
pub(super) async fn apply(estimator: Port<Batch>, parts: Vec<Arc<Vec<Entry>>>, said: Said) -> Outcome {
    let Said { observed, lengths, caught_up } = said;
    let mut done = Vec::with_capacity(parts.len());
    let last = parts.len() - 1;
    for (index, part) in parts.into_iter().enumerate() {
        let caught_up = caught_up.filter(|_| index == last);
        // Each part of what was watched says so; the windows come with the last one.
        let observed =
            observed.as_ref().map(|all| if index == last { Arc::clone(all) } else { Arc::default() });
        let sent = estimator.send(Batch { entries: Arc::clone(&part), observed, lengths, caught_up }).await;
        match sent.unwrap_or(Err(LearnError::Failed("estimator"))) {
            Ok(()) => done.push(part),
            Err(cause) => return Outcome { done, failed: Some((part, cause)) },
        }
    }
    Outcome { done, failed: None }
}

/// # Errors
/// An actor is away, or has lost its state itself.
pub(super) async fn collect(ports: &Ports, positions: Positions) -> Result<ClientState, String> {
    let away = |_| "an actor is away".to_owned();
    let lost = |error: crate::messages::Lost| error.to_string();
    let states = try_join(ports.estimator_state.send(GetEstimator), ports.scheduler_state.send(GetScheduler));
    let (estimator, scheduler) = states.await.map_err(away)?;
    Ok(ClientState {
        positions,
        estimator: estimator.map_err(lost)?,
        scheduler: Some(scheduler.map_err(lost)?),
    })
}

/// Uses the store on a thread that may block.
pub(super) async fn with<T: Send + 'static, E: From<StateError> + Send + 'static>(
    states: SharedStates,
    call: impl FnOnce(&mut States) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let called = tokio::task::spawn_blocking(move || {
        // A poisoned lock is a call that panicked; the store finds out what is whole by itself.
        let mut states = states.lock().unwrap_or_else(PoisonError::into_inner);
        call(&mut states)
    });
    called.await.map_err(|error| StateError::Unavailable(error.to_string()))?
}

/// Leaves what waits to the server, once no batch is on its way. A server that does not answer holds what waits by
/// itself.
pub(super) async fn hand_over(scheduler: Option<Port<HandOver>>, applying: watch::Receiver<bool>) {
    let Some(scheduler) = scheduler else { return };
    let handed_over = async {
        until_applied(applying).await;
        scheduler.send(HandOver).await
    };
    if tokio::time::timeout(HAND_OVER_MAX, handed_over).await.is_err() {
        tracing::warn!("the server has not taken what waits: it goes on without slots");
    }
}

/// Gives the right to level back. A thread that fails has given nothing back, and the right ends by itself.
pub(super) async fn release(states: SharedStates) {
    let released = with(states, |states| {
        states.release();
        Ok::<_, StateError>(())
    });
    let _ = released.await;
}

pub(super) async fn restore(
    ports: Ports,
    states: SharedStates,
    generation: u64,
    applying: watch::Receiver<bool>,
    after: Duration,
) -> Result<Positions, TakeOverError> {
    tokio::time::sleep(after).await;
    until_applied(applying).await;
    let ClientState { positions, estimator, scheduler } =
        with(states, move |states| states.take_over(generation)).await?;
    let away = |_| StateError::Unavailable("an actor is away".to_owned());
    let restored = ports.restore_scheduler.send(RestoreScheduler(scheduler)).await.map_err(away)?;
    restored.map_err(|error| StateError::Unavailable(error.to_string()))?;
    ports.restore_estimator.send(RestoreEstimator(estimator)).await.map_err(away)?;
    Ok(positions)
}

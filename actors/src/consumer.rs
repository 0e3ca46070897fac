//! Consumer: reads the journal on from where the client's durable state ends.
//!
//! In: entries from a [`Source`], as its own `EntriesRead`; [`SaveState`]. Out: [`Batch`] to the estimator
//! (which passes it on to the scheduler), state to both when they start again, [`Applied`] when a
//! snapshot is durable.
//!
//! Invariant: the snapshot is one value, positions and what was folded up to them. Start, restart after
//! a panic and recovery of the others are one path: load, restore, read on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, ResponseActFuture, Supervised,
    WrapFuture,
};
use evenkeel_core::{
    client::ClientState,
    journal::{Entry, Positions},
    tick::Tick,
};
use futures_util::future::try_join;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    health::ActorHealth,
    journal::snapshot::SnapshotStore,
    messages::{
        Applied, Batch, GetEstimator, GetScheduler, LearnError, RestoreEstimator, RestoreScheduler, SaveState,
    },
};

/// Time between two snapshots: what is read twice after a stop.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
/// Entries between two snapshots, when they come faster.
const SNAPSHOT_ENTRIES: usize = 50_000;
/// Wait before the source is asked again after it failed: two ticks, so that a passing fault shows in
/// one window only.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Where entries come from: the outbox, or Redis.
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
    /// See [`Batch::caught_up`].
    pub caught_up: Option<Tick>,
}

/// A source cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal cannot be read: {0}")]
pub struct SourceError(pub String);

/// Whom the consumer talks to.
#[derive(Clone)]
pub struct Ports {
    /// Applies entries and passes them on.
    pub estimator: Recipient<Batch>,
    /// Gives its state.
    pub estimator_state: Recipient<GetEstimator>,
    /// Takes a state.
    pub restore_estimator: Recipient<RestoreEstimator>,
    /// Gives its state.
    pub scheduler_state: Recipient<GetScheduler>,
    /// Takes a state.
    pub restore_scheduler: Recipient<RestoreScheduler>,
    /// Trims what is durable.
    pub journal: Recipient<Applied>,
}

/// Locked only on threads that may block.
type SharedSnapshots = Arc<Mutex<SnapshotStore>>;

/// See the module.
pub struct Consumer {
    ports: Ports,
    source: Box<dyn Source>,
    snapshots: SharedSnapshots,
    positions: Positions,
    /// Counts recoveries: what an older one still delivers is ignored.
    generation: u64,
    unsaved_entries: usize,
    saved_at: Instant,
    saving: bool,
    health: ActorHealth,
}

/// From the consumer's reader to itself. The answer says whether to go on.
#[derive(Message)]
#[rtype(result = "bool")]
struct EntriesRead {
    generation: u64,
    read: Result<Read, SourceError>,
}

impl Consumer {
    /// A consumer that begins by loading the client's state.
    pub fn new(ports: Ports, source: Box<dyn Source>, snapshots: SnapshotStore, health: ActorHealth) -> Self {
        Self {
            ports,
            source,
            snapshots: Arc::new(Mutex::new(snapshots)),
            positions: Positions::default(),
            generation: 0,
            unsaved_entries: 0,
            saved_at: Instant::now(),
            saving: false,
            health,
        }
    }

    /// Loads the state, restores the others with it, and reads on from there.
    fn recover(&mut self, after: Duration, context: &mut Context<Self>) {
        self.generation += 1;
        self.saving = false;
        self.health.set_recovering(true);
        let restored = restore(self.ports.clone(), Arc::clone(&self.snapshots), after);
        context.spawn(restored.into_actor(self).map(|restored, actor, context| match restored {
            Ok(positions) => actor.read_on(positions, context),
            Err(cause) => {
                tracing::warn!(cause, "the client's state could not be restored: it is tried again");
                actor.recover(RETRY_AFTER, context);
            }
        }));
    }

    fn read_on(&mut self, positions: Positions, context: &mut Context<Self>) {
        self.positions = positions;
        self.unsaved_entries = 0;
        self.saved_at = Instant::now();
        self.health.set_recovering(false);
        let mut reads = self.source.follow(positions);
        let (address, generation) = (context.address(), self.generation);
        let reader = async move {
            while let Some(read) = reads.recv().await {
                // Answered when the entries are applied: the source is read no faster than that.
                if address.send(EntriesRead { generation, read }).await != Ok(true) {
                    return;
                }
            }
        };
        context.spawn(reader.into_actor(self));
    }

    fn applied(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.positions.advance(entry.record.stream(), entry.id);
        }
        self.unsaved_entries += entries.len();
    }

    /// Collects the state as of the last batch, before the next one is asked for.
    fn snapshot_if_due(&mut self, go_on: bool) -> ResponseActFuture<Self, bool> {
        if !go_on || !self.snapshot_is_due() {
            return Box::pin(actix::fut::ready(go_on));
        }
        let (ports, positions) = (self.ports.clone(), self.positions);
        let collected = async move { collect(&ports, positions).await };
        Box::pin(collected.into_actor(self).map(move |state, actor, context| {
            // An actor that is away or lost is noticed with the next batch.
            if let Ok(state) = state {
                let written = actor.write(state);
                context.spawn(written);
            }
            go_on
        }))
    }

    fn snapshot_is_due(&self) -> bool {
        let due = self.saved_at.elapsed() >= SNAPSHOT_EVERY || self.unsaved_entries >= SNAPSHOT_ENTRIES;
        due && self.unsaved_entries > 0 && !self.saving
    }

    /// Writes a collected state while reading goes on.
    fn write(&mut self, state: ClientState) -> impl ActorFutureExt<Self, Output = ()> + 'static {
        self.saving = true;
        self.unsaved_entries = 0;
        self.saved_at = Instant::now();
        let (journal, snapshots) = (self.ports.journal.clone(), Arc::clone(&self.snapshots));
        let positions = state.positions;
        let written = async move {
            write(snapshots, state).await?;
            // When the journal is away, trimming waits for the next snapshot.
            let _ = journal.send(Applied(positions)).await;
            Ok::<(), String>(())
        };
        written.into_actor(self).map(|written, actor, _context| {
            actor.saving = false;
            if let Err(cause) = written {
                tracing::warn!(cause, "the client's state was not saved: it is tried again");
            }
        })
    }
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.recover(Duration::ZERO, context);
    }
}

/// After a restart `started` is called again.
impl Supervised for Consumer {}

impl Handler<EntriesRead> for Consumer {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(
        &mut self,
        EntriesRead { generation, read }: EntriesRead,
        context: &mut Self::Context,
    ) -> Self::Result {
        if generation != self.generation {
            return Box::pin(actix::fut::ready(false));
        }
        let Read { entries, caught_up } = match read {
            Ok(read) => read,
            Err(cause) => {
                tracing::warn!(%cause, "reading starts again");
                self.recover(RETRY_AFTER, context);
                return Box::pin(actix::fut::ready(false));
            }
        };
        let entries = Arc::new(entries);
        let sent = self.ports.estimator.send(Batch { entries: Arc::clone(&entries), caught_up });
        let applied = sent.into_actor(self).map(move |answer, actor, context| {
            match answer.unwrap_or(Err(LearnError::Failed("estimator"))) {
                Ok(()) => {
                    actor.applied(&entries);
                    true
                }
                Err(cause) => {
                    tracing::warn!(%cause, "a batch was not applied: the client's state is restored");
                    actor.recover(RETRY_AFTER, context);
                    false
                }
            }
        });
        Box::pin(applied.then(|go_on, actor, _context| actor.snapshot_if_due(go_on)))
    }
}

impl Handler<SaveState> for Consumer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: SaveState, _context: &mut Self::Context) -> Self::Result {
        let (ports, positions) = (self.ports.clone(), self.positions);
        // What is read from here on is not in this state: this generation ends.
        self.generation += 1;
        let collected = async move { collect(&ports, positions).await };
        Box::pin(collected.into_actor(self).then(|state, actor, _context| match state {
            Ok(state) => actor.write(state).boxed_local(),
            Err(cause) => {
                tracing::warn!(cause, "the client's state was not saved");
                actix::fut::ready(()).boxed_local()
            }
        }))
    }
}

/// # Errors
/// An actor is away, or has lost its state itself.
async fn collect(ports: &Ports, positions: Positions) -> Result<ClientState, String> {
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

async fn write(snapshots: SharedSnapshots, state: ClientState) -> Result<(), String> {
    let written = tokio::task::spawn_blocking(move || {
        let bytes = postcard::to_stdvec(&state).map_err(|error| error.to_string())?;
        // A poisoned lock is a write that panicked; the store finds out what is whole by itself.
        let mut snapshots = snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.store(&bytes).map_err(|error| error.to_string())
    });
    written.await.map_err(|error| error.to_string())?
}

async fn restore(ports: Ports, snapshots: SharedSnapshots, after: Duration) -> Result<Positions, String> {
    tokio::time::sleep(after).await;
    let loaded = tokio::task::spawn_blocking(move || load(&snapshots));
    let state = loaded.await.map_err(|error| error.to_string())??;
    let ClientState { positions, estimator, scheduler } = state;
    let away = |_| "an actor is away".to_owned();
    let restored = ports.restore_scheduler.send(RestoreScheduler(scheduler)).await.map_err(away)?;
    restored.map_err(|error| error.to_string())?;
    ports.restore_estimator.send(RestoreEstimator(estimator)).await.map_err(away)?;
    Ok(positions)
}

/// The newest state that can be read; a new one when there is none. What a lost one had folded is folded
/// anew from the journal.
fn load(snapshots: &Mutex<SnapshotStore>) -> Result<ClientState, String> {
    let snapshots = snapshots.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = snapshots.load().map_err(|error| error.to_string())?;
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "a snapshot cannot be used");
    }
    let Some((_generation, bytes)) = loaded.snapshot else { return Ok(ClientState::default()) };
    Ok(postcard::from_bytes(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "the snapshot is whole and no client's state: the journal is folded anew");
        ClientState::default()
    }))
}

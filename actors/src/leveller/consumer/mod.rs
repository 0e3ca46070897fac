//! Consumer: reads the journal on from where the client's durable state ends.
//!
//! In: entries from a [`Source`], as its own `EntriesRead`; [`SaveState`]. Out: [`Batch`] to the estimator
//! (which passes it on to the scheduler), state to both when they start again, [`Applied`] when a
//! snapshot is durable, [`HandOver`] when a leader ends.
//!
//! Invariant: the snapshot is one value, positions and what was folded up to them. Start, restart after
//! a panic, recovery of the others and taking over from another client are one path: load, restore, read on.

mod states;
mod steps;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, Supervised, WrapFuture,
};
use evenkeel_core::{
    journal::{Entry, Positions},
    leveller::{ClientState, Progress},
};
use tokio::{sync::watch, time::Instant};

pub(crate) use self::states::States;
use self::steps::{Outcome, Said, apply, collect, hand_over, release, restore, until_applied, with};
use crate::{
    leveller::acceptance::Acceptance,
    messages::{
        Applied, Batch, GetEstimator, GetScheduler, HandOver, LearnError, RestoreEstimator, RestoreScheduler,
        SaveState,
    },
    ports::{
        lease::LeaseError,
        source::{Read, Source, SourceError},
        state_store::{DeadLetter, LeasedStates, StateError, TakeOverError},
    },
    supervise::{fault, health::ActorHealth, port::Port},
};

/// Time between two snapshots: what is read twice after a stop.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);
/// Entries between two snapshots, when they come faster.
const SNAPSHOT_ENTRIES: usize = 50_000;
/// Wait before the source is asked again after it failed: two ticks, so that a passing fault shows in
/// one window only.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How often it is seen whether decisions are taken: a sixth of what refusals may last.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a client that could not act leaves the right to level to others, who look for it every 200 ms.
const GIVEN_UP_FOR: Duration = Duration::from_secs(3);

/// Whom the consumer talks to.
#[derive(Clone)]
pub struct Ports {
    /// Applies entries and passes them on.
    pub estimator: Port<Batch>,
    /// Gives its state.
    pub estimator_state: Port<GetEstimator>,
    /// Takes a state.
    pub restore_estimator: Port<RestoreEstimator>,
    /// Gives its state.
    pub scheduler_state: Port<GetScheduler>,
    /// Takes a state.
    pub restore_scheduler: Port<RestoreScheduler>,
    /// Leaves slots to the server.
    pub hand_over: Port<HandOver>,
    /// How the server takes what is decided.
    pub acceptance: watch::Receiver<Acceptance>,
    /// Trims what is durable, where the journal is in this process.
    pub journal: Option<Port<Applied>>,
}

/// What this client is to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Its state is being read.
    #[default]
    Restoring,
    /// Its state cannot be read.
    Waiting {
        /// Why not.
        cause: String,
    },
    /// Somebody else levels.
    StandingBy {
        /// Who.
        holder: String,
    },
    /// It had the right to level, could not act, and has given it back.
    GaveUp {
        /// Why it could not.
        cause: String,
    },
    /// It levels.
    Levelling,
}

/// Why the state was not saved the last time; none when it was.
pub type Unsaved = Option<String>;

/// Locked only on threads that may block.
type SharedStates = Arc<Mutex<States>>;

/// See the module.
pub struct Consumer {
    ports: Ports,
    source: Box<dyn Source + Send>,
    states: SharedStates,
    /// Whether somebody else can level instead.
    replaceable: bool,
    progress: Progress,
    /// Whether a batch is on its way through the others: state and positions do not fit together then.
    applying: watch::Sender<bool>,
    saved_at: Instant,
    health: ActorHealth,
    role: watch::Sender<Role>,
    unsaved: watch::Sender<Unsaved>,
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
    pub fn new(
        ports: Ports,
        source: Box<dyn Source + Send>,
        states: Box<dyn LeasedStates>,
        health: ActorHealth,
        role: watch::Sender<Role>,
        unsaved: watch::Sender<Unsaved>,
    ) -> Self {
        Self {
            ports,
            source,
            replaceable: states.is_shared(),
            states: Arc::new(Mutex::new(States::new(states))),
            progress: Progress::default(),
            applying: watch::Sender::new(false),
            saved_at: Instant::now(),
            health,
            role,
            unsaved,
        }
    }

    /// Loads the state, restores the others with it, and reads on from there.
    fn recover(&mut self, after: Duration, context: &mut Context<Self>) {
        let generation = self.progress.restore();
        self.health.set_recovering(true);
        let (ports, states, applying) =
            (self.ports.clone(), Arc::clone(&self.states), self.applying.subscribe());
        let restored = restore(ports, states, generation, applying, after);
        context.spawn(restored.into_actor(self).map(move |restored, actor, context| match restored {
            // The state has been saved for good meanwhile: nothing is read any more.
            _ if !actor.progress.takes(generation) => {}
            Ok(positions) => actor.read_on(positions, context),
            Err(cause) => actor.not_restored(cause, context),
        }));
    }

    fn not_restored(&mut self, cause: TakeOverError, context: &mut Context<Self>) {
        // A later program takes the right to level meanwhile.
        let after = if cause.is_newer() { GIVEN_UP_FOR } else { RETRY_AFTER };
        let role = match cause {
            TakeOverError::Lease(LeaseError::Held { holder }) => Role::StandingBy { holder },
            cause => Role::Waiting { cause: cause.to_string() },
        };
        let changed = self.role.send_if_modified(|before| {
            let changed = *before != role;
            before.clone_from(&role);
            changed
        });
        match role {
            Role::StandingBy { holder } if changed => {
                tracing::info!(holder, "standing by: another client levels");
            }
            Role::Waiting { cause } if changed => {
                tracing::warn!(cause, "the client's state cannot be restored: it is tried again");
            }
            _ => {}
        }
        self.recover(after, context);
    }

    /// A leader that cannot act keeps nobody else from it.
    fn give_up_if_refused(&mut self, context: &mut Context<Self>) {
        let cause = self.ports.acceptance.borrow().gives_up();
        let Some(cause) = cause.filter(|_| self.replaceable && *self.role.borrow() == Role::Levelling) else {
            return;
        };
        tracing::warn!(cause, "the right to level is given up: what this client decides is not taken");
        self.give_up(cause, context);
    }

    /// Gives the right to level back, and asks for it again after a while.
    fn give_up(&mut self, cause: String, context: &mut Context<Self>) {
        self.role.send_replace(Role::GaveUp { cause });
        context.spawn(release(Arc::clone(&self.states)).into_actor(self));
        self.recover(GIVEN_UP_FOR, context);
    }

    fn read_on(&mut self, positions: Positions, context: &mut Context<Self>) {
        self.progress.restored(positions);
        self.saved_at = Instant::now();
        self.health.set_recovering(false);
        self.role.send_replace(Role::Levelling);
        self.unsaved.send_replace(None);
        let mut reads = self.source.follow(positions);
        let (address, generation) = (context.address(), self.progress.generation());
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

    /// After a source could not go on.
    fn source_ended(&mut self, cause: SourceError, context: &mut Context<Self>) {
        match cause {
            SourceError::Newer(newer) => {
                tracing::error!(%newer, "reading stops: the right to level is left to one who can go on");
                self.give_up(newer.to_string(), context);
            }
            cause @ SourceError::Failed(_) => {
                tracing::warn!(%cause, "reading starts again");
                self.recover(RETRY_AFTER, context);
            }
        }
    }

    /// Sends what was read through the others. Whether to read on.
    fn apply(&mut self, generation: u64, read: Read) -> impl ActorFutureExt<Self, Output = bool> + use<> {
        let Read { entries, observed, lengths, caught_up } = read;
        let said = Said { observed: observed.map(Arc::new), lengths, caught_up };
        self.applying.send_replace(true);
        let parts = self.progress.read(entries).into_iter().map(Arc::new).collect();
        let applied = apply(self.ports.estimator.clone(), parts, said);
        let applied = applied
            .into_actor(self)
            .map(move |outcome, actor, context| actor.applied(generation, outcome, context));
        let collected = applied.then(|go_on, actor, _context| actor.snapshot_if_due(go_on));
        collected.map(|go_on, actor, _context| {
            actor.applying.send_replace(false);
            go_on
        })
    }

    /// Notes what became of a read. Whether to read on.
    fn applied(&mut self, generation: u64, outcome: Outcome, context: &mut Context<Self>) -> bool {
        // Somebody has begun to restore everything meanwhile.
        if !self.progress.counts(generation) {
            return false;
        }
        let Outcome { done, failed } = outcome;
        for part in &done {
            self.progress.applied(part);
        }
        match failed {
            None => true,
            Some((part, cause)) => {
                self.failed(&cause, &part, context);
                false
            }
        }
    }

    /// The state as of the last batch.
    fn collect(&self) -> impl Future<Output = Result<ClientState, String>> + use<> {
        let (ports, positions) = (self.ports.clone(), self.progress.positions());
        async move { collect(&ports, positions).await }
    }

    /// Collects the state as of the last batch, before the next one is asked for.
    fn snapshot_if_due(&mut self, go_on: bool) -> ResponseActFuture<Self, bool> {
        if !go_on || !self.snapshot_is_due() {
            return Box::pin(actix::fut::ready(go_on));
        }
        Box::pin(self.collect().into_actor(self).map(move |state, actor, context| {
            // An actor that is away or lost is noticed with the next batch.
            if let Ok(state) = state {
                let written = actor.write(state);
                context.spawn(written);
            }
            go_on
        }))
    }

    fn snapshot_is_due(&self) -> bool {
        self.progress.save_is_due(self.saved_at.elapsed() >= SNAPSHOT_EVERY, SNAPSHOT_ENTRIES)
    }

    /// Leaves what waits to the server, where somebody else can level next. Only who levels has something to leave.
    fn hand_over(&self) -> impl Future<Output = ()> + use<> {
        let leads = self.replaceable && *self.role.borrow() == Role::Levelling;
        hand_over(leads.then(|| self.ports.hand_over.clone()), self.applying.subscribe())
    }

    /// Writes the last state of all.
    fn write_if_any(&mut self, state: Result<ClientState, String>) -> ResponseActFuture<Self, ()> {
        match state {
            Ok(state) => Box::pin(self.write(state)),
            // One that stands by has no state.
            Err(cause) => {
                tracing::info!(cause, "there is no state of the client to save");
                Box::pin(actix::fut::ready(()))
            }
        }
    }

    /// Writes a collected state while reading goes on.
    fn write(&mut self, state: ClientState) -> impl ActorFutureExt<Self, Output = ()> + use<> {
        self.progress.save();
        self.saved_at = Instant::now();
        let (journal, states) = (self.ports.journal.clone(), Arc::clone(&self.states));
        let positions = state.positions;
        let generation = self.progress.generation();
        let written = async move {
            with(states, move |states| states.save(generation, &state)).await?;
            if let Some(journal) = journal {
                // When the journal is away, trimming waits for the next snapshot.
                let _ = journal.send(Applied(positions)).await;
            }
            Ok::<(), StateError>(())
        };
        written.into_actor(self).map(move |written, actor, context| {
            actor.progress.saved();
            match written {
                Ok(()) => drop(actor.unsaved.send_replace(None)),
                Err(StateError::Fenced) if actor.progress.counts(generation) => {
                    tracing::warn!("another client has taken over");
                    actor.recover(RETRY_AFTER, context);
                }
                Err(cause) => {
                    tracing::warn!(%cause, "the client's state was not saved: it is tried again");
                    actor.unsaved.send_replace(Some(cause.to_string()));
                }
            }
        })
    }

    /// After a failure: everything from the last durable state on is read again, the suspects alone.
    fn failed(&mut self, cause: &LearnError, part: &[Entry], context: &mut Context<Self>) {
        tracing::warn!(%cause, "a batch was not applied: the client's state is restored");
        let guilty = matches!(cause, LearnError::Failed(_)).then(|| self.progress.failed(part)).flatten();
        if let Some(entry) = guilty {
            let dead = DeadLetter {
                stream: entry.record.stream(),
                id: entry.id,
                reason: format!("{cause}, three times alone"),
            };
            tracing::error!(%dead, "the client goes on without it");
            let buried = with(Arc::clone(&self.states), move |states| states.bury(&dead));
            context.spawn(buried.into_actor(self).map(|buried, _actor, _context| {
                if let Err(cause) = buried {
                    tracing::warn!(%cause, "the dead letter was not recorded");
                }
            }));
        }
        self.recover(RETRY_AFTER, context);
    }
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.applying.send_replace(false);
        self.recover(Duration::ZERO, context);
        context.run_interval(LOOK_EVERY, Self::give_up_if_refused);
    }
}

/// After a restart `started` is called again.
impl Supervised for Consumer {}

impl Handler<EntriesRead> for Consumer {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, entries: EntriesRead, context: &mut Self::Context) -> Self::Result {
        fault::handling!("consumer");
        let EntriesRead { generation, read } = entries;
        if !self.progress.takes(generation) {
            return Box::pin(actix::fut::ready(false));
        }
        match read {
            Ok(read) => Box::pin(self.apply(generation, read)),
            Err(cause) => {
                self.source_ended(cause, context);
                Box::pin(actix::fut::ready(false))
            }
        }
    }
}

impl Handler<SaveState> for Consumer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: SaveState, _context: &mut Self::Context) -> Self::Result {
        self.progress.end();
        let handed_over = actix::spawn(self.hand_over());
        let applied = until_applied(self.applying.subscribe()).into_actor(self);
        let collected = applied.then(|(), actor, _context| actor.collect().into_actor(actor));
        let saved = collected.then(|state, actor, _context| actor.write_if_any(state));
        // Whoever comes next finds the slots: before the right to level is free they are there.
        let handed_over = saved.then(|(), actor, _context| handed_over.into_actor(actor));
        Box::pin(handed_over.then(|_, actor, _context| release(Arc::clone(&actor.states)).into_actor(actor)))
    }
}

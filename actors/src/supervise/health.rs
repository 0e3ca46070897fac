//! How the actors are, for readiness and for people: written by the guards, read by anybody.

use std::sync::{
    Arc, OnceLock, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use tokio::time::Instant;

/// One of the seven, of the two that connect halves in processes of their own, or the one that people ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActorName {
    /// Waiting executions.
    Queue,
    /// Ticks.
    Daemon,
    /// Windows.
    Monitor,
    /// The durable record.
    Journal,
    /// Brings the record to other processes.
    Shipper,
    /// Remembers the record for people.
    Observer,
    /// Reads the record.
    Consumer,
    /// Learns costs.
    Estimator,
    /// Chooses slots.
    Scheduler,
    /// Brings slots to a server of its own.
    RemoteQueue,
}

impl ActorName {
    /// The server's half; without the shipper and the observer, as nothing waits
    /// for those but readers elsewhere and people.
    pub const SERVER: [Self; 4] = [Self::Queue, Self::Daemon, Self::Monitor, Self::Journal];
    /// All that there can be.
    pub const ALL: [Self; 10] = [
        Self::Queue,
        Self::Daemon,
        Self::Monitor,
        Self::Journal,
        Self::Shipper,
        Self::Observer,
        Self::Consumer,
        Self::Estimator,
        Self::Scheduler,
        Self::RemoteQueue,
    ];

    /// As it stands in logs and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Daemon => "daemon",
            Self::Monitor => "monitor",
            Self::Journal => "journal",
            Self::Shipper => "shipper",
            Self::Observer => "observer",
            Self::Consumer => "consumer",
            Self::Estimator => "estimator",
            Self::Scheduler => "scheduler",
            Self::RemoteQueue => "remote queue",
        }
    }
}

impl ActorState {
    /// As it stands in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Recovering => "recovering",
            Self::BackingOff => "backing off",
            Self::GaveUp => "gave up",
        }
    }
}

/// What an actor is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorState {
    /// Not started yet.
    Starting,
    /// It takes messages.
    Running,
    /// It takes messages and answers `Lost` until its state is restored.
    Recovering,
    /// It failed and waits before it starts again.
    BackingOff,
    /// It failed too often.
    GaveUp,
}

const STATES: [ActorState; 5] = [
    ActorState::Starting,
    ActorState::Running,
    ActorState::Recovering,
    ActorState::BackingOff,
    ActorState::GaveUp,
];

/// The state of one actor, shared between its guard, itself and those who ask.
#[derive(Clone, Debug)]
pub struct ActorHealth(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: ActorName,
    state: AtomicU8,
    recovering: AtomicBool,
    restarts: AtomicU64,
    unanswered: AtomicU64,
    beat_ms: AtomicU64,
}

impl ActorHealth {
    /// A handle for an actor that has not started.
    pub fn new(name: ActorName) -> Self {
        Self(Arc::new(Shared {
            name,
            state: AtomicU8::new(0),
            recovering: AtomicBool::new(false),
            restarts: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            beat_ms: AtomicU64::new(process_ms()),
        }))
    }

    /// Whose it is.
    pub fn name(&self) -> ActorName {
        self.0.name
    }

    /// What it is doing.
    pub fn state(&self) -> ActorState {
        match STATES[usize::from(self.0.state.load(Ordering::Relaxed))] {
            ActorState::Running if self.0.recovering.load(Ordering::Relaxed) => ActorState::Recovering,
            state => state,
        }
    }

    /// Failures after which it was started again.
    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed)
    }

    /// Messages that were sent to it through a [`crate::supervise::port::Port`] and have not been answered.
    pub fn unanswered(&self) -> u64 {
        self.0.unanswered.load(Ordering::Relaxed)
    }

    /// Time since its arbiter last ran its guard. One that is blocked no longer beats.
    pub fn silent_ms(&self) -> u64 {
        process_ms().saturating_sub(self.0.beat_ms.load(Ordering::Relaxed))
    }

    /// Whether its state has to be restored before it can serve.
    pub fn set_recovering(&self, recovering: bool) {
        self.0.recovering.store(recovering, Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn count_restart(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self) {
        self.0.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_answered(&self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn beat(&self) {
        self.0.beat_ms.store(process_ms(), Ordering::Relaxed);
    }
}

/// How the actors of a process are, for whoever watches them. Copies share it: an actor that is started later is in it, too.
#[derive(Clone, Debug, Default)]
pub struct Roster(Arc<RwLock<Vec<ActorHealth>>>);

impl Roster {
    /// Adds an actor that is about to start.
    pub fn add(&self, health: ActorHealth) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(health);
    }

    /// Those that have been started, the first one first.
    pub fn all(&self) -> Vec<ActorHealth> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Milliseconds since the process first asked.
fn process_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}

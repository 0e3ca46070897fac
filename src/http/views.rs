//! What the handlers answer from, and whom they ask.

use std::{path::PathBuf, sync::Arc};

use evenkeel_actors::{
    clock::Clock,
    messages::{Control, Delay, GetMinutes, GetSteps, SetMode},
    ports::{history::OpenHistory, ledger::Published},
    server::{daemon::Pace, monitor::LastWindow, observer::Overview, queue::QueueView, shipper::Shipping},
    stores::redis::{GroupState, Keys},
    supervise::{health::Roster, port::Port},
};
use evenkeel_core::{
    insight::{
        objective::{Verdict, Waits},
        report::{LearnedCosts, Report},
    },
    journal::PerStream,
    server::queue::HoldLimits,
    units::{lengths::Lengths, tick::Tick},
};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{Access, Degraded};

/// Which processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Both halves in this one.
    Embedded,
    /// The client is another one.
    Server,
}

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the database.
    pub name: String,
    /// Which processes there are.
    pub form: Form,
    /// Whether somebody is to level: here or elsewhere.
    pub levels: bool,
    /// What the database is, for people.
    pub database: String,
    /// How long its ticks and windows are, and the delay that nobody asked for.
    pub lengths: Lengths,
    /// Ticks before this one run ahead of their time, as long as [`Views::clock`] is set.
    pub ahead_until: Tick,
    /// When the process started, Unix ms.
    pub started_ms: u64,
    /// Delay within which executions should run.
    pub delay_objective_ticks: u64,
    /// Longest that slots may hold executions.
    pub limits: HoldLimits,
    /// Where the outbox is.
    pub data_dir: PathBuf,
    /// Name of the journal.
    pub journal: Uuid,
    /// Counts its writers.
    pub writer_epoch: u64,
    /// Its keys in Redis.
    pub keys: Keys,
    /// Where it is handed out, without the password.
    pub redis: Option<String>,
    /// Executions in the journal that no tick of this process has run.
    pub executed_before: u64,
}

/// What the client told last.
#[derive(Clone, Debug)]
pub struct ClientTold {
    /// How it is.
    pub report: Arc<Report>,
    /// What it has learned.
    pub costs: Arc<LearnedCosts>,
    /// When that reached this process.
    pub at: Instant,
}

/// What Redis shows of the copy that is handed out.
#[derive(Clone, Debug, Default)]
pub struct RedisView {
    /// Why it could not be asked.
    pub fault: Option<String>,
    /// Length of each stream.
    pub lengths: PerStream<u64>,
    /// Groups of each stream.
    pub groups: PerStream<Vec<GroupState>>,
    /// Entries that clients had to leave out.
    pub dead_letters: u64,
}

impl RedisView {
    /// What it shows now: numbers of before it went away would contradict that it has gone.
    pub(crate) fn known(&self) -> Option<&Self> {
        self.fault.is_none().then_some(self)
    }
}

/// See the module.
#[derive(Clone)]
pub struct Views {
    /// What does not change.
    pub about: Arc<About>,
    /// Who may ask.
    pub access: Arc<Access>,
    /// What has been recorded.
    pub history: OpenHistory,
    /// The queue, as last published.
    pub queue: watch::Receiver<QueueView>,
    /// The last window.
    pub window: watch::Receiver<LastWindow>,
    /// The last minutes.
    pub overview: watch::Receiver<Arc<Overview>>,
    /// The daemon's pace.
    pub pace: watch::Receiver<Pace>,
    /// When entries are made.
    pub clock: Clock,
    /// Where the outbox stands.
    pub outbox: watch::Receiver<Published>,
    /// How far shipping is, where there is any.
    pub shipping: Option<watch::Receiver<Shipping>>,
    /// What the client told.
    pub told: watch::Receiver<Option<ClientTold>>,
    /// What Redis shows, where the journal is handed out.
    pub redis: Option<watch::Receiver<RedisView>>,
    /// All actors.
    pub actors: Roster,
    /// Whether the process is about to end.
    pub draining: watch::Receiver<bool>,
    /// What works less well than it should, and does not make the server unready.
    pub degraded: watch::Receiver<Degraded>,
    /// Adds delays.
    pub delay: Port<Delay>,
    /// Takes slots.
    pub control: Port<Control>,
    /// Changes who decides.
    pub set_mode: Port<SetMode>,
    /// Remembers windows.
    pub steps: Port<GetSteps>,
    /// Remembers minutes.
    pub minutes: Port<GetMinutes>,
}

impl Views {
    /// The first tick that runs in its own time, while those before it run ahead.
    pub(crate) fn ahead_until(&self) -> Option<Tick> {
        self.clock.is_set().then_some(self.about.ahead_until)
    }

    /// How the delay is to its objective.
    pub(crate) fn delay_verdict(&self) -> Verdict {
        let queue = self.queue.borrow().clone();
        let since = |tick: Option<Tick>| Some(queue.as_ref()?.tick.since(tick?));
        let waiting = || queue.iter().flat_map(|queue| &queue.waiting);
        // The first has waited longest: they are in the order of their arrival.
        let oldest = since(waiting().next().map(|waiting| waiting.queued_tick));
        let longest_held = since(waiting().map(|waiting| waiting.due_tick).min());
        let waits = Waits { ran: self.overview.borrow().minute.delays, oldest, longest_held };
        waits.judged(self.about.delay_objective_ticks, self.about.lengths.tick_ms)
    }
}

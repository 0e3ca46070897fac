//! The pacing's work: told by sessions, measured by probes, done every 10 ms.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use evenkeel_core::{
    journal::Mode,
    scheduler::pacing::{PaceSettings, PaceTarget},
    server::{
        pacer::{Held, Pace, Pacer, PacerSettings, Why},
        queue::Arrival,
    },
    units::{ids::ExecutionId, lengths::Lengths},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    PacingView, Run, Tells, Told,
    costs::{Costs, Over},
};
use crate::{
    clock::unix_ms,
    messages::Admit,
    postgres::{
        desk::Desk,
        own::Own,
        probe::{BackendClock, Clocks, Counter},
    },
    server::queue::{QueueSnapshot, QueueView},
    supervise::port::Port,
};

/// How often what waits is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often what is used is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How often the database is asked who waits for a lock or for a client.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long that answer is waited for: what is held waits meanwhile, too.
const ASK_MAX: Duration = Duration::from_millis(100);
/// How often people are told.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How long a plan holds without another one, µs: what the database uses was not to be read for so long.
const PLAN_US: u64 = 1_000_000;

/// What the pacing is started with.
#[derive(Clone, Debug)]
pub struct PacingSettings {
    /// Where what the database uses is read.
    pub clocks: Clocks,
    /// Held statements that run beside each other at most; without a plan one, unless told otherwise.
    pub at_once: Option<u32>,
    /// Processors of the database's machine.
    pub cores: u32,
    /// Of the database.
    pub lengths: Lengths,
}

/// What the pacing asks of the rest.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Records what leaves.
    pub admit: Port<Admit>,
    /// What waits, and the mode.
    pub queue: watch::Receiver<QueueView>,
    /// Where sessions wait.
    pub desk: Desk,
    /// Asks the database who waits, where it can be asked.
    pub own: Option<Own>,
}

/// See the module.
pub struct Pacing {
    settings: PacingSettings,
    ports: Ports,
    told: mpsc::UnboundedReceiver<Told>,
    published: watch::Sender<Arc<PacingView>>,
    began: Instant,
    counter: Option<Counter>,
    /// When CPU time was read last, µs, and what it was.
    sampled_us: u64,
    counted_us: Option<u64>,
    costs: Costs,
    target: PaceTarget,
    pacer: Pacer,
    /// What waits, as far as sessions have told.
    held: BTreeMap<ExecutionId, Waiting>,
    /// What has left, with its backend's clock.
    running: BTreeMap<ExecutionId, Option<BackendClock>>,
    /// What may leave, and is not recorded as released yet.
    leaving: BTreeMap<ExecutionId, &'static str>,
    others_us_per_s: f64,
}

/// A statement that waits.
#[derive(Debug)]
struct Waiting {
    run: Run,
    held: Held,
    /// Whether somebody has asked for a delay that is not over.
    delayed: bool,
    /// Whether no tick brings it to the queue any more: it leaves from here.
    kept_back: bool,
}

impl Pacing {
    /// The way for sessions, the work, to be run by somebody, and what people are told.
    pub fn new(settings: PacingSettings, ports: Ports) -> (Tells, Self, watch::Receiver<Arc<PacingView>>) {
        let (tells, told) = Tells::new();
        let (published, view) = watch::channel(Arc::default());
        let cap = settings.at_once.unwrap_or(1);
        let cores = settings.cores.max(1);
        let pacing = Self {
            counter: Counter::of(&settings.clocks),
            sampled_us: 0,
            counted_us: None,
            costs: Costs::new(f64::from(cores)),
            target: PaceTarget::new(PaceSettings::of(cores), 0),
            pacer: Pacer::new(PacerSettings { cap, ..PacerSettings::default() }, 0),
            settings,
            ports,
            told,
            published,
            began: Instant::now(),
            held: BTreeMap::new(),
            running: BTreeMap::new(),
            leaving: BTreeMap::new(),
            others_us_per_s: 0.0,
        };
        (tells, pacing, view)
    }

    /// Until all sessions' ways to here are gone.
    pub async fn run(mut self) {
        let (mut sample, mut ask, mut publish) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            let wait = if self.held.is_empty() { SAMPLE_EVERY } else { LOOK_EVERY };
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.told(told),
                    None => return,
                },
                () = sleep(wait) => {}
            }
            while let Ok(told) = self.told.try_recv() {
                self.told(told);
            }
            let now = Instant::now();
            if now >= sample {
                sample = now + SAMPLE_EVERY;
                self.sample();
            }
            if now >= ask && !self.held.is_empty() && !self.running.is_empty() {
                ask = now + ASK_EVERY;
                self.ask_who_waits().await;
            }
            if now >= publish {
                publish = now + PUBLISH_EVERY;
                self.publish();
            }
            if !self.held.is_empty() {
                self.look();
                self.let_go().await;
            }
        }
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    fn told(&mut self, told: Told) {
        let now_us = self.now_us();
        match told {
            Told::Held { run, hold_ms } => self.hold(run, hold_ms, now_us),
            Told::Gone(execution) => self.gone(execution, now_us),
            Told::Began(run) => self.begins(&run, now_us),
            Told::Ended(execution, cpu_us) => {
                if let Some(over) = self.costs.ended(execution, cpu_us, now_us) {
                    self.over(over, now_us);
                }
            }
            Told::Over(session) => {
                for over in self.costs.session_over(session, now_us) {
                    self.over(over, now_us);
                }
            }
        }
    }

    fn hold(&mut self, run: Run, hold_ms: u64, now_us: u64) {
        let cost_us = self.costs.expected_us(&run);
        let latest_us = now_us.saturating_add(hold_ms.saturating_mul(1_000));
        let held = Held { execution: run.execution, arrived_us: now_us, latest_us, cost_us };
        self.target.arrived(now_us, cost_us);
        self.pacer.hold(held);
        self.held.insert(run.execution, Waiting { run, held, delayed: false, kept_back: false });
    }

    fn gone(&mut self, execution: ExecutionId, now_us: u64) {
        self.held.remove(&execution);
        self.leaving.remove(&execution);
        self.pacer.give_up(execution);
        self.pacer.ended(now_us, execution, None);
    }

    fn begins(&mut self, run: &Run, now_us: u64) {
        let execution = run.execution;
        let waited = self.held.remove(&execution);
        self.leaving.remove(&execution);
        self.costs.began(run, waited.is_some(), now_us);
        if let Some(Waiting { held, .. }) = waited {
            // Let go by somebody else, as by its session's alarm: it runs all the same.
            if self.pacer.give_up(execution) {
                self.pacer.hold(Held { latest_us: now_us, ..held });
                self.take_released(now_us);
                self.leaving.remove(&execution);
            }
            self.running.insert(execution, self.settings.clocks.of(run.statement.pid));
        }
    }

    fn over(&mut self, Over { execution, cpu_us }: Over, now_us: u64) {
        if self.running.remove(&execution).is_some() {
            self.pacer.ended(now_us, execution, cpu_us);
        }
    }

    /// What was used since the last time, and how much is to be used from now on.
    fn sample(&mut self) {
        let now_us = self.now_us();
        for (execution, clock) in &self.running {
            if let Some(used_us) = clock.as_ref().and_then(BackendClock::since_us) {
                self.pacer.progress(now_us, *execution, used_us);
            }
        }
        let from_us = std::mem::replace(&mut self.sampled_us, now_us);
        let total_us = self.counter.as_mut().and_then(|counter| counter.cpu_us().ok());
        let before_us = std::mem::replace(&mut self.counted_us, total_us);
        // A counter that went back belongs to a database that was started again.
        let used_us = total_us.zip(before_us).and_then(|(total, before)| total.checked_sub(before));
        // One that tells nothing still says that time has passed.
        self.costs.used(from_us, now_us, used_us);
        let Some(used_us) = used_us.filter(|_| now_us > from_us) else { return };
        let others_us = self.pacer.used(now_us, from_us, now_us, used_us).max(0.0);
        self.target.others(now_us, others_us as u64);
        self.others_us_per_s = others_us / (now_us - from_us) as f64 * 1e6;
        let pace = self.target.pace(now_us, self.pacer.waiting_us());
        let most = self.settings.at_once.unwrap_or(u32::MAX);
        self.pacer.plan(now_us, Pace { at_once: pace.at_once.min(most), ..pace }, now_us + PLAN_US);
    }

    /// Who waits for a lock or for a client uses no CPU, and gives its place to another.
    async fn ask_who_waits(&mut self) {
        let Some(own) = &self.ports.own else { return };
        let Ok(Ok(activity)) = timeout(ASK_MAX, own.activity()).await else { return };
        let waiting: BTreeSet<i32> = activity
            .iter()
            .filter(|one| one.waits_for.as_ref().is_some_and(|(kind, _)| kind == "Lock" || kind == "Client"))
            .map(|one| one.pid)
            .collect();
        let now_us = self.now_us();
        for (execution, clock) in &self.running {
            if let Some(clock) = clock {
                self.pacer.waits(now_us, *execution, waiting.contains(&clock.called()));
            }
        }
    }

    /// What may leave now.
    fn look(&mut self) {
        let view = self.ports.queue.borrow().clone();
        let Some(view) = view else { return };
        if view.mode != Mode::Enforce {
            for (execution, waiting) in &mut self.held {
                if self.pacer.give_up(*execution) || std::mem::take(&mut waiting.delayed) {
                    self.leaving.insert(*execution, "let go: nothing is held in this mode");
                }
            }
            return;
        }
        self.heed_delays(&view);
        self.take_released(self.now_us());
    }

    /// Who was asked for a delay waits for that first, and takes nobody's place.
    fn heed_delays(&mut self, view: &QueueSnapshot) {
        for row in &view.waiting {
            let Some(waiting) = self.held.get_mut(&row.execution) else { continue };
            let base = self.settings.lengths.base_of(row.queued_tick);
            let by_slot = row.reason.is_some() && row.planned_tick > view.tick;
            let delayed = by_slot || (row.due_tick > base && row.due_tick > view.tick);
            if delayed && !waiting.delayed {
                waiting.delayed = self.pacer.give_up(row.execution);
            } else if !delayed && waiting.delayed {
                waiting.delayed = false;
                self.pacer.hold(waiting.held);
            }
        }
    }

    fn take_released(&mut self, now_us: u64) {
        let released = self.pacer.released(now_us);
        self.leaving.extend(released.iter().map(|release| (release.execution, Why::reason(release.why))));
    }

    /// Has what may leave recorded as released, and tells its sessions. What is on its way to the queue waits until it is
    /// there.
    async fn let_go(&mut self) {
        let view = self.ports.queue.borrow().clone();
        let Some(view) = view else { return };
        let in_queue = |execution: ExecutionId| {
            view.waiting.binary_search_by_key(&execution, |row| row.execution).is_ok()
        };
        let mut arrivals = Vec::new();
        for (execution, reason) in &self.leaving {
            let Some(waiting) = self.held.get_mut(execution) else { continue };
            waiting.kept_back |= self.ports.desk.keep_back(*execution);
            if waiting.kept_back || in_queue(*execution) {
                let (query, statement) = (waiting.run.query, Some(Arc::clone(&waiting.run.statement)));
                let reason = Some((*reason).to_owned());
                arrivals.push(Arrival { execution: *execution, query, statement, reason });
            }
        }
        if arrivals.is_empty() {
            return;
        }
        let sent: Vec<_> = arrivals.iter().map(|arrival| arrival.execution).collect();
        let admitted = self.ports.admit.send(Admit { at_ms: unix_ms(), arrivals, texts: Vec::new() }).await;
        if let Ok(Ok(admitted)) = admitted {
            for row in admitted {
                self.leaving.remove(&row.execution);
                if !self.ports.desk.release(row.execution) {
                    self.ports.desk.not_sent(row.execution);
                }
            }
            return;
        }
        // Nothing of it was recorded, or nobody knows: its session's alarm lets it go at the latest.
        let now_us = self.now_us();
        for execution in sent {
            self.leaving.remove(&execution);
            self.pacer.ended(now_us, execution, None);
            if let Some(waiting) = self.held.get(&execution) {
                self.pacer.hold(waiting.held);
            }
        }
    }

    fn publish(&mut self) {
        if self.held.is_empty() {
            // Time passes for the plan, too, while nothing asks for it.
            self.pacer.released(self.now_us());
        }
        self.published.send_replace(Arc::new(PacingView {
            pace: self.pacer.pace(),
            others_us_per_s: self.others_us_per_s,
            waiting: (self.held.len(), self.pacer.waiting_us()),
            running: self.running.len(),
        }));
    }
}

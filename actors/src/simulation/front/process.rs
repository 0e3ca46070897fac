//! Evenkeel's process: the real actors and the real front, over the modelled disk, network and database.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Addr, Context, Handler};
use evenkeel_core::{
    postgres::classes::{BATCH, Class, Classes, Glob, INTERACTIVE, Rule},
    server::{
        control::{ControlRequest, SetSlot},
        queue::HoldLimits,
    },
    units::{lengths::Lengths, tick::Tick},
};
use tokio::{sync::watch, task::LocalSet, time::sleep};

use super::{
    super::dice::Draws as _,
    ledger::WorldsLedger,
    world::{self, World},
};
use crate::{
    clock::Clock,
    messages::{Control, Delay, Recorded},
    ports::ledger::Ledger,
    postgres::{
        desk::{Desk, RealDatabase, Releases},
        front::{FrontSettings, Modelled, Ports, Verifiers},
        pacing::{self, Pacing, PacingSettings, Tells},
        probe::Clocks,
        sql::PgQuery,
        upstream::Upstream,
    },
    server::{
        daemon::{self, Daemon, Pace},
        journal::Journal,
        monitor::Monitor,
        queue::{Queue, QueueView},
    },
    supervise::health::{ActorHealth, ActorName},
};

const TICK_MS: u64 = 100;
/// Longest hold of what may wait.
const HOLD_MS: u64 = 700;

/// See the module.
pub(super) struct Process {
    front: Modelled,
    queue: Addr<Queue>,
    view: watch::Receiver<QueueView>,
    desk: Desk,
    local: LocalSet,
}

/// Nobody looks.
struct Observer;

impl Actor for Observer {
    type Context = Context<Self>;
}

impl Handler<Recorded> for Observer {
    type Result = ();

    fn handle(&mut self, _: Recorded, _context: &mut Self::Context) {}
}

fn classes() -> Classes {
    let class = |name: &str, deferrable| Class {
        name: name.to_owned(),
        deferrable,
        max_delay_ms: HOLD_MS,
        priority: 0,
        tenant: "main".to_owned(),
    };
    let tags = [("class".to_owned(), Glob::new(BATCH))].into();
    let rule = Rule { tags, class: BATCH.to_owned(), ..Rule::default() };
    Classes::new(vec![class(INTERACTIVE, false), class(BATCH, true)], vec![rule], INTERACTIVE)
        .expect("classes")
}

fn settings(world: &World) -> FrontSettings {
    FrontSettings {
        listen: Vec::new(),
        recording: world.around.recording,
        when_full: world.around.when_full,
        allow: Vec::new(),
        allow_trust: true,
        session_parameters: Vec::new(),
        tls: None,
        verifiers: Verifiers::nowhere(),
        clocks: Clocks::Nowhere,
        tells_holds: false,
        connections_max: 100,
        threads: 1,
    }
}

thread_local! {
    /// Texts are understood alike in all worlds.
    static UNDERSTANDS: PgQuery = PgQuery::new("d");
}

impl Process {
    pub(super) fn start() -> Self {
        world::with(|world| world.around.tell(|| "start".to_owned()));
        let local = LocalSet::new();
        let entered = local.enter();
        let health = ActorHealth::new;
        let (lengths, clock, desk) = (Lengths::at_pace(TICK_MS), Clock::default(), Desk::default());
        let ledger = Arc::new(WorldsLedger);
        let observer = Observer.start().recipient().into();
        let journal =
            Journal::new(Arc::clone(&ledger) as Arc<dyn Ledger>, observer, health(ActorName::Journal));
        let journal = journal.start();
        let (view_sender, view) = watch::channel(None);
        let queue = Queue::new(
            journal.clone().recipient().into(),
            health(ActorName::Queue),
            view_sender,
            clock.clone(),
            lengths,
            HoldLimits::default(),
        );
        let queue = queue.start();
        let (window, _) = watch::channel(None);
        let monitor = Monitor::new(lengths, health(ActorName::Monitor), window, clock.clone()).start();
        let ports = daemon::Ports {
            monitor: monitor.clone().recipient().into(),
            queue: queue.clone().recipient().into(),
            ended: queue.clone().recipient().into(),
            journal: journal.recipient().into(),
            restore: vec![monitor.recipient().into(), queue.clone().recipient().into()],
        };
        let (pace, _) = watch::channel(Pace::default());
        let by_ticks = [None, Some(1), Some(2)].map(Releases::Ticks);
        let releases = [&by_ticks[..], &[Releases::Pacing; 2]].concat();
        let releases = world::with(|world| world.around.dice.pick(&releases));
        let database = Box::new(RealDatabase::new(desk.clone(), releases, None));
        let daemon = Daemon::new(
            ports,
            database,
            Box::new(desk.clone()),
            ledger.published(),
            health(ActorName::Daemon),
            pace,
            clock,
            TICK_MS,
        );
        daemon.start();
        let (_, classes) = watch::channel(Arc::new(classes()) as crate::postgres::front::Classes);
        let understand = UNDERSTANDS.with(PgQuery::clone);
        let timed = PacingSettings { clocks: Clocks::Nowhere, at_once: None, cores: 2, lengths };
        let ports = pacing::Ports {
            admit: queue.clone().recipient().into(),
            queue: view.clone(),
            desk: desk.clone(),
            own: None,
        };
        let (tells, pacing, _) = Pacing::new(timed, ports);
        let paced = releases == Releases::Pacing;
        let tells = if paced { tells } else { Tells::default() };
        if paced {
            drop(local.spawn_local(pacing.run()));
        }
        let ports = Ports {
            tells,
            admit: queue.clone().recipient().into(),
            drop_waiting: queue.clone().recipient().into(),
            queue: view.clone(),
            desk: desk.clone(),
            classes,
            understand: Arc::new(move |database| Box::new(understand.for_database(database))),
        };
        let settings = world::with(|world| settings(world));
        let (front, recording) = Modelled::new(settings, Upstream::modelled(world::connect), ports);
        drop(local.spawn_local(recording));
        drop(entered);
        Self { front, queue, view, desk, local }
    }

    /// Killed: nothing of it remains, and the disk forgets what was not synced.
    pub(super) fn kill(self) {
        let gap = self.front.gap();
        drop(self);
        world::with(|world| {
            world.around.tell(|| "killed".to_owned());
            world.around.gap += gap;
            let killed = world.around.writer.process_died();
            world.around.kills.push(killed);
        });
    }

    /// What its recorder has still to do.
    pub(super) fn behind(&self) -> usize {
        self.front.behind()
    }

    pub(super) fn gap(&self) -> u64 {
        self.front.gap()
    }

    /// It runs for so long, until it waits for others.
    pub(super) async fn run(&self, time: Duration) {
        self.local.run_until(sleep(time)).await;
    }

    /// It runs a little, and perhaps not until it waits for others.
    pub(super) async fn run_a_little(&self, polls: u64) {
        let some = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        self.local.run_until(some).await;
    }

    /// What is done with it as with a thing: whoever spawns in it does so as from within.
    pub(super) fn within<T>(&self, f: impl FnOnce(&Modelled) -> T) -> T {
        let _entered = self.local.enter();
        f(&self.front)
    }

    /// Evenkeel's own connection says which backends are there.
    pub(super) fn find_backends(&self) {
        for backend in self.desk.asked() {
            let running =
                world::with(|world| (!world.database.is_down()).then(|| world.database.running(backend)));
            if let Some(running) = running {
                self.desk.found(backend, running);
            }
        }
    }

    /// Somebody plans, or asks for a delay.
    pub(super) fn lead(&self) {
        let waiting: Vec<_> = self
            .view
            .borrow()
            .iter()
            .flat_map(|queue| queue.waiting.iter().map(|waiting| (waiting.execution, queue.tick)))
            .collect();
        world::with(|world| {
            let dice = &mut world.around.dice;
            if let Some(&(execution, _)) = waiting.first()
                && dice.hits(300)
            {
                let ticks = 1 + dice.roll(5);
                self.queue.do_send(Delay { execution, ticks });
            }
            let mut slot = |(execution, tick): (_, Tick)| SetSlot {
                execution,
                due_tick: tick.after(1 + dice.roll(4)),
                reason: "chance has it".to_owned(),
            };
            let set = waiting.into_iter().map(&mut slot).collect();
            let request =
                ControlRequest { client: "a".to_owned(), epoch: 1, lease_ticks: 10, set, handover: false };
            self.queue.do_send(Control(request));
        });
    }

    /// What still waits or has no outcome, as the queue says.
    pub(super) fn state(&self) -> String {
        self.view.borrow().as_ref().map_or_else(
            || "being restored".to_owned(),
            |queue| format!("{} wait, {} run", queue.waiting.len(), queue.running.len()),
        )
    }
}

//! A simulation of the front: real sessions, recorder, desk, daemon, queue and journal over models of network, disk and
//! PostgreSQL.
//!
//! ```text
//! (clients) ─▶ (Pipe) ─▶ login, Relay, Session ─▶ (Pipe) ─▶ (Backend: transactions, errors, death)
//!                          │ ▲ Recorder, Desk                  │ cancel, pg_stat_activity
//!                          ▼ │                                 ▼
//!              Queue, Daemon, Monitor, Journal ─▶ (Writer, Disk)   (truth)
//! ```
//!
//! Everything is decided by a seed: what clients send, in which pieces and how late it arrives, how long a statement
//! runs, what fails, what dies before or after it has acted, when the disk is full, when evenkeel's process is killed. In
//! the end all comes to rest, and [`checks`] holds what the database did against the journal and what clients were told.
//!
//! `EVENKEEL_SIM_SEED=7 cargo test -p evenkeel-actors --lib simulation::front` repeats one, `EVENKEEL_SIM_SEEDS=1000000`
//! does so many.

mod backend;
mod checks;
mod client;
mod database;
mod ledger;
mod process;
mod scripts;
mod texts;
mod totals;
mod wire;
mod world;

use std::{cell::Cell, panic, sync::Once, time::Duration};

use self::world::World;
use self::{client::Client, ledger::Trouble, process::Process};
use super::dice::Draws as _;

/// Seeds that `make test` tries.
const SEEDS: u64 = 4_000;
/// Things that happen in a world before it comes to rest, and rounds in which it must.
const STEPS: u64 = 400;
const ROUNDS_MAX: u32 = 1_000;
const CLIENTS: usize = 3;

/// Evenkeel, and its clients.
struct Life {
    process: Option<Process>,
    clients: Vec<Client>,
}

thread_local! {
    /// Whether something has failed on this thread: a task that does is lost in silence.
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

fn notice_failures() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |failed| {
            FAILED.set(true);
            before(failed);
        }));
    });
    FAILED.set(false);
}

/// A seed's world from beginning to end.
///
/// # Panics
/// When something does not hold.
pub(super) fn live(seed: u64, traces: bool) {
    notice_failures();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        world::begin(seed, traces);
        let clients = (0..CLIENTS).map(|_| Client::default()).collect();
        let mut life = Life { process: Some(Process::start()), clients };
        for _ in 0..STEPS {
            life.act().await;
        }
        life.come_to_rest().await;
        let talks = life.clients.iter().flat_map(|client| &client.over).collect::<Vec<_>>();
        let gap = life.process.as_ref().map_or(0, Process::gap);
        world::with(|world| checks::all(world, &talks, gap));
        world::with(|world| totals::add(world));
        assert!(!FAILED.get(), "a task has failed");
    });
}

impl Life {
    /// Something happens, and evenkeel does what it can.
    async fn act(&mut self) {
        self.happens();
        let (polls, ms) = world::with(|world| (world.around.dice.roll(6), world.around.dice.roll(12)));
        if let Some(process) = &self.process {
            if polls > 0 {
                process.run_a_little(polls).await;
            } else {
                process.run(Duration::from_millis(ms)).await;
            }
        } else {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }

    fn happens(&mut self) {
        let (what, killed) = world::with(|world| {
            let world::Weather { killed, server_dies, .. } = world.around.weather;
            if world.around.dice.hits(server_dies) && !world.database.is_down() {
                world.database.crash(&mut world.around);
            }
            (world.around.dice.weigh(&[40, 40, 30, 25, 6, 4, 8, 4]), world.around.dice.hits(killed))
        });
        if killed && let Some(process) = self.process.take() {
            process.kill();
        }
        match what {
            0 => self.client_acts(),
            1 => world::with(|world| {
                let World { database, around, .. } = world;
                database.act(false, around);
            }),
            2 => drop(world::with(World::flow)),
            3 => world::with(|world| world.around.write()),
            4 => trouble(),
            5 => world::with(|world| world.database.start()),
            6 if self.process.is_none() => self.process = Some(Process::start()),
            6 => self.process.iter().for_each(Process::find_backends),
            _ => self.process.iter().for_each(Process::lead),
        }
    }

    fn client_acts(&mut self) {
        let which = world::with(|world| world.around.dice.roll(CLIENTS as u64)) as usize;
        let client = &mut self.clients[which];
        match &self.process {
            Some(process) => process.within(|front| client.act(Some(front))),
            None => client.act(None),
        };
    }

    /// Good weather: everything is answered, clients leave, and every statement has an end.
    async fn come_to_rest(&mut self) {
        world::with(|world| {
            world.around.calm_down();
            world.database.start();
        });
        for client in &mut self.clients {
            client.ends = true;
        }
        for round in 0..ROUNDS_MAX {
            let process = self.process.get_or_insert_with(Process::start);
            let mut busy = false;
            for client in &mut self.clients {
                busy |= process.within(|front| client.act(Some(front)));
            }
            busy |= world::with(|world| {
                let mut busy = world.flow();
                busy |= world.database.act(true, &mut world.around);
                world.around.writer.publish();
                busy |= world.around.writer.is_asked();
                world.around.write();
                busy
            });
            process.find_backends();
            process.run(Duration::from_millis(if busy { 1 } else { 50 })).await;
            let gone = !self.clients.iter().any(Client::is_connected) && process.behind() == 0;
            if gone && round > 10 && world::with(|world| world.around.writer.is_at_rest()) {
                return;
            }
        }
        let clients: Vec<_> = self.clients.iter().map(Client::state).collect();
        let state = self.process.as_ref().map(Process::state).unwrap_or_default();
        panic!("the world does not come to rest: {clients:?}; {state}");
    }
}

/// The disk gets into trouble, or out of it.
fn trouble() {
    world::with(|world| {
        let around = &mut world.around;
        around.writer.trouble = None;
        if around.dice.hits(around.weather.disk_troubled * 20) {
            around.troubled = true;
            around.writer.trouble = Some(around.dice.pick(&[Trouble::Full, Trouble::Full, Trouble::Fails]));
            let trouble = around.writer.trouble;
            around.tell(|| format!("the disk: {trouble:?}"));
        }
        around.writer.publish();
    });
}

#[test]
#[expect(clippy::disallowed_macros, reason = "whoever runs it wants to see what happened")]
fn seeds() {
    let story = || world::with(|world| world.around.story.clone());
    super::try_seeds("simulation::front::seeds", live, story, SEEDS);
    let (told, never) = totals::told();
    println!("{told}");
    assert!(!never || super::number("EVENKEEL_SIM_SEED").is_some(), "something never happens: {told}");
}

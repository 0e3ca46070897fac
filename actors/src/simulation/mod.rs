//! A simulation of outbox, shipping and client: the real decisions over models of disk, network and Redis.
//!
//! ```text
//! real     Steps, RecordedQueue ─▶ (Disk) ─▶ Shipment ─▶ Link ─RESP─▶ (Way) ─▶ (Model: Redis) ─▶ Link ─▶ Follower ─▶ Progress,
//! (model)                      └▶ (truth)                                          ▲                    Estimator, Scheduler
//!                                                       RedisStateStore: lease, state ┘
//! ```
//!
//! Everything is decided by a seed: what arrives, who acts next, what is lost, cut, late or killed between any two
//! steps, what Redis forgets. In the end all comes to rest, and [`checks`] holds what ran, the outbox, Redis and the
//! client's state against each other. In some worlds the database tells its outcomes late ([`database`]). The model of Redis is held against a real one by [`differential`].
//!
//! `EVENKEEL_SIM_SEED=7 cargo test -p evenkeel-actors --lib simulation::seeds` repeats one,
//! `EVENKEEL_SIM_SEEDS=1000000` begins at 1 and does so many.

mod checks;
mod client;
mod database;
mod dice;
mod differential;
mod disk;
mod faults;
mod front;
mod model;
#[cfg(feature = "mutants")]
mod mutants;
mod quiet;
mod server;
mod wire;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use evenkeel_core::journal::Stream;
use tokio::time::advance;

use self::{
    client::Client,
    faults::command,
    server::{Server, Shipper},
    world::{ProcessId, Slot},
};

/// Seeds that `make test` tries.
const SEEDS: u64 = 10_000;
/// Things that happen in a world before it comes to rest, and rounds in which it must.
const STEPS: u64 = 500;
const ROUNDS_MAX: u32 = 400;

/// A seed's world from beginning to end.
///
/// # Panics
/// When something does not hold.
fn live(seed: u64, traces: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        world::begin(seed, traces);
        ProcessId::ALL.into_iter().for_each(world::start);
        for _ in 0..STEPS {
            let ms = world::with(|world| {
                let ms = world.dice.roll(120);
                world.now_ms += ms;
                ms
            });
            advance(Duration::from_millis(ms)).await;
            world::act_once();
        }
        come_to_rest().await;
        world::with(|world| checks::all(world));
    });
}

/// Good weather: everybody lives, and has nothing more to do after a while.
async fn come_to_rest() {
    world::with(|world| {
        world.calm_down();
        if let Some(stream) = world.foreign.take() {
            let key = world.keys.stream(stream);
            command(world, &["DEL", &key]);
        }
    });
    world::bury_the_dead();
    let ticked_at = world::with(|world| world.disk.head.revision);
    for round in 0..ROUNDS_MAX {
        advance(Duration::from_millis(100)).await;
        world::with(|world| world.now_ms += 100);
        ProcessId::ALL.into_iter().for_each(world::start);
        // At least one more tick, so that what could not be written shows itself; and windows, when all does not come to
        // rest: a moved group is noticed with the next entry.
        if round < 8 || round % 100 >= 40 || world::with(|world| world.disk.head.revision == ticked_at) {
            world::step(|slots| &mut slots.server, ProcessId::Server, Server::act);
        }
        world::step(|slots| &mut slots.shipper, ProcessId::Server, Shipper::act);
        for _ in 0..12 {
            world::step(|slots| &mut slots.clients[0], ProcessId::Client(0), Client::act);
            world::step(|slots| &mut slots.clients[1], ProcessId::Client(1), Client::act);
        }
        if round > 10 && everything_has_arrived() {
            return;
        }
    }
    panic!("the world does not come to rest");
}

/// Redis has what the outbox has, and one client too, whose state is then saved for good.
fn everything_has_arrived() -> bool {
    let taken = world::with_slots(|slots| std::mem::replace(&mut slots.shipper, Slot::Acting));
    let Slot::Here(mut shipper) = taken else { panic!("nobody ships") };
    let done = shipper.is_done();
    world::with_slots(|slots| slots.shipper = Slot::Here(shipper));
    if !done {
        return false;
    }
    let ends = world::with(|world| {
        Stream::ALL.map(|stream| {
            (stream, world.redis.keyspace().streams.get(&world.keys.stream(stream)).map(|s| s.last))
        })
    });
    for which in 0..2 {
        let taken = world::with_slots(|slots| std::mem::replace(&mut slots.clients[which], Slot::Acting));
        let Slot::Here(mut client) = taken else { panic!("client {which} is gone") };
        let at_the_end = client.levels().is_some_and(|positions| {
            ends.iter().all(|(stream, end)| {
                let lost = world::with(|world| world.ends_with_a_loss(*stream));
                lost || *end == Some(positions.get(*stream))
            })
        });
        let saved = at_the_end && client.end();
        world::with_slots(|slots| slots.clients[which] = if saved { Slot::Gone } else { Slot::Here(client) });
        if saved {
            return true;
        }
    }
    false
}

/// What a failed seed of a world says.
fn failure(live: fn(u64, bool), seed: u64, traces: bool) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| live(seed, traces))).err()?;
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
    Some(said.unwrap_or_default())
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`: expected a number")))
}

/// Tries seeds of a world, one if somebody asks for it.
fn try_seeds(name: &str, live: fn(u64, bool), story: fn() -> Vec<String>, seeds: u64) {
    if let Some(seed) = number("EVENKEEL_SIM_SEED") {
        let failed = failure(live, seed, true);
        assert!(failed.is_none(), "{}\nseed {seed}: {}", story().join("\n"), failed.unwrap_or_default());
        return;
    }
    let last = number("EVENKEEL_SIM_SEEDS").unwrap_or(seeds);
    let next = AtomicU64::new(number("EVENKEEL_SIM_FROM").unwrap_or(1));
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last {
                        return;
                    }
                    if let Some(said) = failure(live, seed, false) {
                        panic!(
                            "seed {seed}: {said}\nagain: EVENKEEL_SIM_SEED={seed} cargo test -p evenkeel-actors --lib {name}"
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn seeds() {
    let story = || world::with(|world| world.story.clone());
    try_seeds("simulation::seeds", live, story, SEEDS);
}

//! The guard: an actor that panics is back, with its address, its waiting messages and its state.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, MailboxError, Message, Supervised, System, WrapFuture};
use evenkeel_actors::supervise::{
    guard::{self, GaveUp, Guarding, RestartPolicy},
    health::{ActorHealth, ActorName, ActorState},
};
use tokio::sync::mpsc;

/// Counts; its durable store is outside, so that `restarting` can rebuild from it.
struct Counter {
    count: u64,
    store: std::sync::Arc<std::sync::atomic::AtomicU64>,
    panics_in_restarting: u32,
}

impl Counter {
    fn load(&mut self) {
        self.count = self.store.load(std::sync::atomic::Ordering::SeqCst);
    }
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.load();
    }
}

impl Supervised for Counter {
    fn restarting(&mut self, _context: &mut Self::Context) {
        if self.panics_in_restarting > 0 {
            self.panics_in_restarting -= 1;
            panic!("in restarting");
        }
        self.load();
    }
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _context: &mut Self::Context) -> u64 {
        self.count += n;
        // Memory is ahead of the store until here: a panic before it must not be seen afterwards.
        self.store.store(self.count, std::sync::atomic::Ordering::SeqCst);
        self.count
    }
}

#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
enum Fail {
    InHandler,
    InSpawned,
    InTimer,
    Stop,
}

impl Handler<Fail> for Counter {
    type Result = ();

    fn handle(&mut self, fail: Fail, context: &mut Self::Context) {
        self.count += 1_000_000;
        match fail {
            Fail::InHandler => panic!("in a handler"),
            Fail::InSpawned => {
                context.spawn(async { panic!("in a spawned future") }.into_actor(self));
            }
            Fail::InTimer => {
                context.run_later(Duration::from_millis(1), |_, _| panic!("in a timer"));
            }
            Fail::Stop => actix::ActorContext::stop(context),
        }
    }
}

struct World {
    address: actix::Addr<Counter>,
    health: ActorHealth,
    gave_up: mpsc::Receiver<GaveUp>,
}

fn world(panics_in_restarting: u32) -> World {
    let (sender, gave_up) = mpsc::channel(7);
    let policy = RestartPolicy { backoff_first: Duration::from_millis(1), ..RestartPolicy::default() };
    let health = ActorHealth::new(ActorName::Queue);
    let store = std::sync::Arc::default();
    let make = move |_: &mut Context<Counter>| Counter { count: 0, store, panics_in_restarting };
    let arbiter = actix::Arbiter::current();
    let address = guard::start(&arbiter, 16, health.clone(), Guarding { policy, gave_up: sender }, make);
    World { address, health, gave_up }
}

#[test]
fn whatever_fails_the_actor_is_back_with_its_address_and_its_durable_state() {
    System::new().block_on(async {
        for fail in [Fail::InHandler, Fail::InSpawned, Fail::InTimer, Fail::Stop] {
            let world = world(0);
            assert_eq!(world.address.send(Add(7)).await, Ok(7));
            let _ = world.address.send(fail).await;
            while world.health.restarts() == 0 || world.health.state() != ActorState::Running {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(world.address.send(Add(1)).await, Ok(8), "what was not durable is gone, nothing else");
            assert_eq!(world.health.restarts(), 1);
        }
    });
}

#[test]
fn messages_that_wait_survive_and_the_poisoned_ones_sender_learns_that_its_outcome_is_unknown() {
    System::new().block_on(async {
        let world = world(0);
        let poisoned = world.address.send(Fail::InHandler);
        let waiting = [world.address.send(Add(1)), world.address.send(Add(2)), world.address.send(Add(3))];
        assert_eq!(poisoned.await, Err(MailboxError::Closed));
        let mut sums = Vec::new();
        for answer in waiting {
            sums.push(answer.await.unwrap());
        }
        assert_eq!(sums, [1, 3, 6]);
    });
}

#[test]
fn a_panic_while_restarting_is_one_more_failure_and_not_the_end() {
    System::new().block_on(async {
        let world = world(2);
        world.address.do_send(Fail::InHandler);
        assert_eq!(world.address.send(Add(5)).await, Ok(5));
        assert_eq!(world.health.restarts(), 3);
    });
}

#[test]
fn the_sixth_failure_within_a_minute_gives_the_actor_up_and_says_why() {
    System::new().block_on(async {
        let mut world = world(0);
        for _ in 0..6 {
            world.address.do_send(Fail::InHandler);
        }
        let gave_up = world.gave_up.recv().await.unwrap();
        assert_eq!(gave_up, GaveUp { actor: ActorName::Queue, cause: "in a handler".to_owned() });
        assert_eq!(world.health.state(), ActorState::GaveUp);
        assert_eq!(world.health.restarts(), 5);
        assert_eq!(world.address.send(Add(1)).await, Err(MailboxError::Closed));
    });
}

#[test]
fn an_actor_that_nobody_can_reach_ends_quietly() {
    System::new().block_on(async {
        let World { address, health, mut gave_up } = world(0);
        drop(address);
        // The guard drops its sender when it ends.
        assert_eq!(gave_up.recv().await, None);
        assert_eq!(health.restarts(), 0);
    });
}

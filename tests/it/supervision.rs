//! An actor that fails again and again ends its process, one that is blocked makes it not ready; both are said, and all is
//! whole when it is started again.
//!
//! What a single failure does to each actor is tried inside: `actors/tests/{guard,recovery,consumer}.rs`.
//! `cargo test --features faults --test it supervision`

use crate::support::{Running, World, number, start, wait_until};

/// As `run` starts it, with this in store for its actors.
fn start_with(fault: &str, world: &World) -> Running {
    let mut run = world.command("run");
    run.args(["--listen", "127.0.0.1:0"]).env("EVENKEEL_FAULT", fault);
    start(run, &world.path("stderr.txt"))
}

fn goes_on_and_ends_well(world: &World) {
    let again = world.start();
    again.wait_until_ready();
    world.goes_on(100);
    again.ends_well(world);
}

fn world() -> World {
    World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "19"])
}

const ACTORS: [&str; 7] = ["queue", "daemon", "monitor", "journal", "consumer", "estimator", "scheduler"];

/// A panic in one of so many messages: six come within seconds, and between them there is time to ask.
const ONE_IN: u32 = 30;

#[test]
fn the_sixth_failure_of_any_actor_within_a_minute_ends_the_process_with_70() {
    for actor in ACTORS {
        let world = world();
        let failing = start_with(&format!("panic-{actor}=1/{ONE_IN}"), &world);
        let counted = format!("evenkeel_actor_restarts_total{{actor=\"{actor}\"}} ");
        wait_until("a restart is counted", || number(&failing.get("/metrics").body, &counted) > 0);
        let (status, _) = failing.wait();
        let said = std::fs::read_to_string(world.path("stderr.txt")).unwrap();
        assert_eq!(status.code(), Some(70), "{actor}: {said}");
        let restarts: Vec<_> = said.lines().filter(|line| line.contains("it is started again")).collect();
        assert_eq!(restarts.len(), 5, "{actor}: {said}");
        for (restart, line) in (1..).zip(restarts) {
            for what in
                [&format!("actor=\"{actor}\""), "a fault in a handler", &format!("restarts={restart}")]
            {
                assert!(line.contains(what), "`{what}` is missing in: {line}");
            }
        }
        assert!(said.contains("given up: the process ends and should be started again"), "{actor}: {said}");
        goes_on_and_ends_well(&world);
    }
}

/// Ten seconds in one of so many messages: between them it is ready again.
const BLOCKED_ONE_IN: u32 = 400;

fn while_it_is_blocked_the_process_answers_and_is_not_ready(actor: &str) {
    let world = world();
    let blocked = start_with(&format!("block-{actor}=1/{BLOCKED_ONE_IN}"), &world);
    let sentence = format!("the {actor} has been blocked for");
    wait_until("it is told", || {
        let ready = blocked.get("/readyz");
        ready.status == 503 && ready.json()["reasons"].to_string().contains(&sentence)
    });
    assert_eq!(blocked.get("/healthz").status, 200, "the process answers");
    assert!([200, 204].contains(&blocked.get("/queued").status), "reads do not wait for an actor");
    blocked.wait_until_ready();
    blocked.kill();
    goes_on_and_ends_well(&world);
}

#[test]
fn a_blocked_daemon_is_told() {
    while_it_is_blocked_the_process_answers_and_is_not_ready("daemon");
}

#[test]
fn a_blocked_queue_is_told() {
    while_it_is_blocked_the_process_answers_and_is_not_ready("queue");
}

#[test]
fn a_blocked_scheduler_is_told() {
    while_it_is_blocked_the_process_answers_and_is_not_ready("scheduler");
}

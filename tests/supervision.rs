//! An actor that fails again and again ends its process, which says why and is whole when it is started again.
//!
//! What a single failure does to each actor is tried inside: `actors/tests/{guard,recovery,consumer}.rs`.
//! `cargo test --features faults --test supervision`

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use support::{World, number, start, wait_until};

const ACTORS: [&str; 7] = ["queue", "daemon", "monitor", "journal", "consumer", "estimator", "scheduler"];

/// A panic in one of so many messages: six come within seconds, and between them there is time to ask.
const ONE_IN: u32 = 30;

#[test]
fn the_sixth_failure_of_any_actor_within_a_minute_ends_the_process_with_70() {
    for actor in ACTORS {
        let world = World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "19"]);
        let mut run = world.command("run");
        run.args(["--listen", "127.0.0.1:0"]).env("EVENKEEL_FAULT", format!("panic-{actor}=1/{ONE_IN}"));
        let failing = start(run, &world.path("stderr.txt"));
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
        let again = world.start();
        again.wait_until_ready();
        world.goes_on(100);
        again.ends_well(&world);
    }
}

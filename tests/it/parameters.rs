//! Databases of other lengths, from outside: they run, stop, go on, and their journals are proved; a directory keeps its own.

use serde_json::Value;

use crate::support::{World, pair::Pair, wait_until};

/// Ticks a second, ticks in a window, ticks of the default delay, and the rest of the scenario.
const DATABASES: [(u64, u64, u64, &str); 4] = [
    (200, 2, 1, "rate = 5.0\nquery_count = 300\n"),
    (100, 25, 4, "rate = 8.0\nrate_exponent = 0.0\n"),
    (200, 7, 100, "rate = 0.4\nquery_count = 3\nrate_exponent = 2.0\n"),
    (200, 600, 10, "rate = 20.0\n[bound_cost]\nlocation = 40.0\nscale = 1.0\nskew = 0.0\n"),
];

fn scenario((ticks_a_second, window, delay, rest): (u64, u64, u64, &str)) -> String {
    let tick_ms = 1_000 / ticks_a_second;
    format!("tick_ms = {tick_ms}\nwindow_ticks = {window}\ndefault_delay_ticks = {delay}\n{rest}")
}

fn window_ticks(status: &Value) -> [&Value; 3] {
    [&status["tick_ms"], &status["window_ticks"], &status["default_delay_ticks"]]
}

#[test]
fn databases_of_other_lengths_run_stop_go_on_and_are_proved() {
    for database @ (ticks_a_second, window, delay, _) in DATABASES {
        let world = World::with_parameters(&scenario(database), &[]);
        for end in ["KILL", "TERM"] {
            let running = world.start();
            running.wait_until_ready();
            let tick = || running.get("/api/v1/status").json()["tick"].as_u64().unwrap_or_default();
            let begun = tick();
            wait_until("more than a window has passed", || tick() > begun + window + delay + 20);
            let status = running.get("/api/v1/status").json();
            assert_eq!(window_ticks(&status), [1_000 / ticks_a_second, window, delay]);
            let closed = running.get("/api/v1/resources").json()["window"].clone();
            let ticks = closed["last_tick"].as_u64().unwrap() - closed["first_tick"].as_u64().unwrap() + 1;
            assert_eq!(ticks, window, "{closed}");
            running.signal(end);
            drop(running.wait());
            world.assert_verified();
        }
    }
}

#[test]
fn a_directory_of_other_lengths_is_refused_naming_what_differs_and_both_values() {
    let world = World::with_parameters(&scenario((200, 5, 2, "")), &["--until-tick", "12"]);
    let ended = world.start().wait();
    assert!(ended.0.success(), "{ended:?}");
    std::fs::write(world.path("scenario.toml"), scenario((200, 6, 2, ""))).unwrap();
    let mut again = world.command("run");
    let refused = again.args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("window_ticks = 5") && said.contains("window_ticks = 6"), "{said}");
    assert!(!said.contains("default_delay_ticks"), "what is the same is not named: {said}");
    for (wrong, expected) in [
        ("window_ticks = 1", "`window_ticks` is 1: expected 2..=600"),
        ("default_delay_ticks = 101", "`default_delay_ticks` is 101: expected 1..=100"),
        ("rate_exponent = 5.0", "`rate_exponent` is 5: expected 0..=4"),
    ] {
        std::fs::write(world.path("scenario.toml"), wrong).unwrap();
        let refused = world.command("run").output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// A client over Redis is told nothing of the lengths but what `meta` says.
#[test]
fn a_client_over_redis_learns_the_lengths_from_the_journal() {
    let world = World::with_parameters(&scenario((50, 4, 3, "rate = 6.0\nquery_count = 20\n")), &[]);
    let pair = Pair::new(world);
    let (server, client) = (pair.start_server(), pair.start_client());
    wait_until("slots decide", || server.get("/api/v1/status").json()["levelled"] == true);
    let begun = pair.told();
    wait_until("windows pass", || pair.told() > begun + 200);
    let log = std::fs::read_to_string(pair.world.path("client.stderr.txt")).unwrap();
    assert!(log.contains("windows of 4 ticks, a default delay of 3 ticks"), "{log}");
    drop(client.kill());
    server.signal("TERM");
    assert!(server.wait().0.success());
    pair.assert_verified();
}

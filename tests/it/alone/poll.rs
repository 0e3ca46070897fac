//! `evenkeel client --poll` and a server that is not evenkeel's; a client that is not, and evenkeel's server.

use std::{sync::atomic::Ordering, time::Duration};

use evenkeel_core::{units::resource::Usage, world::Scenario};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Running, World, evenkeel,
    foreign::{Foreign, model::median_deviation},
    output, pause, start, wait_until,
};

struct Polling {
    foreign: Foreign,
    folder: TempDir,
}

impl Polling {
    fn new(scenario: Scenario, seed: u64) -> Self {
        Self { foreign: Foreign::start(scenario, seed), folder: TempDir::new().unwrap() }
    }

    fn start_client(&self) -> Running {
        let mut command = evenkeel();
        command.args(["client", "--poll", "--server", &self.foreign.url(), "--listen", "127.0.0.1:0"]);
        start(command, &self.folder.path().join("stderr.txt"))
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr.txt")).unwrap()
    }

    /// What the next `seconds` use.
    fn watch(&self, seconds: u64) -> Vec<Usage> {
        let from = self.foreign.usage().len();
        pause(Duration::from_secs(seconds));
        self.foreign.usage()[from..].to_vec()
    }
}

/// The last number after `name` in what the client printed.
fn printed(lines: &[String], name: &str) -> Option<u64> {
    let after = lines.iter().rev().find_map(|line| line.split_once(name))?.1;
    after.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn a_foreign_server_is_levelled_through_restarts_nonsense_and_closed_connections() {
    let _alone = super::alone();
    let polling = Polling::new(Scenario::X5, 9_001);
    let foreign = &polling.foreign;
    let without = median_deviation(&polling.watch(6));
    let client = polling.start_client();
    pause(Duration::from_secs(16));
    let with = median_deviation(&polling.watch(8));
    assert!(2.0 * with < without, "{with} with, {without} without\n{}", polling.said());

    foreign.manners().closes_every.store(7, Ordering::Relaxed);
    foreign.manners().drops_every.store(50, Ordering::Relaxed);
    foreign.manners().slow_every.store(60, Ordering::Relaxed);
    foreign.manners().nonsense_every.store(40, Ordering::Relaxed);
    pause(Duration::from_secs(5));
    let (_, delayed, _) = foreign.counts();
    foreign.restart();
    pause(Duration::from_secs(5));
    assert!(
        foreign.counts().1 > delayed + 50,
        "it goes on delaying: {:?}\n{}",
        foreign.counts(),
        polling.said()
    );
    foreign.manners().drops_every.store(0, Ordering::Relaxed);
    foreign.manners().slow_every.store(0, Ordering::Relaxed);
    foreign.manners().nonsense_every.store(0, Ordering::Relaxed);
    pause(Duration::from_secs(10));
    let again = median_deviation(&polling.watch(8));
    assert!(2.0 * again < without, "{again} again, {without} without\n{}", polling.said());

    client.signal("TERM");
    let (status, lines) = client.wait();
    assert!(status.success(), "{status}\n{}", polling.said());
    let (executed, ..) = foreign.counts();
    let seen = printed(&lines, "seen ").unwrap();
    assert!(seen * 10 > executed * 7, "seen {seen} of {executed}");
    assert!(printed(&lines, "missed perhaps ").is_some());
    let said = polling.said();
    assert!(said.contains("started anew"), "{said}");
}

#[test]
fn without_a_server_it_says_so() {
    let _alone = super::alone();
    let refused = output(&["client", "--poll", "--server", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(4));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("http://127.0.0.1:9/queued"), "{said}");
}

/// A client that knows only the three endpoints: it looks each second, and delays what it has just seen.
#[test]
fn a_client_that_is_not_evenkeels_works_against_evenkeels_server() {
    let _alone = super::alone();
    let world = World::new("x10", &["--mode", "off"]);
    let server = world.start();
    server.wait_until_ready();
    wait_until("a window has closed", || server.get("/resources").json()["cpu"]["average"] != 0);
    let mut delayed: Vec<(String, u64)> = Vec::new();
    for _ in 0..4 {
        let queued = server.get("/queued");
        assert!([200, 204].contains(&queued.status), "{queued:?}");
        let items = if queued.status == 200 { queued.json() } else { Value::Array(Vec::new()) };
        let planned = |id: &str| {
            let item = items.as_array().unwrap().iter().find(|item| item["execution"]["id"] == *id);
            item.map(|item| item["execution"]["timestamp"].as_u64().unwrap())
        };
        for (id, timestamp) in &delayed {
            // It still waits, for 100 ticks of 100 ms more; ticks begin a little earlier or later than planned.
            let later = planned(id).map(|planned| planned.abs_diff(timestamp + 10_000));
            assert!(later.is_some_and(|ms| ms < 1_000), "{later:?}");
        }
        for item in items.as_array().unwrap().iter().take(3) {
            let id = item["execution"]["id"].as_str().unwrap();
            if delayed.iter().any(|(known, _)| known == id) {
                continue;
            }
            let body = format!("{{\"id\":\"{id}\",\"delay\":100}}");
            let answer = server.request("POST", "/delay", "text/plain", &body);
            // What has run meanwhile is not known any more.
            assert!([200, 404].contains(&answer.status), "{answer:?}");
            if answer.status == 200 {
                assert_eq!(answer.body, "");
                delayed.push((id.to_owned(), item["execution"]["timestamp"].as_u64().unwrap()));
            }
        }
        let resources = server.get("/resources").json();
        for resource in ["cpu", "io", "memory"] {
            let [min, average, max] =
                ["min", "average", "max"].map(|name| resources[resource][name].as_u64().unwrap());
            assert!(min <= average && average <= max, "{resources}");
        }
        pause(Duration::from_secs(1));
    }
    assert!(!delayed.is_empty(), "something was delayed");
    server.signal("TERM");
    assert!(server.wait().0.success());
    world.assert_verified();
}

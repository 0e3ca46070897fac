//! The page's minutes over a restart, and what a delay beyond its objective says.

use serde_json::Value;

use crate::support::{Running, World, output, wait_until};

fn minutes(running: &Running) -> Vec<Value> {
    let answer = running.get("/api/v1/minutes");
    assert!(answer.status == 200 || answer.status == 503, "{}", answer.body);
    answer.json()["points"].as_array().cloned().unwrap_or_default()
}

fn sum(points: &[Value], field: &str) -> u64 {
    points.iter().filter_map(|point| point[field].as_u64()).sum()
}

#[test]
fn a_restart_leaves_the_minutes_before_it_on_the_page() {
    let world = World::new("fast", &["--seed", "5"]);
    let running = world.start();
    wait_until("benefit, queue and delay are known of some windows", || {
        let points = minutes(&running);
        sum(&points, "windows_known_without") > 20
            && points.iter().any(|point| point["queued"].is_u64() && point["delay_ticks"]["p99"].is_u64())
    });
    let before = minutes(&running);
    running.ends_well(&world);
    let running = world.start();
    running.wait_until_ready();
    wait_until("the minutes are there", || !minutes(&running).is_empty());
    let after = minutes(&running);
    let of = |points: &[Value]| points[0]["closed_at_ms"].as_u64().unwrap() / 60_000;
    assert_eq!(of(&before), of(&after), "it begins with the same minute");
    for field in ["windows", "windows_in_corridor", "windows_known_without", "queued"] {
        assert!(sum(&after, field) >= sum(&before, field), "{field}: {after:?} is less than {before:?}");
    }
    running.ends_well(&world);
}

#[test]
fn a_damaged_file_of_minutes_is_set_aside_with_a_word_and_stops_nothing() {
    let world = World::new("fast", &["--seed", "5"]);
    let running = world.start();
    wait_until("there is a minute", || !minutes(&running).is_empty());
    running.ends_well(&world);
    let file = world.data_dir().join("minutes");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let running = world.start();
    running.wait_until_ready();
    wait_until("it is set aside", || world.data_dir().join("minutes.damaged").exists());
    let said = || std::fs::read_to_string(world.path("stderr.txt")).unwrap();
    wait_until("that is said", || said().contains("its checksum does not fit; set aside as "));
    running.ends_well(&world);
    assert!(file.exists(), "there is a new one");
}

#[test]
fn a_wait_beyond_the_objective_is_told_everywhere() {
    let world = World::new("x5", &["--delay-objective", "100ms", "--max-delay", "30s"]);
    let running = world.start();
    let status = || running.get("/api/v1/status").json();
    wait_until("something waits for longer than a tick", || status()["delay"]["level"] != "good");
    assert_eq!(
        (&status()["delay"]["objective_ticks"], &status()["max_delay_ticks"]),
        (&1.into(), &300.into())
    );
    let metrics = running.get("/metrics").body;
    assert!(metrics.contains("evenkeel_delay_objective_seconds 0.1"), "{metrics}");
    let told = || {
        let shown = output(&["status", "--url", &running.base]);
        String::from_utf8(shown.stdout).unwrap().contains("the delay objective is 0.1 s")
    };
    wait_until("`status` says it", told);
    // A line a second: some have been printed by then.
    wait_until("some seconds have passed", || status()["tick"].as_u64() > Some(50));
    running.signal("TERM");
    let (_, printed) = running.wait();
    assert!(printed.iter().any(|line| line.ends_with(", objective 0.1 s")), "{printed:?}");
}

#[test]
fn what_is_held_for_a_plan_has_no_planned_tick() {
    let world = World::new("x10", &[]);
    let running = world.start();
    let mut held = Value::Null;
    wait_until("something is held for a plan", || {
        let waiting = running.get("/api/v1/queued?limit=10000").json();
        let all = waiting["executions"].as_array().cloned().unwrap_or_default();
        held = all.into_iter().find(|one| one["held_for_plan"] == true).unwrap_or_default();
        !held.is_null()
    });
    assert!(held["planned_tick"].is_null() && held["planned_ms"].is_null(), "{held}");
    assert!(held["held_until_tick"].as_u64() > held["due_tick"].as_u64(), "{held}");
    running.kill();
}

//! The command line: what it prints, and what it says to what cannot be.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use serde_json::Value;
use support::{World, evenkeel, output, text};

fn json_lines(arguments: &[&str]) -> Vec<Value> {
    let done = output(arguments);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts exit code 2, nothing on stdout, and that stderr says each of `says`.
fn assert_usage(arguments: &[&str], says: &[&str]) {
    let done = output(arguments);
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(done.stdout.is_empty());
    for expected in says {
        assert!(said.contains(expected), "{arguments:?} does not say `{expected}`: {said}");
    }
}

#[test]
fn simulate_prints_an_object_for_each_scenario_seed_and_policy() {
    let arguments =
        ["simulate", "--scenario", "x5", "--seeds", "4..5", "--policy", "all", "--ticks", "3600", "--json"];
    let lines = json_lines(&arguments);
    let fields = [
        "scenario",
        "seed",
        "policy",
        "costs",
        "budget",
        "ticks",
        "windows",
        "in_corridor",
        "any_alignment",
        "peak_to_mean_60s",
        "delay_ticks",
        "pending_end",
        "estimate_error",
        "feasible_share",
        "binding",
        "wall_seconds",
    ];
    for line in &lines {
        assert!(fields.iter().all(|field| line.get(field).is_some()), "{line}");
        assert_eq!(line["windows"], 60);
        assert!(["mean", "p50", "p99", "max"].iter().all(|field| line["delay_ticks"].get(field).is_some()));
    }
    let none: Vec<_> = lines.iter().filter(|line| line["policy"] == "none").collect();
    assert_eq!(none.len(), 2, "A..B includes both ends");
    for line in none {
        assert_eq!(line["delay_ticks"]["max"], 1, "nobody levels, nobody waits");
    }
    let without_time = |mut lines: Vec<Value>| {
        for line in &mut lines {
            line.as_object_mut().unwrap().remove("wall_seconds");
        }
        lines
    };
    let again = json_lines(&arguments);
    assert_eq!(without_time(lines), without_time(again), "the same seeds give the same results");
}

#[test]
fn what_cannot_be_is_refused_with_what_would_be_right() {
    assert_usage(&["simulate", "--scenario", "x7"], &["x7", "x5, x10", "or a file"]);
    assert_usage(&["simulate", "--policy", "magic"], &["magic", "token-bucket", "all"]);
    assert_usage(&["simulate", "--seeds", "9..3"], &["9..3", "A..B"]);
    assert_usage(&["simulate", "--delay-budget", "0.5"], &["0.5", "1 tick"]);
    assert_usage(&["simulate", "--costs", "guessed"], &["learned", "known"]);
    assert_usage(&["run", "--mode", "on"], &["off, shadow, enforce"]);
    assert_usage(&["levitate"], &["levitate"]);
}

#[test]
fn a_configuration_file_is_read_and_its_mistakes_are_named() {
    let world = World::new("seed", &[]);
    let file = world.path("evenkeel.toml");
    let run = |contents: &str| {
        std::fs::write(&file, contents).unwrap();
        let config = file.display().to_string();
        assert_usage(&["run", "--config", &config], &[]);
        String::from_utf8(output(&["run", "--config", &config]).stderr).unwrap()
    };
    assert!(run("sceanrio = \"x5\"\n").contains("sceanrio"));
    assert!(run("delay_budget = \"much\"\n").contains("delay_budget"));
    assert!(run("max_delay_ticks = 0\n").contains("1..=864000"));
    assert!(run("scenario = \"nowhere.toml\"\n").contains("nowhere.toml"));
    assert_usage(&["run", "--config", "/nowhere/evenkeel.toml"], &["/nowhere/evenkeel.toml"]);
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let world = World::new("seed", &[]);
    let file = world.path("evenkeel.toml");
    std::fs::write(&file, "scenario = \"from-the-file\"\n").unwrap();
    let said = |environment: Option<&str>, flag: Option<&str>| {
        let mut command = evenkeel();
        command.args(["run", "--config", text(&file)]);
        if let Some(value) = environment {
            command.env("EVENKEEL_SCENARIO", value);
        }
        if let Some(value) = flag {
            command.args(["--scenario", value]);
        }
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    assert!(said(None, None).contains("from-the-file"));
    assert!(said(Some("from-the-environment"), None).contains("from-the-environment"));
    assert!(said(Some("from-the-environment"), Some("from-the-flag")).contains("from-the-flag"));
}

#[test]
fn world_prints_every_query_of_a_scenario() {
    let lines = json_lines(&["world", "--scenario", "few", "--seed", "2", "--json"]);
    assert_eq!(lines.len(), 3);
    for line in lines {
        let bound = line["bound"].as_str().unwrap();
        assert!(line["cost"][bound].as_u64().unwrap() >= 1 && line["arrivals_per_tick"].is_f64());
    }
}

#[test]
fn a_journal_that_is_not_there_is_unreachable_and_a_damaged_one_fails_its_check() {
    let world = World::new("fast", &[]);
    let data_dir = world.data_dir();
    for command in ["tail", "stat", "verify"] {
        let done = output(&["journal", command, "--data-dir", text(&data_dir)]);
        assert_eq!(done.status.code(), Some(4), "{command}");
        assert!(String::from_utf8_lossy(&done.stderr).contains("holds no journal"));
    }
    let running = world.start();
    running.wait_until_ready();
    running.signal("TERM");
    running.wait();
    world.assert_verified();
    let tail = output(&["journal", "tail", "--data-dir", text(&data_dir), "--stream", "queue", "-n", "3"]);
    assert_eq!(String::from_utf8_lossy(&tail.stdout).lines().count(), 3);
    // What the database ran and nobody recorded is found.
    let mut truth = std::fs::read_to_string(world.truth()).unwrap();
    truth.insert_str(0, "0 01890000-0000-7000-8000-000000000000 01890000-0000-7000-8000-000000000001\n");
    std::fs::write(world.truth(), truth).unwrap();
    assert_eq!(world.verify().status.code(), Some(3));
}

/// Named points of death, and known faults, are for builds that test the tests.
#[cfg(not(any(feature = "faults", feature = "mutants")))]
#[test]
fn the_program_holds_no_faults_of_the_tests() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_evenkeel")).unwrap();
    let holds = |name: &str| program.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(holds("EVENKEEL_DATA_DIR"), "what is looked for in this way is found");
    for name in [
        "EVENKEEL_FAULT",
        "EVENKEEL_MUTANT",
        "after-outbox-write",
        "panic-queue",
        "PendingNotRead",
        "StaleCursor",
    ] {
        assert!(!holds(name), "{name}");
    }
}

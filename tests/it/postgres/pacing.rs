//! When what is held leaves.

use std::{collections::BTreeMap, fs};

use super::{
    raw::{Raw, sqlstate},
    *,
};

/// How many held statements left for each reason.
fn reasons(before: &Before) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for entry in before.entries().iter().filter(|entry| entry["stream"] == "executions") {
        let reason = entry["fields"]["reason"].as_str().unwrap_or_default().to_owned();
        *reasons.entry(reason).or_default() += usize::from(entry["fields"]["class"] == "batch");
    }
    reasons.retain(|_, count| *count > 0);
    reasons
}

/// Sends so many batches at once, each on a session of its own, and waits until all are answered.
fn batches(before: &Before, count: usize) {
    let mut sessions: Vec<_> = (0..count).map(|_| Raw::connect(before.address(), "batches")).collect();
    for session in &mut sessions {
        session.ask("select count(*) from generate_series(1, 200000)");
    }
    for session in &mut sessions {
        assert_eq!(sqlstate(&session.until_ready()), "");
    }
}

fn ended(before: &Before, count: usize) {
    wait_until("all are recorded", || reasons(before).values().sum::<usize>() == count);
}

#[test]
fn held_statements_leave_by_credit_where_it_is_known_what_the_database_uses() {
    let postgres = Postgres::start();
    let before = Before::with(&postgres, &["--mode", "enforce", "--pgdata", text(&postgres.data())]);
    wait_until("there is a plan", || {
        before.running().get("/metrics").body.lines().any(|line| line.starts_with("evenkeel_pace_cores "))
    });
    batches(&before, 8);
    ended(&before, 8);
    let reasons = reasons(&before);
    assert!(reasons.keys().all(|reason| reason.contains("by credit")), "{reasons:?}");
    before.ends_well();
}

#[test]
fn p17_without_a_plan_held_statements_leave_under_the_cap() {
    let postgres = Postgres::start();
    // A group of version 2, as far as CPU goes, which is gone after a while.
    let folder = TempDir::new().unwrap();
    let stat = folder.path().join("cpu.stat");
    fs::write(&stat, "usage_usec 1000\n").unwrap();
    let before = Before::with(&postgres, &["--mode", "enforce", "--cgroup", text(folder.path())]);
    let plans = |before: &Before| {
        before.running().get("/metrics").body.lines().any(|line| line.starts_with("evenkeel_pace_cores "))
    };
    wait_until("there is a plan", || plans(&before));
    fs::remove_file(&stat).unwrap();
    wait_until("there is none", || !plans(&before));
    batches(&before, 5);
    ended(&before, 5);
    let reasons = reasons(&before);
    assert!(reasons.keys().all(|reason| reason.contains("there is no plan")), "{reasons:?}");
    before.ends_well();
}

#[test]
fn nothing_is_held_from_the_moment_on_when_the_mode_says_so() {
    let postgres = Postgres::start();
    let before = Before::enforce(&postgres);
    let occupies = holding::occupy(&before, &postgres, 30);
    let mut waits = Raw::connect(before.address(), "batches");
    waits.ask("select 1");
    wait_until("it waits", || before.queued() == 1);
    before.set_mode("off");
    assert_eq!(sqlstate(&waits.until_ready()), "");
    occupies.cancel();
    ended(&before, 2);
    before.ends_well();
}

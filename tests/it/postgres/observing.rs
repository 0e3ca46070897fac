//! What people see of the front: its numbers, what is wrong, the journal in Redis.

use super::{
    raw::{Raw, sqlstate},
    *,
};
use crate::support::number;

/// Sentences of the degraded causes of that kind.
fn causes(before: &Before, kind: &str) -> Vec<String> {
    let status = before.get("/api/v1/status");
    let causes = status["causes"].as_array().unwrap().clone();
    let of_kind = causes.iter().filter(|cause| cause["kind"] == kind);
    of_kind.map(|cause| cause["sentence"].as_str().unwrap().to_owned()).collect()
}

fn metrics(before: &Before) -> String {
    before.running().get("/metrics").body
}

#[test]
fn a_database_that_is_away_is_said_and_so_is_its_return() {
    let mut postgres = Postgres::start();
    let before = Before::shadow(&postgres);
    wait_until("it is asked", || metrics(&before).contains("evenkeel_database_reachable 1"));
    assert!(causes(&before, "database").is_empty());
    assert!(causes(&before, "levelling").is_empty(), "nobody is to level yet");
    postgres.signal(rustix::process::Signal::INT);
    postgres.wait();
    wait_until("it is missed", || !causes(&before, "database").is_empty());
    let said = causes(&before, "database").remove(0);
    assert!(said.contains("does not answer") && said.contains("08006"), "{said}");
    assert!(metrics(&before).contains("evenkeel_database_reachable 0"));
    assert!(metrics(&before).contains("evenkeel_degraded_cause{cause=\"database\"} 1"));
    let ready = before.running().get("/readyz");
    assert_eq!(ready.status, 200, "evenkeel itself works: {}", ready.body);
    postgres.restart();
    wait_until("it is back", || causes(&before, "database").is_empty());
    before.ends_well();
}

#[test]
fn without_pg_monitor_the_remedy_is_said() {
    let postgres = Postgres::start();
    postgres.psql("create role sees_little login");
    let before = Before::at(&postgres.url("sees_little", "postgres"), &["--mode", "shadow"]);
    wait_until("it is asked", || !causes(&before, "database").is_empty());
    assert!(causes(&before, "database")[0].contains("GRANT pg_monitor"));
    postgres.psql("grant pg_monitor to sees_little");
    wait_until("it is granted", || causes(&before, "database").is_empty());
}

#[test]
fn connections_and_what_is_not_recorded_are_counted() {
    let postgres = Postgres::start();
    let before = Before::with(&postgres, &["--record", "off"]);
    let mut raw = Raw::connect(before.address(), "a");
    for _ in 0..3 {
        assert_eq!(sqlstate(&raw.query("select 1")), "");
    }
    let told = metrics(&before);
    assert_eq!(number(&told, "evenkeel_database_clients "), 1, "{told}");
    assert_eq!(number(&told, "evenkeel_statements_unrecorded_total{why=\"off\"} "), 3, "{told}");
    assert_eq!(number(&told, "evenkeel_statements_unrecorded_total{why=\"full\"} "), 0);
    drop(raw);
    wait_until("it is gone", || number(&metrics(&before), "evenkeel_database_clients ") == 0);
}

#[test]
fn a_server_hands_out_through_redis_what_a_real_database_executes() {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let mut before = over(&redis, &postgres);
    said(&before.psql(&["create table t (n int)", "insert into t values (4711)", "select n from t"]));
    before.kill();
    before.start();
    said(&before.psql(&["insert into t values (4712)"]));
    let texts = || redis.cli(&["HVALS", "evenkeel:{main}:texts"]);
    wait_until("texts are in Redis", || texts().matches("insert into t values ($1)").count() == 1);
    assert!(!texts().contains("4711"), "{}", texts());
    let shipped = || redis.cli(&["XRANGE", "evenkeel:{main}:executions", "-", "+"]);
    // Nobody waits for the record of a sure read: the SELECT's may be lost with the process.
    wait_until("executions are in Redis", || shipped().matches("outcome").count() >= 3);
    assert!(!shipped().contains("4712"), "{}", shipped());
    let verified = output(&["journal", "verify", "--redis", &redis.url("inspection")]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    before.ends_well();
}

#[test]
fn what_a_statement_used_is_known_where_its_backend_is_on_this_machine() {
    let postgres = Postgres::start();
    let before = Before::with(&postgres, &["--mode", "shadow", "--pgdata", text(&postgres.data())]);
    said(&before.psql(&["select count(*) from generate_series(1, 1000000)", "select pg_sleep(0.3)"]));
    let used = |kind: &str| {
        let entries = before.entries();
        let ended = entries.iter().filter(|entry| entry["stream"] == "executions");
        let of = ended.filter(|entry| entry["text"].as_str().is_some_and(|text| text.contains(kind)));
        of.map(|entry| entry["fields"]["cpu_us"].to_string().trim_matches('"').parse::<u64>().unwrap())
            .sum::<u64>()
    };
    wait_until("both have ended", || {
        before.entries().iter().filter(|entry| entry["stream"] == "executions").count() == 2
    });
    let (works, sleeps) = (used("generate_series"), used("pg_sleep"));
    assert!(works > 10_000 && works > 4 * sleeps, "{works} µs and {sleeps} µs");
    before.ends_well();
}

#[test]
fn who_waits_is_told_when_asked_for() {
    let postgres = &Postgres::start();
    for (more, expected) in [(&["--pg-notice"][..], 'N'), (&[], 'T')] {
        let arguments = [&["--mode", "enforce", "--at-once", "1"], more].concat();
        let before = Before::with(postgres, &arguments);
        let mut raw = Raw::connect(before.address(), "a");
        raw.ask("select 1 /*class='batch'*/");
        let (kind, body) = raw.next();
        assert_eq!(kind, expected);
        let told = String::from_utf8_lossy(&body).into_owned();
        assert!(kind != 'N' || told.contains("holds this statement of class batch"), "{told}");
        raw.until_ready();
        before.ends_well();
    }
}

//! What is held, and what never.

use std::time::{Duration, Instant};

use super::{
    raw::{Raw, bind, describe, execute, flush, kinds, parse, rows, sqlstate, sync},
    *,
};
use crate::support::pause;

/// Takes the place of the one deferrable statement that may run, until it is cancelled or over.
pub(super) fn occupy(before: &Before, postgres: &Postgres, seconds: u32) -> Raw {
    let mut raw = Raw::connect(before.address(), "occupies");
    raw.ask(&format!("select pg_sleep({seconds}) /*class='batch'*/"));
    wait_until("it runs", || backend(postgres, &raw).contains("active|select pg_sleep"));
    raw
}

/// What the database says of the session's backend: its state and its last statement.
fn backend(postgres: &Postgres, raw: &Raw) -> String {
    let asked = format!("select state, query from pg_stat_activity where pid = {}", raw.key.pid);
    postgres.psql(&asked)
}

#[test]
fn p2_a_tagged_statement_waits_and_its_backend_is_idle() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let _occupies = occupy(&before, postgres, 2);
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("select 42 /*class='batch'*/");
    wait_until("it waits", || before.queued() == 1);
    assert!(backend(postgres, &raw).starts_with("idle|"), "{}", backend(postgres, &raw));
    assert_eq!(rows(&raw.until_ready()), ["42"]);
    wait_until("nothing waits", || before.queued() == 0);
    before.ends_well();
}

#[test]
fn p3_a_held_statement_that_is_cancelled_never_runs_and_the_session_goes_on() {
    let postgres = &Postgres::start();
    postgres.psql("create table p3 (n int)");
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("insert into p3 values (1) /*class='batch'*/");
    wait_until("it waits", || before.queued() == 1);
    raw.cancel();
    let answer = raw.until_ready();
    assert_eq!((kinds(&answer).as_str(), sqlstate(&answer).as_str()), ("EZ", "57014"));
    assert_eq!(rows(&raw.query("select count(*) from p3")), ["0"]);
    wait_until("it is given up", || before.queued() == 0);
    occupies.cancel();
    let dropped = || before.entries().iter().filter(|entry| entry["fields"]["event"] == "dropped").count();
    wait_until("that is recorded", || dropped() == 1);
    before.ends_well();
}

#[test]
fn p4_what_a_client_that_is_gone_left_waiting_is_given_up() {
    let postgres = &Postgres::start();
    postgres.psql("create table p4 (n int)");
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut client = psql(before.address());
    let mut client = client.args(["-c", "insert into p4 values (1) /*class='batch'*/"]).spawn().unwrap();
    wait_until("it waits", || before.queued() == 1);
    client.kill().unwrap();
    client.wait().unwrap();
    let begun = Instant::now();
    wait_until("it is gone", || before.queued() == 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    occupies.cancel();
    wait_until("that is recorded", || {
        before.entries().iter().any(|entry| entry["fields"]["event"] == "dropped")
    });
    assert_eq!(postgres.psql("select count(*) from p4"), "0");
    before.ends_well();
}

#[test]
fn p5_inside_a_transaction_nothing_is_held() {
    let postgres = &Postgres::start();
    postgres.psql("create table p5 (n int)");
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    for statement in ["begin", "lock p5", "insert into p5 values (1) /*class='batch'*/", "commit"] {
        assert_eq!(sqlstate(&raw.query(statement)), "");
    }
    assert_eq!(postgres.psql("select count(*) from p5"), "1");
    occupies.cancel();
}

#[test]
fn p6_a_session_with_an_advisory_lock_is_not_held() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    raw.query("select pg_advisory_lock(6)");
    assert_eq!(rows(&raw.query("select 42 /*class='batch'*/")), ["42"]);
    raw.query("select pg_advisory_unlock(6)");
    raw.ask("select 43 /*class='batch'*/");
    wait_until("it waits", || before.queued() == 1);
    occupies.cancel();
    assert_eq!(rows(&raw.until_ready()), ["43"]);
}

#[test]
fn p8_a_pipeline_keeps_its_order() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    let one = |number: usize| {
        let tag = if number == 2 { " /*class='batch'*/" } else { "" };
        [parse("", &format!("select {number}{tag}")), bind(""), execute(), sync()].concat()
    };
    raw.send(&(0..100).flat_map(one).collect::<Vec<_>>());
    for number in 0..100 {
        assert_eq!(rows(&raw.until_ready()), [number.to_string()]);
    }
    occupies.cancel();
}

#[test]
fn p9_a_flush_before_the_execute_does_not_hang() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    raw.send(&[parse("s", "select 42 /*class='batch'*/"), describe("s"), flush()].concat());
    assert_eq!([raw.next().0, raw.next().0, raw.next().0], ['1', 't', 'T']);
    raw.send(&[bind("s"), execute(), sync()].concat());
    assert_eq!(rows(&raw.until_ready()), ["42"], "what has been flushed is not held");
    occupies.cancel();
}

#[test]
fn p10_preparing_is_not_delayed_and_executing_the_name_is_held() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    raw.send(&[parse("s", "select 42 /*class='batch'*/"), sync()].concat());
    assert_eq!(kinds(&raw.until_ready()), "1Z");
    raw.send(&[bind("s"), execute(), sync()].concat());
    wait_until("it waits", || before.queued() == 1);
    assert!(raw.is_silent(100));
    occupies.cancel();
    assert_eq!(rows(&raw.until_ready()), ["42"]);
}

#[test]
fn p14_a_hold_takes_at_most_half_of_the_statements_time() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 60);
    let mut raw = Raw::connect(before.address(), "a");
    raw.query("set statement_timeout = '4s'");
    let begun = Instant::now();
    assert_eq!(
        rows(&raw.query("select 42 /*class='batch'*/")),
        ["42"],
        "the place is taken, and still it runs"
    );
    // Held at all, and not for as long as the class allows.
    assert!((1_500..20_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    occupies.cancel();
    let says_why = |entry: &Value| entry["fields"]["reason"].to_string().contains("longest hold");
    wait_until("the journal says why", || before.entries().iter().any(says_why));
    before.ends_well();
}

#[test]
fn p20_in_mode_off_nothing_is_held_from_the_next_statement_on() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    before.set_mode("off");
    let mut raw = Raw::connect(before.address(), "a");
    assert_eq!(rows(&raw.query("select 42 /*class='batch'*/")), ["42"]);
    before.set_mode("enforce");
    raw.ask("select 43 /*class='batch'*/");
    wait_until("it waits", || before.queued() == 1);
    occupies.cancel();
    raw.until_ready();
}

#[test]
fn p25_a_transaction_of_a_deferrable_application_is_held_at_its_begin() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "batch_x");
    // As psycopg sends it: BEGIN, and with it the first statement.
    raw.send(
        &[parse("", "begin"), bind(""), execute(), parse("", "select 42"), bind(""), execute(), sync()]
            .concat(),
    );
    wait_until("it waits", || before.queued() == 1);
    assert!(backend(postgres, &raw).starts_with("idle|"), "{}", backend(postgres, &raw));
    pause(Duration::from_millis(100));
    occupies.cancel();
    assert_eq!(rows(&raw.until_ready()), ["42"]);
    assert_eq!(rows(&raw.query("select 43")), ["43"], "what follows passes");
    raw.query("commit");
    before.ends_well();
}

#[test]
fn a_delay_over_http_moves_what_is_held() {
    let postgres = &Postgres::start();
    let before = Before::with(postgres, &["--mode", "enforce", "--at-once", "1"]);
    let occupies = occupy(&before, postgres, 30);
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("select 42 /*class='batch'*/");
    wait_until("it waits", || before.queued() == 1);
    let id = before.get("/queued")[0]["execution"]["id"].as_str().unwrap().to_owned();
    let answer = before.running().post("/delay", &format!("{{\"id\":\"{id}\",\"delay\":15}}"));
    assert_eq!(answer.status, 200);
    occupies.cancel();
    assert_eq!(rows(&raw.until_ready()), ["42"]);
    before.ends_well();
}

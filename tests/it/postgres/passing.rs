//! What passes as if nobody stood between.

use std::time::Duration;

use evenkeel_core::postgres::startup::CancelKey;

use super::{
    raw::{Raw, kinds, rows, sqlstate},
    *,
};
use crate::support::{pause, postgres::Cluster};

/// The same from both sides.
fn same(before: &Before, postgres: &Postgres, statements: &[&str]) {
    let mut direct = psql(address_of(postgres));
    for statement in statements {
        direct.args(["-c", statement]);
    }
    let (direct, through) = (direct.output().unwrap(), before.psql(statements));
    assert_eq!(direct.status, through.status);
    assert_eq!(said(&direct), said(&through));
}

#[test]
fn p1_psql_and_pgbench_work_as_direct() {
    let postgres = Postgres::start();
    let before = Before::shadow(&postgres);
    same(&before, &postgres, &["select 1", "select generate_series(1, 1000)", "show server_version"]);
    said(&before.client("pgbench", &["-i", "-q"]));
    for protocol in ["simple", "extended", "prepared"] {
        said(&before.client("pgbench", &["-n", "-M", protocol, "-c", "4", "-t", "50"]));
    }
    let count = postgres.psql("select count(*) from pgbench_history");
    assert_eq!(count, "600");
    let executions = before.entries().iter().filter(|entry| entry["stream"] == "executions").count();
    assert!(executions >= 600 * 7, "{executions}");
    before.ends_well();
}

#[test]
fn p7_copy_notify_and_cursors_work_as_direct() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    said(&before.psql(&[
        "create table p7 (n int, t text)",
        "insert into p7 select n, n::text from generate_series(1, 5000) n",
    ]));
    let file = before.folder.path().join("p7.csv");
    said(&before.psql(&[
        &format!("\\copy p7 to '{}' csv", text(&file)),
        "truncate p7",
        &format!("\\copy p7 from '{}' csv", text(&file)),
    ]));
    assert_eq!(postgres.psql("select count(*), sum(n) from p7"), "5000|12502500");
    same(
        &before,
        postgres,
        &["begin; declare c cursor for select n from p7 order by n; fetch 3 from c; commit"],
    );

    let (mut listens, mut tells) = (Raw::connect(before.address(), "a"), Raw::connect(before.address(), "b"));
    listens.query("listen p7");
    tells.query("notify p7, 'hello'");
    assert_eq!(listens.next().0, 'A', "it comes without being asked for");
    before.ends_well();
}

#[test]
fn p11_set_and_show_in_one_query() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    let answer = raw.query("set search_path to p11; show search_path");
    assert_eq!((kinds(&answer).as_str(), rows(&answer)), ("CTDCZ", vec!["p11".to_owned()]));
    assert_eq!(rows(&raw.query("select current_setting('search_path')")), ["p11"]);
}

#[test]
fn p13_a_cancel_ends_its_own_statement_alone() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    let (mut one, mut other) = (Raw::connect(before.address(), "a"), Raw::connect(before.address(), "b"));
    one.ask("select pg_sleep(30)");
    other.ask("select pg_sleep(1), 7");
    pause(Duration::from_millis(200));
    one.cancel();
    assert_eq!(sqlstate(&one.until_ready()), "57014");
    assert_eq!(kinds(&other.until_ready()), "TDCZ");
    // The next statement is not hit by a cancel that comes late.
    for _ in 0..20 {
        one.ask("select 1");
        one.cancel();
        one.until_ready();
        assert_eq!(sqlstate(&one.query("select 2")), "");
    }
    let mut wrong = Raw::connect(before.address(), "c");
    wrong.key = CancelKey { pid: one.key.pid, secret: vec![0; 4] };
    one.ask("select pg_sleep(0.3)");
    wrong.cancel();
    assert_eq!(sqlstate(&one.until_ready()), "", "a wrong key cancels nothing");
}

#[test]
fn p16_a_backend_that_is_killed_is_never_told_as_a_success() {
    let postgres = Postgres::start();
    let before = Before::shadow(&postgres);
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("select pg_sleep(30)");
    pause(Duration::from_millis(200));
    postgres.psql(&format!("select pg_terminate_backend({})", raw.key.pid));
    let told = raw.until_ready();
    assert_eq!((sqlstate(&told).as_str(), told.last().unwrap().0), ("57P01", '-'));
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("select pg_sleep(30)");
    pause(Duration::from_millis(200));
    postgres.signal(rustix::process::Signal::KILL);
    assert_eq!(raw.until_ready().last().unwrap().0, '-');
    let outcomes = || -> Vec<_> {
        let entries = before.entries();
        let of = entries.iter().filter(|entry| entry["stream"] == "executions");
        of.map(|entry| entry["fields"]["outcome"].as_str().unwrap().to_owned()).collect()
    };
    wait_until("both have an outcome", || outcomes().len() == 2);
    assert!(outcomes().iter().all(|outcome| outcome != "ok"), "{:?}", outcomes());
    // The server is away: clients are told at once, and evenkeel stays.
    let refused = before.psql(&["select 1"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("evenkeel cannot reach the database"));
    before.ends_well();
}

#[test]
fn p19_a_base_backup_is_taken_through_the_front() {
    let postgres = Postgres::start();
    let before = Before::shadow(&postgres);
    let folder = before.folder.path().join("backup");
    said(&before.client("pg_basebackup", &["-D", text(&folder), "-X", "stream", "--no-sync"]));
    assert!(folder.join("backup_label").exists() && folder.join("pg_wal").is_dir());
}

#[test]
fn p22_many_connections_are_served_and_one_too_many_is_told_so() {
    let postgres =
        &Cluster { settings: vec!["max_connections = 600".to_owned()], ..Default::default() }.start();
    let before = Before::shadow(postgres);
    let mut all: Vec<_> = (0..100).map(|_| Raw::connect(before.address(), "many")).collect();
    for raw in &mut all {
        assert_eq!(rows(&raw.query("select 1")), ["1"]);
    }
}

#[test]
fn p24_large_results_and_long_copies_are_streamed() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    raw.ask("select repeat('x', 10000) from generate_series(1, 10000)");
    // Nobody reads for a while: nothing is gathered.
    pause(Duration::from_millis(500));
    let status = std::fs::read_to_string(format!("/proc/{}/status", before.running().pid())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 400_000, "100 MB are not kept: {kib} KiB");
    let answer = raw.until_ready();
    assert_eq!(answer.iter().filter(|(kind, _)| *kind == 'D').count(), 10_000);
    // A text of more than a mebibyte is not parsed, and passes.
    let long = format!("select length('{}')", "y".repeat(3 << 20));
    assert_eq!(rows(&raw.query(&long)), [(3 << 20).to_string()]);
}

#[test]
fn a_canary_in_literals_and_passwords_stays_out_of_journal_and_log() {
    let canary = "kanarienvogel4711";
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    for statement in [
        format!("select '{canary}'"),
        format!("select $${canary}$$, E'{canary}'"),
        format!("create role canary password '{canary}'"),
        format!("alter role canary password '{canary}'"),
        format!("set application_name = '{canary}'; reset application_name"),
        format!("do $do$ begin perform '{canary}'; end $do$"),
        format!("select '{canary}' where"),
        format!("prepare c as select '{canary}'"),
        format!("copy (select '{canary}') to stdout"),
        "drop role canary".to_owned(),
    ] {
        raw.query(&statement);
    }
    wait_until("they are recorded", || before.entries().len() > 20);
    let folder = before.folder.path().to_owned();
    let (pages, entries) = (before.get("/api/v1/queries").to_string(), before.entries());
    let entries =
        serde_json::to_string(&entries).unwrap().replace(&format!("\"application\":\"{canary}\""), "");
    before.ends_well();
    assert!(!pages.contains(canary), "{pages}");
    assert!(!entries.contains(canary), "{entries}");
    let found = Command::new("grep").args(["-rlaF", canary, text(&folder)]).output().unwrap();
    // The application's name is the client's own word, and no literal of a statement that is recorded.
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.lines().all(|file| !file.ends_with("stderr.txt")), "{found}");
}

#[test]
fn of_several_databases_sessions_go_to_the_one_that_takes_writes() {
    let of = |settings: &[&str]| {
        let settings = settings.iter().map(|line| (*line).to_owned()).collect();
        Cluster { settings, ..Cluster::default() }.start()
    };
    let (standby, primary) = (of(&["default_transaction_read_only = on"]), of(&[]));
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        standby.port(),
        primary.port()
    );
    let before = Before::at(&url, &["--mode", "shadow"]);
    // evenkeel itself has to find out first.
    wait_until("sessions go to it", || said(&before.psql(&["show transaction_read_only"])).trim() == "off");
    said(&before.psql(&["create table t (n int)"]));
    assert_eq!(primary.psql("select count(*) from t"), "0");
    before.ends_well();
}

//! Drivers, unchanged, through the front: each program of tests/drivers asserts what it is answered.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::Child,
    time::Duration,
};

use super::{
    holding::occupy,
    raw::{Raw, rows},
    *,
};
use crate::{openapi::tool, support::pause};

/// Where PostgreSQL's JDBC driver is.
const JDBC: &str = "/usr/share/java/postgresql.jar";

/// Not on every PATH.
const PGBOUNCER: &str = "/usr/sbin/pgbouncer";

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(name)
}

pub(super) fn python(name: &str) -> Command {
    let mut command = tool("python");
    command.arg(program(name));
    command
}

/// Runs a program that takes the port: where nothing holds, and where what is deferrable is held.
fn passes(new: impl Fn() -> Command) {
    let postgres = &Postgres::start();
    for before in [Before::shadow(postgres), Before::enforce(postgres)] {
        let done = new().arg(before.port.to_string()).output().unwrap();
        assert!(said(&done).ends_with("ok\n"), "{done:?}");
        let ended = |entry: &Value| entry["stream"] == "executions";
        assert!(before.entries().iter().any(ended), "nothing is recorded");
        before.ends_well();
    }
}

#[test]
fn p21_psycopg_works_as_direct() {
    passes(|| python("psycopg_through.py"));
}

#[test]
fn p21_asyncpg_works_as_direct() {
    passes(|| python("asyncpg_through.py"));
}

#[test]
fn p21_sqlalchemy_works_as_direct() {
    passes(|| python("sqlalchemy_through.py"));
}

#[test]
fn p21_jdbc_works_as_direct() {
    passes(|| {
        let mut java = Command::new("java");
        java.args(["-cp", JDBC]).arg(program("Through.java"));
        java
    });
}

#[test]
fn p21_node_postgres_works_as_direct() {
    passes(|| {
        let mut node = Command::new("node");
        node.arg(program("pg_through.mjs"));
        node
    });
}

#[test]
fn p21_nothing_is_said_to_a_client_that_has_said_goodbye() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    assert_eq!(rows(&raw.query("select 1")), ["1"]);
    // Terminate, while the client reads on, as node-postgres does.
    raw.send(b"X\0\0\0\x04");
    assert_eq!(raw.next().0, '-', "the database says nothing either");
}

#[test]
fn p25_psycopg_as_it_comes_is_held_at_its_begin() {
    let postgres = &Postgres::start();
    postgres.psql("create table p25 (n int)");
    let before = Before::enforce(postgres);
    let occupies = occupy(&before, postgres, 30);
    let mut psycopg = python("psycopg_as_it_comes.py");
    let mut psycopg = psycopg.arg(before.port.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(psycopg.stdout.take().unwrap());
    let mut pid = String::new();
    told.read_line(&mut pid).unwrap();
    wait_until("it waits", || before.queued() == 1);
    let state = format!("select state, backend_xmin from pg_stat_activity where pid = {}", pid.trim());
    for _ in 0..5 {
        assert_eq!(postgres.psql(&state), "idle|", "no transaction is open, and no snapshot");
        pause(Duration::from_millis(50));
    }
    occupies.cancel();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(psycopg.wait().unwrap().success());
    assert_eq!(rest, "ok\n");
    assert_eq!(postgres.psql("select count(*) from p25"), "2");
    before.ends_well();
}

#[test]
fn p26_pgbouncer_in_transaction_mode_before_the_front() {
    let postgres = &Postgres::start();
    let before = Before::enforce(postgres);
    said(&before.client("pgbench", &["-i", "-q"]));
    let port = free_port();
    // Its folder is one that the user whom it runs as may read.
    let configuration = postgres.socket().join("pgbouncer.ini");
    let lines = format!(
        "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 3\n",
        before.port
    );
    fs::write(&configuration, lines).unwrap();
    let mut bouncer = postgres.command(PGBOUNCER);
    bouncer.arg("-q").arg(&configuration).stdin(Stdio::null());
    let _ends = Ends(bouncer.spawn().unwrap());
    let address = ([127, 0, 0, 1], port).into();
    wait_until("pgbouncer takes connections", || {
        psql(address).args(["-c", "select 1"]).output().unwrap().status.success()
    });
    let pgbench = client("pgbench", address).args(["-n", "-M", "simple", "-c", "8", "-t", "50"]).output();
    said(&pgbench.unwrap());
    assert_eq!(postgres.psql("select count(*) from pgbench_history"), "400");
    let sessions: BTreeSet<_> = before
        .entries()
        .iter()
        .filter(|entry| entry["stream"] == "executions")
        .filter(|entry| entry["text"].to_string().contains("INSERT INTO pgbench_history"))
        .map(|entry| entry["fields"]["session"].to_string())
        .collect();
    assert!((1..=3).contains(&sessions.len()), "the pool's connections alone: {sessions:?}");
    before.ends_well();
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

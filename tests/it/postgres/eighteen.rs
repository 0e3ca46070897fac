//! PostgreSQL 18, and what is new with it: version 3.2 of the protocol.

use super::{
    drivers::python,
    raw::{Raw, rows},
    *,
};
use crate::support::postgres::{Cluster, programs_of_18};

fn eighteen() -> Postgres {
    Cluster { programs: Some(programs_of_18()), ..Cluster::default() }.start()
}

/// Runs a program that takes the front's port and the database's.
fn runs(name: &str, before: &Before, postgres: &Postgres) {
    let done = python(name).arg(before.port.to_string()).arg(postgres.port().to_string()).output().unwrap();
    assert!(said(&done).ends_with("ok\n"), "{done:?}");
}

#[test]
fn p21_version_3_2_with_its_long_cancel_keys_passes_to_18() {
    let postgres = &eighteen();
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    let version = rows(&raw.query("show server_version_num"));
    assert!(version[0].starts_with("18"), "{version:?}");
    runs("protocol_3_2.py", &before, postgres);
    before.ends_well();
}

#[test]
fn p21_a_client_that_asks_15_for_version_3_2_is_told_of_3_0() {
    let postgres = &Postgres::start();
    let before = Before::shadow(postgres);
    runs("protocol_older.py", &before, postgres);
    before.ends_well();
}

#[test]
fn p1_clients_pass_to_18_and_what_is_deferrable_is_held() {
    let postgres = &eighteen();
    let before = Before::enforce(postgres);
    said(&before.client("pgbench", &["-i", "-q"]));
    for how in ["simple", "extended", "prepared"] {
        said(&before.client("pgbench", &["-n", "-M", how, "-c", "4", "-t", "20"]));
    }
    assert_eq!(postgres.psql("select count(*) from pgbench_history"), "240");
    let done = python("psycopg_through.py").arg(before.port.to_string()).output().unwrap();
    assert!(said(&done).ends_with("ok\n"), "{done:?}");
    let told = said(&before.psql(&["select count(*) from pgbench_branches /*class='batch'*/"]));
    assert_eq!(told.trim(), "1");
    let held = |entry: &Value| entry["fields"]["class"] == "batch" && entry["stream"] == "executions";
    wait_until("its outcome is recorded", || before.entries().iter().any(held));
    before.ends_well();
}

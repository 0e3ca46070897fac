//! SQLite over the forgetful disk. What a kill leaves is looked at by processes that have SQLite's own: children of this
//! test, which is their program again.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::{
    env,
    io::{Write as _, stdout},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use evenkeel_forgetful::{Disk, install};
use rusqlite::Connection;

const DISK: &str = "FORGETFUL_TEST_DISK";
const FILE: &str = "FORGETFUL_TEST_FILE";
const WHAT: &str = "FORGETFUL_TEST_WHAT";

/// What a test asks a child of its own to do, and then to die of.
fn killed(disk: &str, file: &Path, what: &str) -> Output {
    let mut command = Command::new(env::current_exe().expect("this program is a file"));
    command.args(["--exact", "child", "--nocapture"]);
    command.env(DISK, disk).env(FILE, file).env(WHAT, what);
    let output = command.output().expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    // Of its own signal, and of nothing that failed before.
    assert!(said.contains("all done"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
    output
}

/// The child. Nothing when run as a test.
#[test]
fn child() {
    let Some(file) = env::var_os(FILE).map(PathBuf::from) else { return };
    let disk: Disk = env::var(DISK).expect("it is given").parse().expect("there is one of that name");
    install(disk).expect("nothing is installed yet");
    match env::var(WHAT).expect("it is given").as_str() {
        "commits" => commits(&file),
        "checkpoint" => checkpoint(&file),
        "rollback journal" => rollback_journal(&file),
        "deletion" => deletion(&file),
        other => panic!("nobody does {other}"),
    }
    writeln!(stdout(), "all done").unwrap();
    std::process::abort();
}

fn open(file: &Path, synchronous: &str) -> Connection {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    connection
}

fn add(connection: &Connection, n: i64) {
    connection.execute("INSERT INTO t VALUES (?1, randomblob(9000))", [n]).unwrap();
}

/// All numbers, as a process with SQLite's own disk finds them; the database is whole.
fn numbers(file: &Path) -> Vec<i64> {
    rows(&Connection::open(file).unwrap())
}

fn rows(connection: &Connection) -> Vec<i64> {
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let mut statement = connection.prepare("SELECT n FROM t ORDER BY n").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

const CREATE: &str = "CREATE TABLE t (n INTEGER PRIMARY KEY, b BLOB)";

/// One and two are synced, three and four are not. Another connection sees all of them.
fn commits(file: &Path) {
    let connection = open(file, "FULL");
    connection.execute_batch(CREATE).unwrap();
    add(&connection, 1);
    add(&connection, 2);
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    add(&connection, 3);
    add(&connection, 4);
    assert_eq!(rows(&Connection::open(file).unwrap()), [1, 2, 3, 4]);
}

#[test]
fn a_kill_takes_what_was_not_synced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    killed("forgets", &file, "commits");
    assert_eq!(numbers(&file), [1, 2]);
    // The same file goes on.
    let connection = open(&file, "FULL");
    add(&connection, 5);
    drop(connection);
    assert_eq!(numbers(&file), [1, 2, 5]);
}

#[test]
fn what_was_synced_outlives_a_torn_log_and_the_database_is_whole() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        killed("tears", &file, "commits");
        let found = numbers(&file);
        assert!(found.starts_with(&[1, 2]), "{found:?}");
        assert!(
            found.iter().copied().eq(1..=found.len() as i64),
            "{found:?}: what comes first is kept first"
        );
    }
}

#[test]
fn a_disk_that_lies_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    killed("lies", &file, "commits");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
}

/// Another connection checkpoints and empties the log, which then begins anew.
fn checkpoint(file: &Path) {
    let connection = open(file, "FULL");
    connection.execute_batch(CREATE).unwrap();
    let other = open(file, "FULL");
    for n in 1..=40 {
        add(&connection, n);
        if n % 10 == 5 {
            let busy: i64 = other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0);
        }
        if n % 20 == 0 {
            let busy: i64 = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0);
            let log = file.with_extension("").display().to_string() + "-wal";
            let seen: i64 = std::fs::metadata(log).unwrap().len().cast_signed();
            assert!(seen > 0, "the truncation is not synced");
        }
    }
    add(&connection, 41);
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    add(&connection, 42);
    assert_eq!(rows(&other).len(), 42);
}

#[test]
fn checkpoints_and_logs_that_begin_anew_lose_nothing() {
    for disk in ["forgets", "tears"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        killed(disk, &file, "checkpoint");
        let found = numbers(&file);
        let all: Vec<_> = (1..=41).collect();
        assert!(found.starts_with(&all), "{found:?}");
        assert!(disk == "tears" || found == all, "{found:?}");
    }
}

/// Without a log: pages are written over those that were there, and a journal that is deleted is the commit.
fn rollback_journal(file: &Path) {
    let connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "synchronous", "EXTRA").unwrap();
    connection.execute_batch(CREATE).unwrap();
    (1..=3).for_each(|n| add(&connection, n));
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    add(&connection, 4);
    let journal = format!("{}-journal", file.display());
    assert!(Path::new(&journal).exists(), "its deletion is not synced");
}

#[test]
fn a_deletion_that_was_not_synced_is_undone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    killed("forgets", &file, "rollback journal");
    // The journal is back, so the last commit is not.
    assert_eq!(numbers(&file), [1, 2, 3]);
}

/// What was deleted is gone once anything else is synced, and is empty when it is made again.
fn deletion(file: &Path) {
    rollback_journal(file);
    let connection = Connection::open(file).unwrap();
    assert_eq!(rows(&connection), [1, 2, 3, 4], "a journal that is deleted is not played back");
    add(&connection, 5);
    let other = Connection::open(file.with_extension("other")).unwrap();
    other.execute_batch(CREATE).unwrap();
    assert!(!Path::new(&format!("{}-journal", file.display())).exists());
}

#[test]
fn a_deletion_lasts_from_the_next_sync_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    killed("forgets", &file, "deletion");
    assert_eq!(numbers(&file), [1, 2, 3, 4, 5]);
}

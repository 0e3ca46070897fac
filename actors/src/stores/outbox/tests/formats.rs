//! A directory of version 0.1 (`tests/data/v1`): read as it is, brought to format 2 behind a backup, whole whenever it
//! dies on the way.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use evenkeel_core::journal::{EntryId, FIRST_FORMAT, FORMAT, PerStream, Stream};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    super::*,
    support::{Decider, NOW_MS, copy_files, journal_id, pause, run},
};

/// What version 0.1 wrote, with the scenario `few` and seed 7.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v1")
}

/// A copy of that directory.
fn directory() -> TempDir {
    let dir = TempDir::new().unwrap();
    copy_files(&data().join("directory"), dir.path());
    dir
}

/// What the directory belongs to, as a later program says it: with parameters that 0.1 did not know.
fn identity(dir: &Path, added: &str) -> Identity {
    let stored = OutboxReader::open(dir).unwrap().meta().unwrap().identity;
    Identity { text: format!("{added}{}", stored.text), defaults: "added = 3\n".to_owned(), ..stored }
}

fn try_open(dir: &Path) -> Result<Outbox, OpenError> {
    let opened = Outbox::open(dir, &identity(dir, "added = 3\n"), journal_id(), NOW_MS, Limits::default());
    opened.map(|(outbox, _)| outbox)
}

fn format(dir: &Path) -> i64 {
    let connection = Connection::open(dir.join(DATABASE_FILE)).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Every entry's row as it lies in the database.
fn rows(dir: &Path) -> PerStream<Vec<(i64, String, i64)>> {
    let connection = Connection::open(dir.join(DATABASE_FILE)).unwrap();
    PerStream::from_fn(|stream| {
        let sql = format!("SELECT seq, body, crc FROM {stream} ORDER BY seq");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    })
}

fn holds(dir: &Path) -> verify::Verified {
    let truth = fs::read_to_string(data().join("truth")).unwrap();
    let truth = truth.lines().map(|line| line.parse().unwrap()).collect();
    let verified = verify::verify(&OutboxReader::open(dir).unwrap(), Some(truth), |_, _| {}).unwrap();
    assert_eq!((verified.report.findings.first(), &verified.damage), (&[][..], &None));
    verified
}

#[test]
fn a_directory_of_format_1_is_read_and_verified_without_being_changed() {
    let dir = directory();
    let before = fs::read(dir.path().join(DATABASE_FILE)).unwrap();
    let verified = holds(dir.path());
    assert_eq!((verified.report.entries.executions, verified.report.executed), (114, 109));
    let entry = OutboxReader::open(dir.path()).unwrap().after(Stream::Queue, EntryId::default(), 1).unwrap();
    assert_eq!(entry[0].version, FIRST_FORMAT);
    assert_eq!(fs::read(dir.path().join(DATABASE_FILE)).unwrap(), before);
    assert_eq!(format(dir.path()), 1);
}

#[test]
fn a_directory_of_format_1_goes_on_in_format_2_and_its_entries_stay_as_they_are() {
    let dir = directory();
    let before = rows(dir.path());
    let identity = identity(dir.path(), "added = 3\n");
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity, journal_id(), NOW_MS, Limits::default()).unwrap();
    assert_eq!((recovered.state.next_tick.0, recovered.queue.len(), recovered.released.len()), (125, 20, 0));
    assert_eq!(outbox.meta().identity.text, identity.text, "what was added stands there from now on");
    assert_eq!(format(dir.path()), 2);
    run(&mut outbox, &mut Decider::new(&recovered), 30);
    drop(outbox);
    let after = rows(dir.path());
    for stream in Stream::ALL {
        let (old, new) = after[stream].split_at(before[stream].len());
        assert!(old == before[stream] && !new.is_empty(), "{stream}");
        assert!(old.iter().all(|(_, body, _)| body.starts_with(r#"{"v":"1","#)), "{stream}");
        assert!(new.iter().all(|(_, body, _)| body.starts_with(r#"{"v":"2","#)), "{stream}");
    }
    let reader = OutboxReader::open(dir.path()).unwrap();
    let verified = verify::verify(&reader, None, |_, _| {}).unwrap();
    assert_eq!((verified.report.findings.first(), verified.damage), (&[][..], None));
    assert_eq!(verified.report.proved.map(|(from, to)| (from.0, to.0)), Some((0, 149)));
    let kept = fs::metadata(dir.path().join(FIRST_FORMAT_FILE)).unwrap().modified().unwrap();
    drop(try_open(dir.path()).unwrap());
    assert_eq!(fs::metadata(dir.path().join(FIRST_FORMAT_FILE)).unwrap().modified().unwrap(), kept);
}

#[test]
fn the_backup_is_the_journal_of_format_1_and_can_be_put_back() {
    let dir = directory();
    let before = rows(dir.path());
    drop(try_open(dir.path()).unwrap());
    let backup = dir.path().join(FIRST_FORMAT_FILE);
    let restored = dir.path().join("restored");
    let copied = restore(&backup, &restored, NOW_MS, |_, _| {}).unwrap();
    assert_eq!((copied.next_tick.0, copied.waiting), (125, 20));
    assert_eq!(format(&restored), 1, "0.1 opens it");
    assert_eq!(rows(&restored), before);
    let tables = |dir: &Path| {
        let connection = Connection::open(dir.join(DATABASE_FILE)).unwrap();
        let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
        let tables = statement.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
        tables.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(tables(&restored), tables(directory().path()), "it refuses tables that it does not know");
    for snapshot in ["client-snapshot.0", "client-snapshot.1"] {
        assert_eq!(fs::read(restored.join(snapshot)).unwrap(), fs::read(dir.path().join(snapshot)).unwrap());
    }
    let head = |dir: &Path| {
        let connection = Connection::open(dir.join(DATABASE_FILE)).unwrap();
        let sql = "SELECT body FROM state WHERE name = 'head'";
        connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(head(&restored), head(directory().path()), "and nothing in it is of a later format");
    holds(&restored);
}

#[test]
fn what_is_refused_stays_in_format_1_and_leaves_no_backup() {
    let dir = directory();
    let open = |identity: &Identity, now_ms| {
        Outbox::open(dir.path(), identity, journal_id(), now_ms, Limits::default()).unwrap_err()
    };
    let other = open(&identity(dir.path(), "added = 4\n"), NOW_MS);
    assert!(other.to_string().contains("added = 4"), "{other}");
    assert!(matches!(open(&identity(dir.path(), ""), 5), OpenError::Clock(_)));
    assert_eq!(format(dir.path()), 1);
    assert!(!dir.path().join(FIRST_FORMAT_FILE).exists());
    // A directory where the backup belongs: none can be made, and so nothing is changed.
    fs::create_dir(dir.path().join(FIRST_FORMAT_FILE)).unwrap();
    let refused = try_open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("is of format 1 and stays so"), "{refused}");
    assert_eq!(format(dir.path()), 1);
    holds(dir.path());
}

#[test]
fn a_later_format_is_refused_and_both_are_named() {
    let dir = directory();
    drop(try_open(dir.path()).unwrap());
    let connection = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    let read = OutboxReader::open(dir.path()).unwrap_err().to_string();
    assert!(read.contains("format version 3") && read.contains(&format!("version {FORMAT}")), "{read}");
    let identity = Identity::default();
    let opened = Outbox::open(dir.path(), &identity, journal_id(), NOW_MS, Limits::default()).unwrap_err();
    let opened = opened.to_string();
    assert!(opened.contains("format version 3") && opened.contains("version 2"), "{opened}");
}

const DIR: &str = "OUTBOX_TEST_V1_DIR";

/// Opens the directory that it is given, and with it brings it to format 2. Nothing when run as a test.
#[test]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    drop(try_open(Path::new(&dir)).unwrap());
}

fn spawn(dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "stores::outbox::tests::formats::child", "--nocapture"]);
    command.env(DIR, dir).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// What a kill left is of the one format or of the other, whole, and the next start goes on with it.
fn is_whole_and_goes_on(dir: &Path, before: &PerStream<Vec<(i64, String, i64)>>) -> i64 {
    holds(dir);
    let found = format(dir);
    assert!([1, 2].contains(&found));
    assert!(rows(dir) == *before);
    let backup = dir.join(FIRST_FORMAT_FILE);
    assert!(found == 1 || backup.is_file(), "nothing is changed before there is a backup");
    drop(try_open(dir).unwrap());
    holds(dir);
    assert_eq!(format(dir), 2);
    restore(&backup, &dir.join("restored"), NOW_MS, |_, _| {}).unwrap();
    found
}

#[test]
fn kill_9_on_the_way_leaves_the_one_format_or_the_other() {
    let before = rows(directory().path());
    let mut found = Vec::new();
    for n in 0..40 {
        let dir = directory();
        let mut child = spawn(dir.path()).spawn().unwrap();
        pause(n % 20 * 2);
        child.kill().unwrap();
        child.wait().unwrap();
        found.push(is_whole_and_goes_on(dir.path(), &before));
    }
    assert!(found.contains(&1) && found.contains(&2), "kills before and after are needed: {found:?}");
}

#[cfg(feature = "faults")]
#[test]
fn death_at_each_point_of_a_migration_leaves_the_one_format_or_the_other() {
    let before = rows(directory().path());
    for (point, expected) in
        [("after-migration-backup", 1), ("after-begin-write", 1), ("after-begin-fsync", 2)]
    {
        let dir = directory();
        let output = spawn(dir.path()).env("EVENKEEL_FAULT", format!("{point}=1/1")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("fault: {point}")), "{said}");
        assert_eq!(is_whole_and_goes_on(dir.path(), &before), expected, "{point}");
    }
}

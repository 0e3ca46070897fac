//! What version 0.1 wrote (`tests/data/v1`) goes on under this program: a directory, and streams with a server's
//! directory beside them.

use std::{fs, path::Path};

use evenkeel_actors::stores::outbox::FIRST_FORMAT_FILE;
use evenkeel_core::journal::{FORMAT, PerStream, Stream};
use rusqlite::Connection;

use crate::support::{World, output, pair::Pair, redis::Redis, text, wait_until};

/// The first tick that the directory does not tell of.
const NEXT_TICK: u64 = 125;
/// Where SQLite's file has the number of the format, in four bytes.
const USER_VERSION_AT: usize = 60;

fn data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// A world that goes on with `directory`.
fn world(directory: &str) -> World {
    let world = World::new("few", &["--seed", "7"]);
    copy(&data().join(directory), &world.data_dir());
    world
}

/// Every entry's row as it lies in the database.
fn rows(world: &World) -> PerStream<Vec<(i64, String, i64)>> {
    let connection = Connection::open(world.data_dir().join("outbox.db")).unwrap();
    PerStream::from_fn(|stream| {
        let sql = format!("SELECT seq, body, crc FROM {stream} ORDER BY seq");
        let mut statement = connection.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    })
}

fn format(file: &Path) -> i64 {
    let connection = Connection::open(file).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// The old entries of `world` are as they were before, and there are new ones of each stream, of the latest format.
fn assert_carried_on(world: &World, before: &PerStream<Vec<(i64, String, i64)>>) {
    let after = rows(world);
    for stream in Stream::ALL {
        let (old, new) = after[stream].split_at(before[stream].len());
        assert!(old == before[stream], "{stream}: old entries have changed");
        assert!(!new.is_empty(), "{stream}: nothing new");
        assert!(old.iter().all(|(_, body, _)| body.starts_with(r#"{"v":"1","#)), "{stream}");
        assert!(
            new.iter().all(|(_, body, _)| body.starts_with(&format!(r#"{{"v":"{FORMAT}","#))),
            "{stream}"
        );
    }
    assert_eq!(format(&world.data_dir().join("outbox.db")), FORMAT.cast_signed());
    assert_eq!(format(&world.data_dir().join(FIRST_FORMAT_FILE)), 1, "the backup is of the format before");
}

#[test]
fn a_directory_of_0_1_is_migrated_by_run_and_goes_on() {
    let world = world("directory");
    fs::copy(data().join("truth"), world.truth()).unwrap();
    let before = rows(&world);
    world.assert_verified();
    assert_eq!(rows(&world), before, "whoever verifies changes nothing");

    // Killed in the middle once, too.
    let running = world.start();
    running.wait_until_ready();
    world.goes_on(20);
    running.kill();
    let backup = fs::read(world.data_dir().join(FIRST_FORMAT_FILE)).unwrap();
    let running = world.start();
    running.wait_until_ready();
    world.goes_on(20);
    let status = running.get("/api/v1/status").json();
    assert!(status["tick"].as_u64() > Some(NEXT_TICK), "{status}");
    assert_eq!(status["ready"], true, "{status}");
    running.ends_well(&world);
    assert_carried_on(&world, &before);
    assert_eq!(fs::read(world.data_dir().join(FIRST_FORMAT_FILE)).unwrap(), backup, "it is made once");
}

#[test]
fn streams_and_the_directory_of_a_server_of_0_1_go_on_with_server_and_client() {
    let mut pair = Pair::new(world("server"));
    pair.redis.terminate();
    fs::copy(data().join("streams.rdb"), pair.redis.folder().join("streams.rdb")).unwrap();
    pair.redis.restart_with(&["--appendonly", "no", "--dbfilename", "streams.rdb"]);
    let raw = |redis: &Redis| {
        let keys = PerStream::from_fn(|stream| format!("evenkeel:{{main}}:{stream}"));
        PerStream::from_fn(|stream| redis.cli(&["XRANGE", &keys[stream], "-", "+"]))
    };
    let (before, streams, told) = (rows(&pair.world), raw(&pair.redis), pair.told());
    // As the upgrade is described: clients first.
    let client = {
        let client = pair.start_client();
        let server = pair.start_server();
        server.wait_until_ready();
        client.wait_until_ready();
        pair.world.goes_on(40);
        wait_until("Redis is told what ran", || pair.told() > told + 50);
        for running in [&server, &client] {
            assert_eq!(running.get("/readyz").status, 200);
        }
        server.signal("TERM");
        assert!(server.wait().0.success(), "{}", pair.said());
        client
    };
    client.signal("TERM");
    assert!(client.wait().0.success(), "{}", pair.said());
    assert_carried_on(&pair.world, &before);
    let after = raw(&pair.redis);
    for stream in Stream::ALL {
        assert!(after[stream].starts_with(&streams[stream]), "{stream}: old entries have changed");
        assert!(after[stream].len() > streams[stream].len(), "{stream}: nothing new");
    }
    assert_eq!(pair.redis.cli(&["HGET", "evenkeel:{main}:meta", "format"]), FORMAT.to_string());
    let dead = pair.redis.cli(&["XLEN", "evenkeel:{main}:dead"]);
    assert_eq!(dead, "0", "nothing was set aside");
    for place in [["--data-dir", text(&pair.world.data_dir())], ["--redis", &pair.redis.url("inspection")]] {
        let verified = output(&["journal", "verify", place[0], place[1]]);
        let said = String::from_utf8_lossy(&verified.stdout);
        assert_eq!(verified.status.code(), Some(0), "{place:?}: {said}");
    }
}

#[test]
fn a_directory_of_a_newer_format_is_refused_and_both_formats_are_named() {
    let world = world("directory");
    let database = world.data_dir().join("outbox.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[USER_VERSION_AT..][..4].copy_from_slice(&9_u32.to_be_bytes());
    fs::write(&database, &bytes).unwrap();
    let refused = |command: &[&str]| {
        let answer = output(command);
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_ne!(answer.status.code(), Some(0), "{command:?}: {said}");
        for names in ["format version 9", &format!("reads version {FORMAT}")] {
            assert!(said.contains(names), "{command:?} does not say `{names}`: {said}");
        }
    };
    let dir = world.data_dir();
    let run =
        ["run", "--scenario", "few", "--seed", "7", "--listen", "127.0.0.1:0", "--data-dir", text(&dir)];
    refused(&run);
    for command in ["verify", "tail", "stat"] {
        refused(&["journal", command, "--data-dir", text(&dir)]);
    }
    assert_eq!(fs::read(&database).unwrap(), bytes, "it is left as it was");
    assert!(!dir.join(FIRST_FORMAT_FILE).exists());
}

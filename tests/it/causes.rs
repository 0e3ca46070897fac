//! What keeps the program from its work reaches whoever looks: with its remedy, in `/readyz`, the metrics, the line; and a
//! start that cannot be ends with a sentence.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Running, World, number, pair::Pair, wait_until};

/// A load of which much happens in little time.
fn world() -> World {
    World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "20"])
}

/// The sentence of the cause of this kind.
fn cause(running: &Running, kind: &str) -> Option<String> {
    let status = running.get("/api/v1/status").json();
    let causes = status["causes"].as_array().unwrap();
    let found = causes.iter().find(|cause| cause["kind"] == kind)?;
    Some(found["sentence"].as_str().unwrap().to_owned())
}

fn is_counted(running: &Running, kind: &str) -> bool {
    let begin = format!("evenkeel_degraded_cause{{cause=\"{kind}\"}}");
    number(&running.get("/metrics").body, &begin) > 0
}

/// Its files may have so many bytes.
fn room(running: &Running, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let limited = Command::new("prlimit").args(["--pid", &running.pid().to_string(), &limit]).status();
    assert!(limited.unwrap().success());
}

#[test]
fn a_disk_that_takes_nothing_is_told_everywhere_and_is_well_again_by_itself() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    world.goes_on(50);
    // Less than a second of the outbox' log, and more than what the database writes of what it ran.
    room(&running, "200000");
    wait_until("it is told", || cause(&running, "disk").is_some());
    let sentence = cause(&running, "disk").unwrap();
    assert!(sentence.starts_with("nothing runs: the journal"), "{sentence}");
    assert!(
        sentence.contains("200000 bytes, `ulimit -f`") && sentence.contains("goes on by itself"),
        "{sentence}"
    );
    let ready = running.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.json()["degraded"][0].as_str().unwrap().contains("(since 2"), "{}", ready.body);
    assert!(is_counted(&running, "disk"));
    room(&running, "unlimited");
    running.wait_until_ready();
    wait_until("it is over", || cause(&running, "disk").is_none());
    assert!(!is_counted(&running, "disk"));
    world.goes_on(50);
    running.signal("TERM");
    let (status, printed) = running.wait();
    assert!(status.success());
    world.assert_verified();
    assert!(printed.iter().any(|line| line.contains("nothing runs: the journal")), "{printed:#?}");
}

#[test]
fn a_snapshot_that_cannot_be_written_is_told_with_its_file() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    // Nobody's rights keep root from a file; a folder in its place does.
    let place = world.data_dir().join("client-snapshot.new");
    wait_until("the folder is there", || std::fs::create_dir(&place).is_ok());
    wait_until("it is told", || cause(&running, "snapshot").is_some());
    let sentence = cause(&running, "snapshot").unwrap();
    assert!(sentence.contains("client-snapshot.new") && sentence.contains("Is a directory"), "{sentence}");
    assert!(is_counted(&running, "snapshot"));
    assert_eq!(running.get("/readyz").status, 200);
    std::fs::remove_dir(&place).unwrap();
    wait_until("it is over", || cause(&running, "snapshot").is_none());
    running.ends_well(&world);
}

#[test]
fn while_redis_is_away_nothing_is_said_of_what_it_holds() {
    let mut pair = Pair::new(World::new("fast", &["--seed", "5"]));
    let server = pair.start_server();
    server.wait_until_ready();
    let journal = || server.get("/api/v1/journal").json();
    wait_until("it is known", || journal()["streams"][0]["redis_length"].as_u64().is_some_and(|n| n > 0));
    assert!(server.get("/metrics").body.contains("evenkeel_group_lag"));
    pair.redis.kill();
    wait_until("it is not known any more", || journal()["streams"][0]["redis_length"] == Value::Null);
    let now = journal();
    assert_eq!(now["redis"]["dead_letters"], Value::Null);
    assert_eq!(now["streams"][0]["groups"], serde_json::json!([]));
    let metrics = server.get("/metrics").body;
    assert!(
        !metrics.contains("evenkeel_group_lag") && metrics.contains("evenkeel_redis_connected 0"),
        "{metrics}"
    );
    wait_until("it is told", || {
        cause(&server, "shipping").is_some_and(|said| said.contains("does not answer"))
    });
    pair.redis.restart();
    wait_until("it is known again", || {
        journal()["streams"][0]["redis_length"].as_u64().is_some_and(|n| n > 0)
    });
    server.ends_well(&pair.world);
}

/// `run` under a limit of `prlimit`, to its end.
fn limited(limit: &str, world: &World) -> Output {
    let run = world.command("run");
    let mut limited = Command::new("prlimit");
    limited.arg(limit).arg(run.get_program()).args(run.get_args());
    // One that has what it needs ends by itself.
    limited.args(["--listen", "127.0.0.1:0", "--until-tick", "20"]);
    limited.output().unwrap()
}

#[test]
fn a_start_with_too_few_files_ends_with_a_sentence() {
    for files in [6, 8, 12, 16, 24, 32, 48, 60, 64, 80, 100] {
        let world = world();
        let ended = limited(&format!("--nofile={files}"), &world);
        let said = String::from_utf8_lossy(&ended.stderr);
        match ended.status.code() {
            Some(0) if files >= 64 => {}
            Some(1) if files < 64 => assert!(said.contains("`ulimit -n`"), "{files}: {said}"),
            code => panic!("{files} files: {code:?}: {said}"),
        }
    }
}

#[test]
fn a_start_whose_files_may_not_grow_ends_with_a_sentence() {
    for bytes in [0, 1, 100, 4096, 10_000] {
        let world = world();
        let ended = limited(&format!("--fsize={bytes}"), &world);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{bytes}: {said}");
        assert!(said.contains("`ulimit -f`"), "{bytes}: {said}");
    }
}

//! Streams of version 0.1 (`tests/data/v1`): they go on in format 2, once nobody reads them who would throw that away.

use std::{fs, path::Path, thread, time::Duration};

use evenkeel_actors::{ports::history::History as _, stores::redis::Shipment};
use evenkeel_core::journal::{FIRST_FORMAT, FORMAT, PerStream, Stream};
use tempfile::TempDir;

use super::world::{Handed, Store as _};
use crate::support::{journal::Server, redis::Redis};

const LEASE: &str = "evenkeel:{main}:lease";
const META: &str = "evenkeel:{main}:meta";

/// The server's directory and its streams, as version 0.1 left them.
fn world() -> (Server, Redis) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1");
    let folder = TempDir::new().unwrap();
    for file in fs::read_dir(data.join("server")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let mut redis = Redis::start();
    redis.terminate();
    fs::copy(data.join("streams.rdb"), redis.folder().join("streams.rdb")).unwrap();
    redis.restart_with(&["--appendonly", "no", "--dbfilename", "streams.rdb"]);
    (Server::of(folder), redis)
}

fn raw(redis: &Redis) -> PerStream<String> {
    PerStream::from_fn(|stream| redis.cli(&["XRANGE", &format!("evenkeel:{{main}}:{stream}"), "-", "+"]))
}

#[actix::test]
async fn streams_of_format_1_go_on_in_format_2_and_stay_as_they_are() {
    let (mut server, redis) = world();
    let before = raw(&redis);
    let shipment = Handed::shipment(&server, &redis, 5_000_000, 0);
    let mut store = Handed::of(redis, shipment);
    let learned = store.states().take_over().unwrap();
    assert!(learned.scheduler.is_some(), "the state that 0.1 saved is used");
    let old = PerStream::from_fn(|stream| store.entries(stream));
    server.tick(40).await;
    store.hand_out();
    assert_eq!(store.redis.cli(&["HGET", META, "format"]), FORMAT.to_string());
    let lengths = store.redis.cli(&["HMGET", META, "tick_ms", "window_ticks", "default_delay_ticks"]);
    assert_eq!(lengths.split_whitespace().collect::<Vec<_>>(), ["100", "10", "1"]);
    let after = raw(&store.redis);
    for stream in Stream::ALL {
        assert!(after[stream].starts_with(&before[stream]), "{stream}");
        let entries = store.entries(stream);
        let (first, rest) = entries.split_at(old[stream].len());
        assert!(first.iter().all(|entry| entry.version == FIRST_FORMAT), "{stream}");
        assert!(!rest.is_empty() && rest.iter().all(|entry| entry.version == FORMAT), "{stream}");
    }
    let verdict = store.reader().verify(None, &mut |_, _| ()).unwrap();
    assert_eq!(verdict.report.findings.first(), []);
    let proved = verdict.report.proved;
    assert!(verdict.holds() && proved.is_some_and(|(first, last)| (first.0, last.0) == (0, 199)));
}

/// Ships until it is done or refused, as the shipper does each second.
fn ship(shipment: &mut Shipment) -> Result<(), String> {
    while shipment.ship().map_err(|fault| fault.to_string())?.more {}
    Ok(())
}

#[actix::test]
async fn nothing_of_format_2_is_written_while_a_client_of_0_1_reads() {
    let (mut server, redis) = world();
    let before = raw(&redis);
    // As 0.1 takes the lease: over whatever a later client had left there.
    redis.cli(&["HSET", LEASE, "epoch", "2", "beat", "0", "holder", "an old client", "reads", "1 2"]);
    let mut shipment = Handed::shipment(&server, &redis, 5_000_000, 0);
    server.tick(3).await;
    for beat in 0..5 {
        redis.cli(&["HSET", LEASE, "beat", &beat.to_string()]);
        let refused = ship(&mut shipment).unwrap_err();
        assert!(refused.contains("an old client") && refused.contains("knows format 1"), "{refused}");
        assert!(refused.contains("format 2: upgrade all clients first"), "{refused}");
    }
    assert_eq!(raw(&redis), before);
    assert_eq!(redis.cli(&["HGET", META, "format"]), "1", "a client of 0.1 still knows what is there");

    // It was killed: its beat stands still, which one look does not show.
    for _ in 0..3 {
        assert!(ship(&mut shipment).is_err());
        #[expect(clippy::disallowed_methods, reason = "another clock than this test's is waited for")]
        thread::sleep(Duration::from_millis(1_100));
    }
    ship(&mut shipment).unwrap();
    assert_eq!(redis.cli(&["HGET", META, "format"]), "2");
    let shipped = raw(&redis);
    assert_ne!(shipped, before);

    // Another one of 0.1 comes later.
    redis.cli(&["HSET", LEASE, "epoch", "3", "beat", "0", "holder", "another old client"]);
    server.tick(1).await;
    // What was looked at before it came may be on its way.
    let _ = ship(&mut shipment);
    server.tick(3).await;
    let refused = ship(&mut shipment).unwrap_err();
    assert!(refused.contains("another old client"), "{refused}");

    // The lease of this program's client says what it reads.
    redis.cli(&["HSET", LEASE, "holder", ""]);
    let mut store = Handed::of(redis, shipment);
    store.states().take_over().unwrap();
    let reads = store.redis.cli(&["HMGET", LEASE, "epoch", "reads"]);
    assert_eq!(reads.split_whitespace().collect::<Vec<_>>(), ["4", "4", "2"]);
    server.tick(3).await;
    store.hand_out();
}

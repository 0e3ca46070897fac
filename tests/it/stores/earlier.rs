//! Streams of version 0.1 (`tests/data/v1`): they go on in format 2, once nobody reads them who would throw that away.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use evenkeel_actors::{
    ports::history::History as _,
    stores::redis::{Shipment, ShipmentSettings},
};
use evenkeel_core::journal::{FIRST_FORMAT, FORMAT, PerStream, Stream};
use tempfile::TempDir;

use super::world::{Handed, Store as _};
use crate::support::{
    journal::Server,
    pause,
    redis::{PASSWORD, Redis},
};

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
        pause(Duration::from_millis(1_100));
    }
    ship(&mut shipment).unwrap();
    assert_eq!(redis.cli(&["HGET", META, "format"]), "2");
    let shipped = raw(&redis);
    assert_ne!(shipped, before);

    // Another one of 0.1 comes later.
    redis.cli(&["HSET", LEASE, "epoch", "3", "beat", "0", "holder", "another old client"]);
    server.tick(3).await;
    let refused = ship(&mut shipment).unwrap_err();
    assert!(refused.contains("another old client"), "{refused}");
    assert_eq!(raw(&redis), shipped);

    // The lease of this program's client says what it reads.
    redis.cli(&["HSET", LEASE, "holder", ""]);
    let mut store = Handed::of(redis, shipment);
    store.states().take_over().unwrap();
    let reads = store.redis.cli(&["HMGET", LEASE, "epoch", "reads"]);
    assert_eq!(reads.split_whitespace().collect::<Vec<_>>(), ["4", "4", "2"]);
    server.tick(3).await;
    store.hand_out();
}

/// The way to `redis`, on which `act` happens just before the transaction that comes next passes.
fn way(redis: &Redis, mut act: impl FnMut() + Send + 'static) -> SocketAddr {
    let (listener, behind) = (TcpListener::bind("127.0.0.1:0").unwrap(), redis.address());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut acted = false;
        for mut here in listener.incoming().flatten() {
            let mut there = TcpStream::connect(behind).unwrap();
            let (mut answers, mut back) = (there.try_clone().unwrap(), here.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut answers, &mut back));
            let mut bytes = vec![0; 65_536];
            while let Ok(count @ 1..) = here.read(&mut bytes) {
                let sent = &bytes[..count];
                if !acted && sent.windows(5).any(|word| word == b"MULTI") {
                    acted = true;
                    act();
                }
                there.write_all(sent).unwrap();
            }
            let _ = there.shutdown(Shutdown::Both);
        }
    });
    address
}

/// A shipment to `redis` that meets `lease` there once its first batch is on the way.
fn shipment_that_meets(server: &Server, redis: &Redis, lease: &'static [&'static str]) -> Shipment {
    let port = redis.address().port().to_string();
    let come = move || {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &port, "--user", "admin", "HSET", LEASE]).args(lease).env("REDISCLI_AUTH", PASSWORD);
        assert!(cli.output().unwrap().status.success());
    };
    let target = Redis::url_at("server", way(redis, come)).parse().unwrap();
    let settings = ShipmentSettings { target, ..Handed::settings(server, redis, 5_000_000, 0) };
    Shipment::new(settings, &server.dir()).unwrap()
}

/// It took the lease after the server had looked, and threw a batch away.
#[actix::test]
async fn a_client_of_0_1_that_comes_amid_a_batch_does_not_get_it() {
    for holder_before in ["", "an old client that was killed"] {
        let (mut server, redis) = world();
        redis.cli(&["HSET", LEASE, "epoch", "2", "beat", "0", "holder", holder_before]);
        server.tick(3).await;
        let before = raw(&redis);
        let mut shipment =
            shipment_that_meets(&server, &redis, &["epoch", "3", "beat", "0", "holder", "amid"]);
        let refused = loop {
            match ship(&mut shipment) {
                Err(refused) if refused.contains("killed") => pause(Duration::from_millis(1_100)),
                other => break other.unwrap_err(),
            }
        };
        assert!(refused.contains("amid"), "{refused}");
        assert_eq!(raw(&redis), before, "nothing of format 2 was written");
    }
}

#[actix::test]
async fn a_client_that_can_read_what_is_written_may_come_amid_a_batch() {
    let (mut server, redis) = world();
    redis.cli(&["HSET", LEASE, "epoch", "2", "beat", "0", "holder", ""]);
    server.tick(3).await;
    let before = raw(&redis);
    let lease = &["epoch", "3", "beat", "0", "holder", "new", "reads", "3 2"];
    let mut shipment = shipment_that_meets(&server, &redis, lease);
    ship(&mut shipment).unwrap();
    assert_ne!(raw(&redis), before);
    assert_eq!(redis.cli(&["HGET", LEASE, "holder"]), "new");
}

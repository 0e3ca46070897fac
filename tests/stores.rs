//! One contract, two stores: the outbox that an embedded client reads, and Redis Streams.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod support;

use std::{path::PathBuf, time::Duration};

use evenkeel_actors::{
    consumer::{Read, Source},
    journal::{
        outbox::{OutboxHandle, OutboxReader},
        redis::{
            self, Keys, LeaseEpoch, RedisReader, RedisSource, RedisStateStore, Shipment, ShipmentSettings,
            Target,
        },
        source::OutboxSource,
        state::{DeadLetter, FileStateStore, StateStore, dead_letters},
    },
};
use evenkeel_core::{
    client::ClientState,
    estimator::Estimator,
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    tick::Tick,
};
use support::{
    journal::{NOW_MS, Server},
    redis::Redis,
};
use uuid::Uuid;

/// Longest wait for what is there already.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store that clients read, and keep their state in.
trait Store {
    fn new(server: &Server) -> Self;
    /// Makes what is recorded readable.
    fn hand_out(&mut self);
    fn source(&self) -> Box<dyn Source>;
    fn states(&self) -> Box<dyn StateStore>;
    /// Spoils the newest snapshot.
    fn spoil_snapshot(&self);
    fn entries(&self, stream: Stream) -> Vec<Entry>;
    fn dead_letters(&self) -> Vec<DeadLetter>;
    /// Findings of the audit, and the ticks that it proved.
    fn verify(&self) -> (u64, Option<(Tick, Tick)>);
}

struct Embedded {
    dir: PathBuf,
    writer: OutboxHandle,
}

impl Store for Embedded {
    fn new(server: &Server) -> Self {
        Self { dir: server.dir(), writer: server.writer.clone() }
    }

    fn hand_out(&mut self) {}

    fn source(&self) -> Box<dyn Source> {
        Box::new(OutboxSource::new(&self.dir, self.writer.published()))
    }

    fn states(&self) -> Box<dyn StateStore> {
        Box::new(FileStateStore::open(&self.dir).unwrap())
    }

    fn spoil_snapshot(&self) {
        let newest = ["client-snapshot.0", "client-snapshot.1"].map(|name| self.dir.join(name));
        let newest = newest.iter().max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
        std::fs::write(newest, "spoiled").unwrap();
    }

    fn entries(&self, stream: Stream) -> Vec<Entry> {
        OutboxReader::open(&self.dir).unwrap().after(stream, EntryId::default(), usize::MAX).unwrap()
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        dead_letters(&self.dir)
    }

    fn verify(&self) -> (u64, Option<(Tick, Tick)>) {
        let reader = OutboxReader::open(&self.dir).unwrap();
        let verified = evenkeel_actors::journal::outbox::verify(&reader, None, |_, _| ()).unwrap();
        assert_eq!(verified.damage, None);
        (verified.report.findings.count(), verified.report.proved)
    }
}

struct Handed {
    redis: Redis,
    shipment: Shipment,
    epoch: LeaseEpoch,
}

impl Handed {
    /// A store that keeps `entries_max` entries of a stream.
    fn with(server: &Server, entries_max: u64) -> Self {
        let redis = Redis::start();
        let shipment = Self::shipment(server, &redis, entries_max, 0);
        let mut handed = Self { redis, shipment, epoch: LeaseEpoch::default() };
        handed.hand_out();
        handed
    }

    /// A start of the server, so many after its first.
    fn shipment(server: &Server, redis: &Redis, entries_max: u64, starts: u64) -> Shipment {
        Shipment::new(Self::settings(server, redis, entries_max, starts), &server.dir()).unwrap()
    }

    fn settings(server: &Server, redis: &Redis, entries_max: u64, starts: u64) -> ShipmentSettings {
        let meta = server.writer.meta();
        ShipmentSettings {
            target: redis.url("server").parse().unwrap(),
            keys: Self::keys(),
            journal: meta.journal,
            writer_epoch: meta.writer_epoch + starts,
            writer: Uuid::new_v4(),
            label: meta.identity.label.clone(),
            tick_ms: 100,
            age_max: Duration::from_hours(24),
            entries_max,
        }
    }

    fn keys() -> Keys {
        Keys::new("evenkeel", "main").unwrap()
    }

    fn target(&self, user: &str) -> Target {
        self.redis.url(user).parse().unwrap()
    }

    fn reader(&self) -> RedisReader {
        RedisReader::open(&self.target("inspection"), Self::keys()).unwrap()
    }
}

impl Store for Handed {
    fn new(server: &Server) -> Self {
        Self::with(server, 5_000_000)
    }

    fn hand_out(&mut self) {
        while self.shipment.ship().unwrap().more {}
    }

    fn source(&self) -> Box<dyn Source> {
        Box::new(RedisSource::new(self.target("client"), Self::keys(), self.epoch.clone()))
    }

    fn states(&self) -> Box<dyn StateStore> {
        // The same holder, as after a panic: it need not wait for its own lease.
        let holder = "the test".to_owned();
        Box::new(RedisStateStore::new(self.target("client"), Self::keys(), holder, self.epoch.clone()))
    }

    fn spoil_snapshot(&self) {
        self.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", "spoiled"]);
    }

    fn entries(&self, stream: Stream) -> Vec<Entry> {
        let found = self.reader().after(stream, EntryId::default(), 1_000_000).unwrap();
        found.into_iter().map(Result::unwrap).collect()
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.reader().dead_letters().unwrap()
    }

    fn verify(&self) -> (u64, Option<(Tick, Tick)>) {
        let verified = redis::verify(&mut self.reader(), None, |_, _| ()).unwrap();
        (verified.report.findings.count(), verified.report.proved)
    }
}

/// Reads until everything up to `tick` has been told.
async fn read_up_to(source: &dyn Source, after: Positions, tick: u64) -> PerStream<Vec<Entry>> {
    let mut reads = source.follow(after);
    let mut found = PerStream::<Vec<Entry>>::default();
    let all = async {
        loop {
            let Read { entries, caught_up, .. } = reads.recv().await.unwrap().unwrap();
            for entry in entries {
                found[entry.record.stream()].push(entry);
            }
            if caught_up >= Some(Tick(tick)) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("everything is told");
    found
}

fn state(positions: Positions) -> ClientState {
    ClientState { positions, estimator: Estimator::default(), scheduler: None }
}

fn at(ms: u64) -> Positions {
    let mut positions = Positions::default();
    for stream in Stream::ALL {
        positions.advance(stream, EntryId { ms, n: 0 });
    }
    positions
}

async fn what_is_recorded_is_handed_out_once_in_order_under_its_ids<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    server.tick(25).await;
    store.hand_out();
    let recorded = server.recorded();
    for stream in Stream::ALL {
        assert_eq!(store.entries(stream), recorded[stream]);
    }
    assert_eq!(store.verify(), (0, Some((Tick(0), Tick(59)))));
}

async fn a_reader_gets_everything_after_its_positions_and_is_told_when_it_has_caught_up<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    let mut positions = store.states().load().unwrap().positions;
    let source = store.source();
    let first = read_up_to(&*source, positions, 39).await;
    assert_eq!(first, server.recorded());
    for stream in Stream::ALL {
        positions.advance(stream, first[stream].last().unwrap().id);
    }
    // The last tick of these has no arrivals.
    server.tick(24).await;
    store.hand_out();
    let second = read_up_to(&*source, positions, 63).await;
    let recorded = server.recorded();
    for stream in Stream::ALL {
        assert_eq!(second[stream], recorded[stream][first[stream].len()..]);
    }
}

async fn a_reader_that_saved_nothing_gets_everything_again<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    for _ in 0..3 {
        let positions = store.states().load().unwrap().positions;
        assert_eq!(read_up_to(&*store.source(), positions, 39).await, server.recorded());
    }
}

async fn the_newest_whole_state_is_loaded<S: Store>() {
    let mut server = Server::new();
    server.tick(20).await;
    let mut store = S::new(&server);
    store.hand_out();
    let mut states = store.states();
    assert_eq!(states.load().unwrap(), ClientState::default());
    states.store(&state(at(NOW_MS + 1))).unwrap();
    states.store(&state(at(NOW_MS + 2))).unwrap();
    assert_eq!(store.states().load().unwrap().positions, at(NOW_MS + 2));
    store.spoil_snapshot();
    let mut after = store.states();
    assert_eq!(after.load().unwrap().positions, at(NOW_MS + 1), "the generation before it");
    after.store(&state(at(NOW_MS + 3))).unwrap();
    assert_eq!(store.states().load().unwrap().positions, at(NOW_MS + 3));
}

async fn a_dead_letter_is_kept_once<S: Store>() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = S::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.load().unwrap();
    let dead = DeadLetter {
        stream: Stream::Queue,
        id: EntryId { ms: NOW_MS, n: 3 },
        reason: "it was one too many".to_owned(),
    };
    states.bury(&dead).unwrap();
    states.bury(&dead).unwrap();
    assert_eq!(store.dead_letters(), [dead]);
}

macro_rules! contract {
    ($($name:ident),*) => {
        mod outbox {
            $(#[actix::test] async fn $name() { super::$name::<super::Embedded>().await; })*
        }
        mod redis_streams {
            $(#[actix::test] async fn $name() { super::$name::<super::Handed>().await; })*
        }
    };
}

contract!(
    what_is_recorded_is_handed_out_once_in_order_under_its_ids,
    a_reader_gets_everything_after_its_positions_and_is_told_when_it_has_caught_up,
    a_reader_that_saved_nothing_gets_everything_again,
    the_newest_whole_state_is_loaded,
    a_dead_letter_is_kept_once
);

/// Redis alone: what retention removes there, and what it never removes.
#[actix::test]
async fn redis_is_trimmed_behind_everybody_and_never_past_anybody() {
    let mut server = Server::new();
    let mut store = Handed::with(&server, 30);
    server.tick(60).await;
    store.hand_out();
    let length = |store: &Handed| store.entries(Stream::Queue).len();
    let everything = length(&store);
    let trim = |store: &mut Handed| store.shipment.trim().unwrap();
    trim(&mut store);
    assert_eq!(length(&store), everything, "nobody has read anything");

    let mut states = store.states();
    let mut positions = states.load().unwrap().positions;
    let read = read_up_to(&*store.source(), positions, 59).await;
    trim(&mut store);
    assert_eq!(length(&store), everything, "nothing is acknowledged");
    for stream in Stream::ALL {
        positions.advance(stream, read[stream].last().unwrap().id);
    }
    states.store(&state(at(NOW_MS + 1))).unwrap();
    states.store(&state(positions)).unwrap();
    trim(&mut store);
    assert_eq!(length(&store), everything, "the older generation of the state lies before it");
    states.store(&state(positions)).unwrap();
    let queue = "evenkeel:{main}:queue";
    store.redis.cli(&["XGROUP", "CREATE", queue, "another", "0"]);
    trim(&mut store);
    assert_eq!(length(&store), everything, "another group has not read it");
    store.redis.cli(&["XGROUP", "DESTROY", queue, "another"]);
    trim(&mut store);
    // Redis removes whole nodes of a hundred entries.
    assert!(length(&store) < everything && length(&store) >= 30, "{} of {everything}", length(&store));
    assert!(store.shipment.take_lost().is_empty(), "what is trimmed is not lost");
    assert_eq!(store.verify().0, 0);
    store.redis.cli(&["XTRIM", queue, "MAXLEN", "3"]);
    trim(&mut store);
    let lost = store.shipment.take_lost();
    assert_eq!(
        lost.iter().map(|lost| lost.stream).collect::<Vec<_>>(),
        [Stream::Queue],
        "what others trim is"
    );
    assert_eq!(lost[0].last, server.recorded().queue.last().unwrap().seq - 3);
}

/// One undecodable last entry, and every window was said to count nothing.
#[actix::test]
async fn an_entry_that_cannot_be_read_is_named_and_the_rest_is_judged() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(60).await;
    store.hand_out();
    let (findings, proved) = store.verify();
    assert_eq!(findings, 0);
    let spoil = |stream: &str, id: &str| {
        store.redis.cli(&["XADD", &format!("evenkeel:{{main}}:{stream}"), id, "v", "1", "seq", "x"]);
    };
    let named = || {
        let verified = redis::verify(&mut store.reader(), None, |_, _| ()).unwrap();
        assert_eq!(verified.report.findings.first(), [], "the rest holds");
        assert!(!verified.holds());
        (verified.dead.len(), verified.report.proved)
    };
    for (at, stream) in ["executions", "queue", "windows"].into_iter().enumerate() {
        spoil(stream, "9999999999999-0");
        assert_eq!(named(), (at + 1, proved), "{stream}");
    }
}

/// In the middle: a window lacks what cannot be read, and is not judged by it.
#[actix::test]
async fn what_follows_from_an_unreadable_entry_is_not_a_finding_of_its_own() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(60).await;
    store.hand_out();
    for stream in Stream::ALL {
        let key = format!("evenkeel:{{main}}:{stream}");
        let entries = store.entries(stream);
        // The stream is written again, with one entry in it spoilt, as a damaged copy might have it.
        store.redis.cli(&["DEL", &key]);
        for (at, entry) in entries.iter().enumerate() {
            let fields = entry.fields();
            let mut add = vec!["XADD".to_owned(), key.clone(), entry.id.to_string()];
            for (name, value) in fields {
                let spoilt = name == "seq" && at == entries.len() / 2;
                add.extend([name.to_owned(), if spoilt { "x".to_owned() } else { value }]);
            }
            store.redis.cli(&add.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let verified = redis::verify(&mut store.reader(), None, |_, _| ()).unwrap();
        assert_eq!(verified.report.findings.first(), [], "{stream}");
        let spoilt = entries[entries.len() / 2].id;
        assert!(verified.dead.iter().any(|dead| (dead.stream, dead.id) == (stream, spoilt)), "{stream}");
    }
}

/// An older server beside a newer one's streams wrote over their format, and an older client threw their entries away.
#[actix::test]
async fn a_newer_format_stops_both_and_loses_nothing() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(40).await;
    store.hand_out();
    let meta = "evenkeel:{main}:meta";
    let positions = store.states().load().unwrap().positions;
    // An entry of a later format, in the middle of what is to be read.
    let later = [("v", "2"), ("seq", "99"), ("anything", "else")];
    let mut add = vec!["XADD", "evenkeel:{main}:windows", "9999999999999-0"];
    add.extend(later.iter().flat_map(|(name, value)| [*name, *value]));
    store.redis.cli(&add);
    let mut reads = store.source().follow(positions);
    let stopped = async {
        loop {
            if let Err(error) = reads.recv().await.expect("it says why it ends") {
                return error.to_string();
            }
        }
    };
    let said = tokio::time::timeout(PATIENCE, stopped).await.expect("it stops");
    assert!(said.contains("is of format 2") && said.contains("up to format 1"), "{said}");
    assert_eq!(store.dead_letters(), [], "nothing is thrown away");
    let pending = store.redis.cli(&["XPENDING", "evenkeel:{main}:windows", "scheduler"]);
    assert!(pending.contains("9999999999999-0"), "nothing is acknowledged: {pending}");
    store.redis.cli(&["DEL", "evenkeel:{main}:windows"]);

    store.redis.cli(&["HSET", meta, "format", "2"]);
    let epoch = store.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]);
    let refused = store.states().load().unwrap_err().to_string();
    assert!(refused.contains("is of format 2"), "{refused}");
    assert_eq!(
        store.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]),
        epoch,
        "the lease is left alone"
    );
    store.shipment = Handed::shipment(&server, &store.redis, 5_000_000, 1);
    let refused = store.shipment.ship().unwrap_err().to_string();
    assert!(refused.contains("is of format 2") && refused.contains("up to format 1"), "{refused}");
    assert_eq!(store.redis.cli(&["HGET", meta, "format"]), "2", "it is not written over");
    assert!(RedisReader::open(&store.target("inspection"), Handed::keys()).is_err());

    store.redis.cli(&["HSET", meta, "format", "0"]);
    let refused = store.shipment.ship().unwrap_err().to_string();
    assert!(refused.contains("no step to format 1"), "{refused}");
    assert_eq!(store.redis.cli(&["HGET", meta, "format"]), "0");
    store.redis.cli(&["HSET", meta, "format", "1"]);
    store.hand_out();
}

/// A snapshot that a later evenkeel wrote is no damaged one: neither the older one nor nothing takes its place.
#[actix::test]
async fn a_snapshot_of_a_newer_format_is_left_and_so_is_the_lease() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(5).await;
    store.hand_out();
    let mut states = store.states();
    states.load().unwrap();
    states.store(&state(at(NOW_MS + 1))).unwrap();
    let written = "evenkeel snapshot v2 generation=9 bytes=3 crc=c01549df\nabc";
    store.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", written]);
    let refused = store.states().load().unwrap_err().to_string();
    assert!(refused.contains("snapshot in Redis is of format 2"), "{refused}");
    assert_eq!(
        store.redis.cli(&["HGET", "evenkeel:{main}:lease", "holder"]),
        "",
        "who can read it may have it"
    );
    let file = server.dir().join("client-snapshot.0");
    std::fs::write(&file, written).unwrap();
    let refused = FileStateStore::open(&server.dir()).unwrap_err().to_string();
    assert!(refused.contains("client-snapshot.0 is of format 2"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
}

/// Lua's `tostring` keeps 14 digits: a lease that stood higher was never held.
#[actix::test]
async fn the_lease_counts_on_exactly_wherever_it_stands() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = Handed::new(&server);
    store.hand_out();
    let lease = "evenkeel:{main}:lease";
    for (stands, held) in [
        ("1234567890123457", 1_234_567_890_123_458),
        // Nothing can be counted on from these: it begins anew, above what this client has held.
        ("9007199254740992", 1_234_567_890_123_459),
        ("9.007199254741e+15", 1_234_567_890_123_460),
        ("nan", 1_234_567_890_123_461),
    ] {
        store.redis.cli(&["HSET", lease, "epoch", stands, "holder", ""]);
        let mut states = store.states();
        states.load().unwrap();
        assert_eq!(store.epoch.held(), held, "after {stands}");
        states.store(&state(at(NOW_MS + 1))).unwrap();
        assert_eq!(store.redis.cli(&["HGET", lease, "epoch"]), held.to_string());
    }
}

/// Ids have more digits than Lua's numbers.
#[actix::test]
async fn a_state_that_is_older_by_one_in_the_last_digit_is_not_saved() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = Handed::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.load().unwrap();
    states.store(&state(at(9_007_199_254_740_993))).unwrap();
    let older = states.store(&state(at(9_007_199_254_740_992))).unwrap_err().to_string();
    assert!(older.contains("a later state has been saved"), "{older}");
    states.store(&state(at(10_000_000_000_000_000))).unwrap();
}

/// A clock ran ahead for a while: what was recorded before it is no older for that.
#[actix::test]
async fn redis_is_trimmed_by_ticks_whatever_the_clock_said() {
    let mut server = Server::new();
    let mut store = Handed::with(&server, 5_000_000);
    // Each entry in a node of its own: trimming goes node by node.
    store.redis.cli(&["CONFIG", "SET", "stream-node-max-entries", "1"]);
    server.tick(30).await;
    server.clock_ahead_ms = 72 * 3_600_000;
    server.tick(30).await;
    server.clock_ahead_ms = 0;
    server.tick(30).await;
    store.hand_out();
    let mut states = store.states();
    let mut positions = states.load().unwrap().positions;
    let read = read_up_to(&*store.source(), positions, 89).await;
    for stream in Stream::ALL {
        positions.advance(stream, read[stream].last().unwrap().id);
    }
    states.store(&state(positions)).unwrap();
    states.store(&state(positions)).unwrap();
    let everything = Stream::ALL.map(|stream| store.entries(stream));
    store.shipment.trim().unwrap();
    assert_eq!(Stream::ALL.map(|stream| store.entries(stream)), everything, "nothing is a day old");
    for (starts, age_ticks) in [(1, 75), (2, 40), (3, 20), (4, 5)] {
        let settings = ShipmentSettings {
            age_max: Duration::from_millis(age_ticks * 100),
            ..Handed::settings(&server, &store.redis, 5_000_000, starts)
        };
        store.shipment = Shipment::new(settings, &server.dir()).unwrap();
        store.hand_out();
        store.shipment.trim().unwrap();
        let oldest = Tick(89 - age_ticks);
        for (stream, everything) in Stream::ALL.into_iter().zip(&everything) {
            let mut expected: Vec<_> =
                everything.iter().filter(|entry| entry.record.tick() >= oldest).cloned().collect();
            if expected.is_empty() {
                expected.extend(everything.last().cloned());
            }
            assert_eq!(store.entries(stream), expected, "{stream}, {age_ticks} ticks");
        }
        assert_eq!(store.shipment.take_lost(), [], "what is trimmed is not lost");
    }
}

/// Found by the simulation, seed 85: the number before the first entry was not known, so no gap was seen.
#[actix::test]
async fn reproduces_a_group_that_was_moved_before_the_first_entry_was_read() {
    let mut server = Server::new();
    let mut store = Handed::with(&server, 5_000_000);
    let positions = store.states().load().unwrap().positions;
    let mut reads = store.source().follow(positions);
    // It has asked what there is, and found nothing.
    tokio::time::sleep(Duration::from_millis(500)).await;
    for stream in Stream::ALL {
        // As if the first ticks' entries had been given to somebody.
        let (key, given) = (format!("evenkeel:{{main}}:{stream}"), format!("{}-0", NOW_MS + 450));
        store.redis.cli(&["XGROUP", "SETID", &key, "scheduler", &given]);
    }
    server.tick(20).await;
    store.hand_out();
    let recorded = server.recorded();
    let mut found = PerStream::<Vec<Entry>>::default();
    let all = async {
        while found.queue.len() < recorded.queue.len() || found.executions.len() < recorded.executions.len() {
            for entry in reads.recv().await.unwrap().unwrap().entries {
                found[entry.record.stream()].push(entry);
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("every entry is read");
    assert_eq!((found.queue, found.executions), (recorded.queue, recorded.executions));
}

/// Found by the simulation, seed 190: a group had been given entries, no state held them, and trimming removed them.
#[actix::test]
async fn reproduces_trimming_while_no_state_has_ever_been_saved() {
    let mut server = Server::new();
    let mut store = Handed::with(&server, 30);
    server.tick(200).await;
    store.hand_out();
    let everything = store.entries(Stream::Queue).len();
    for stream in Stream::ALL {
        let key = format!("evenkeel:{{main}}:{stream}");
        store.redis.cli(&["XGROUP", "SETID", &key, "scheduler", "$"]);
    }
    store.shipment.trim().unwrap();
    assert_eq!(store.entries(Stream::Queue).len(), everything, "nobody has it for good");
}

/// Found by the simulation, seeds 62 and 119: what was compared with was the server's memory.
#[actix::test]
async fn reproduces_entries_that_somebody_trimmed_while_no_server_lived() {
    let mut server = Server::new();
    let mut store = Handed::with(&server, 5_000_000);
    server.tick(60).await;
    store.hand_out();
    store.redis.cli(&["XTRIM", "evenkeel:{main}:queue", "MAXLEN", "3"]);
    let recorded = server.recorded().queue.last().unwrap().seq;
    store.shipment = Handed::shipment(&server, &store.redis, 5_000_000, 1);
    store.hand_out();
    let lost = store.shipment.take_lost();
    let lost: Vec<_> = lost.iter().map(|lost| (lost.stream, lost.first, lost.last)).collect();
    assert_eq!(lost, [(Stream::Queue, 1, recorded - 3)]);
    store.shipment = Handed::shipment(&server, &store.redis, 5_000_000, 2);
    store.hand_out();
    assert_eq!(store.shipment.take_lost(), [], "it is said once");
}

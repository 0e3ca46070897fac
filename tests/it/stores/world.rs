//! The two stores, and how they are read.

use std::{path::PathBuf, time::Duration};

use evenkeel_actors::{
    ports::{
        history::{OpenHistory, Verdict},
        lease::LeaseEpoch,
        source::{Read, Source},
        state_store::LeasedStates,
    },
    stores::{
        file::state::FileStateStore,
        outbox::{OutboxHandle, OutboxReader, source::OutboxSource},
        redis::{Keys, RedisReader, RedisSource, RedisStateStore, Shipment, ShipmentSettings, Target},
    },
};
use evenkeel_core::{
    estimator::Estimator,
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    leveller::ClientState,
    units::tick::Tick,
};
use uuid::Uuid;

use crate::support::{journal::Server, redis::Redis};

/// Longest wait for what is there already.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A store that clients read, and keep their state in.
pub(super) trait Store {
    fn new(server: &Server) -> Self;
    /// Makes what is recorded readable.
    fn hand_out(&mut self);
    fn source(&self) -> Box<dyn Source>;
    fn states(&self) -> Box<dyn LeasedStates>;
    /// Spoils the newest snapshot.
    fn spoil_snapshot(&self);
    /// Opens what is read of it for people.
    fn history(&self) -> OpenHistory;
    fn entries(&self, stream: Stream) -> Vec<Entry>;

    /// Findings of the audit, and the ticks that it proved.
    fn verify(&self) -> (u64, Option<(Tick, Tick)>) {
        let Verdict { report, wrong, .. } = self.history()().unwrap().verify(None, &mut |_, _| ()).unwrap();
        assert_eq!(wrong, [] as [String; 0]);
        (report.findings.count(), report.proved)
    }
}

pub(super) struct Embedded {
    pub(super) dir: PathBuf,
    pub(super) writer: OutboxHandle,
}

impl Store for Embedded {
    fn new(server: &Server) -> Self {
        Self { dir: server.dir(), writer: server.writer.clone() }
    }

    fn hand_out(&mut self) {}

    fn source(&self) -> Box<dyn Source> {
        Box::new(OutboxSource::new(&self.dir, self.writer.published()))
    }

    fn states(&self) -> Box<dyn LeasedStates> {
        Box::new(FileStateStore::open(&self.dir).unwrap())
    }

    fn spoil_snapshot(&self) {
        let newest = ["client-snapshot.0", "client-snapshot.1"].map(|name| self.dir.join(name));
        let newest = newest.iter().max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
        std::fs::write(newest, "spoiled").unwrap();
    }

    fn history(&self) -> OpenHistory {
        OutboxReader::opener(&self.dir)
    }

    fn entries(&self, stream: Stream) -> Vec<Entry> {
        OutboxReader::open(&self.dir).unwrap().after(stream, EntryId::default(), usize::MAX).unwrap()
    }
}

pub(super) struct Handed {
    pub(super) redis: Redis,
    pub(super) shipment: Shipment,
    pub(super) epoch: LeaseEpoch,
}

impl Handed {
    /// A store that keeps `entries_max` entries of a stream.
    pub(super) fn with(server: &Server, entries_max: u64) -> Self {
        let redis = Redis::start();
        let shipment = Self::shipment(server, &redis, entries_max, 0);
        let mut handed = Self::of(redis, shipment);
        handed.hand_out();
        handed
    }

    /// What has been shipped to a Redis of one's own.
    pub(super) fn of(redis: Redis, shipment: Shipment) -> Self {
        Self { redis, shipment, epoch: LeaseEpoch::default() }
    }

    /// A start of the server, so many after its first.
    pub(super) fn shipment(server: &Server, redis: &Redis, entries_max: u64, starts: u64) -> Shipment {
        Shipment::new(Self::settings(server, redis, entries_max, starts), &server.dir()).unwrap()
    }

    pub(super) fn settings(
        server: &Server,
        redis: &Redis,
        entries_max: u64,
        starts: u64,
    ) -> ShipmentSettings {
        let meta = server.writer.meta();
        ShipmentSettings {
            target: redis.url("server").parse().unwrap(),
            keys: Self::keys(),
            journal: meta.journal,
            writer_epoch: meta.writer_epoch + starts,
            writer: Uuid::new_v4(),
            label: meta.identity.label.clone(),
            lengths: meta.identity.lengths,
            age_max: Duration::from_hours(24),
            entries_max,
        }
    }

    pub(super) fn keys() -> Keys {
        Keys::new("evenkeel", "main").unwrap()
    }

    pub(super) fn target(&self, user: &str) -> Target {
        self.redis.url(user).parse().unwrap()
    }

    pub(super) fn reader(&self) -> RedisReader {
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

    fn states(&self) -> Box<dyn LeasedStates> {
        // The same holder, as after a panic: it need not wait for its own lease.
        let holder = "the test".to_owned();
        Box::new(RedisStateStore::new(self.target("client"), Self::keys(), holder, self.epoch.clone()))
    }

    fn spoil_snapshot(&self) {
        self.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", "spoiled"]);
    }

    fn history(&self) -> OpenHistory {
        RedisReader::opener(&self.target("inspection"), &Self::keys())
    }

    fn entries(&self, stream: Stream) -> Vec<Entry> {
        let found = self.reader().after(stream, EntryId::default(), 1_000_000).unwrap();
        found.into_iter().map(Result::unwrap).collect()
    }
}

/// Reads until everything up to `tick` has been told.
pub(super) async fn read_up_to(source: &dyn Source, after: Positions, tick: u64) -> PerStream<Vec<Entry>> {
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

pub(super) fn state(positions: Positions) -> ClientState {
    ClientState { positions, estimator: Estimator::default(), scheduler: None }
}

pub(super) fn at(ms: u64) -> Positions {
    let mut positions = Positions::default();
    for stream in Stream::ALL {
        positions.advance(stream, EntryId { ms, n: 0 });
    }
    positions
}

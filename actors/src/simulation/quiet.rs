//! Single rules in a quiet world, where time passes only when a test lets it: who may take the lease, whose state is
//! used, when a reader ends.

use std::time::Duration;

use evenkeel_core::{
    estimator::Estimator,
    journal::{EntryId, Positions, Stream},
    leveller::ClientState,
};
use tokio::time::advance;

use super::{
    faults::command,
    wire::Way,
    world::{self, ProcessId},
};
use crate::{
    ports::{
        lease::{LeaseEpoch, LeaseError},
        state_store::{LeasedStates as _, StateError, StateStore as _, TakeOverError},
    },
    stores::redis::{
        GROUP, RedisStateStore, Target,
        source::{FollowFault, Follower},
    },
};

/// A world with the streams of journal `one`, and nobody in it.
fn quietly(test: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        world::begin(1, false);
        world::with(world::World::calm_down);
        belongs_to("one");
        for stream in Stream::ALL {
            let key = world::with(|world| world.keys.stream(stream));
            operator(&["XGROUP", "CREATE", &key, GROUP, "0", "MKSTREAM"]);
        }
        test().await;
    });
}

fn operator(words: &[&str]) {
    world::with(|world| command(world, words));
}

fn belongs_to(journal: &str) {
    let meta = world::with(|world| world.keys.meta());
    operator(&["HSET", &meta, "journal", journal]);
}

/// A store of client `which`, and its epoch.
fn client(which: usize) -> (RedisStateStore, LeaseEpoch) {
    let (epoch, keys) = (LeaseEpoch::default(), world::with(|world| world.keys.clone()));
    let way = Target::over(Way(ProcessId::Client(which)));
    (RedisStateStore::new(way, keys, format!("client {which}"), epoch.clone()), epoch)
}

fn follower(epoch: &LeaseEpoch) -> Follower {
    let keys = world::with(|world| world.keys.clone());
    Follower::new(Target::over(Way(ProcessId::Client(0))), keys, epoch.clone(), Positions::default())
}

fn state(ms: u64) -> ClientState {
    let mut positions = Positions::default();
    for stream in Stream::ALL {
        positions.advance(stream, EntryId { ms, n: 0 });
    }
    ClientState { positions, estimator: Estimator::default(), scheduler: None }
}

#[track_caller]
fn stands_by(store: &mut RedisStateStore) {
    let taken = store.take_over();
    assert!(matches!(taken, Err(TakeOverError::Lease(LeaseError::Held { .. }))), "{taken:?}");
}

#[test]
fn the_lease_is_taken_after_a_second_of_silence_that_was_seen_three_times() {
    quietly(async || {
        let ((mut holder, _), (mut other, epoch)) = (client(0), client(1));
        holder.take_over().unwrap();
        // However often it looks.
        for _ in 0..10 {
            stands_by(&mut other);
            advance(Duration::from_millis(99)).await;
        }
        // Each beat begins it anew.
        holder.store(&state(1)).unwrap();
        stands_by(&mut other);
        // However long ago it looked last.
        advance(Duration::from_hours(1)).await;
        stands_by(&mut other);
        stands_by(&mut other);
        other.take_over().unwrap();
        assert_eq!(epoch.held(), 2);
        assert!(matches!(holder.store(&state(2)), Err(StateError::Fenced)));
    });
}

#[test]
fn a_redis_that_was_away_shows_no_silence() {
    quietly(async || {
        let ((mut holder, _), (mut other, _)) = (client(0), client(1));
        holder.take_over().unwrap();
        for _ in 0..5 {
            stands_by(&mut other);
        }
        world::with(|world| world.partitioned = true);
        let away = other.take_over();
        assert!(matches!(away, Err(TakeOverError::Lease(LeaseError::Unavailable(_)))), "{away:?}");
        advance(Duration::from_mins(1)).await;
        world::with(|world| world.partitioned = false);
        // The holder could not beat either.
        stands_by(&mut other);
    });
}

#[test]
fn the_next_lease_is_above_every_epoch_that_this_client_or_a_stranger_had() {
    quietly(async || {
        let (mut store, epoch) = client(0);
        store.take_over().unwrap();
        assert_eq!(epoch.held(), 1);
        epoch.outdated(41);
        store.take_over().unwrap();
        assert_eq!(epoch.held(), 42, "above the stranger's");
        let lease = world::with(|world| world.keys.lease());
        operator(&["DEL", &lease]);
        store.take_over().unwrap();
        assert_eq!(epoch.held(), 43, "above what it held, which Redis has forgotten");
    });
}

#[test]
fn a_reader_ends_when_the_server_knows_somebody_else_under_its_epoch() {
    quietly(async || {
        for ahead in [0, 1] {
            let (mut store, epoch) = client(0);
            store.take_over().unwrap();
            let mut reader = follower(&epoch);
            for _ in 0..4 {
                assert!(reader.next().unwrap().is_none());
            }
            epoch.outdated(epoch.held() + ahead);
            let ended = reader.next().unwrap_err();
            assert!(matches!(ended, FollowFault::Fenced), "{ended}");
        }
    });
}

#[test]
fn what_cannot_be_read_is_set_aside_and_does_not_stay_pending() {
    quietly(async || {
        let (mut store, epoch) = client(0);
        store.take_over().unwrap();
        let mut reader = follower(&epoch);
        assert!(reader.next().unwrap().is_none());
        assert!(reader.next().unwrap().is_none());
        for stream in Stream::ALL {
            let key = world::with(|world| world.keys.stream(stream));
            operator(&["XADD", &key, "7-0", "v", "1", "seq", "x"]);
        }
        for _ in 0..3 {
            assert!(reader.next().unwrap().is_none(), "nothing can be made of it");
        }
        world::with(|world| {
            let found = world.redis.keyspace();
            for stream in Stream::ALL {
                let group = &found.streams[&world.keys.stream(stream)].groups[GROUP];
                assert_eq!(group.delivered, EntryId { ms: 7, n: 0 }, "{stream}: it was given");
                assert!(group.pending.is_empty(), "{stream}: {:?}", group.pending);
                assert!(found.hashes[&world.keys.dead()].contains_key(&format!("{stream}:7-0")));
            }
        });
    });
}

#[test]
fn the_state_of_another_journal_is_not_used() {
    quietly(async || {
        let (mut store, _) = client(0);
        store.take_over().unwrap();
        store.store(&state(1)).unwrap();
        store.store(&state(2)).unwrap();
        belongs_to("another");
        assert_eq!(store.take_over().unwrap(), ClientState::default(), "neither its own memory");
        let (mut fresh, _) = client(0);
        assert_eq!(fresh.take_over().unwrap(), ClientState::default(), "nor what is in Redis");
        belongs_to("one");
        assert_eq!(store.take_over().unwrap(), state(2));
    });
}

#[test]
fn a_redis_that_lost_the_state_gets_it_back() {
    quietly(async || {
        let (mut store, _) = client(0);
        store.take_over().unwrap();
        store.store(&state(1)).unwrap();
        store.store(&state(2)).unwrap();
        let (newest, previous) = world::with(|world| (world.keys.snapshot(), world.keys.previous_snapshot()));
        operator(&["DEL", &newest, &previous]);
        assert_eq!(store.take_over().unwrap(), state(2));
        let (mut after, _) = client(0);
        assert_eq!(after.take_over().unwrap(), state(2), "it stands in Redis again");
    });
}

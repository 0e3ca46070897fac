//! One contract, two stores: the outbox that an embedded client reads, and Redis Streams.

use evenkeel_actors::ports::state_store::DeadLetter;
use evenkeel_core::{
    journal::{EntryId, Stream},
    leveller::ClientState,
    units::tick::Tick,
};

use super::world::{Embedded, Handed, Store, at, read_up_to, state};
use crate::support::journal::{NOW_MS, Server};

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

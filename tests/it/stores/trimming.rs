//! Redis alone: what retention removes there, and what it never removes.

use std::time::Duration;

use evenkeel_actors::stores::redis::{Shipment, ShipmentSettings};
use evenkeel_core::{
    journal::{Entry, PerStream, Stream},
    units::tick::Tick,
};

use super::world::{Handed, PATIENCE, Store, at, read_up_to, state};
use crate::support::journal::{NOW_MS, Server};

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
    let mut positions = states.take_over().unwrap().positions;
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
    let mut positions = states.take_over().unwrap().positions;
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
    let positions = store.states().take_over().unwrap().positions;
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

//! Redis alone: a busy reader keeps its lease, and a state acknowledges all that it holds.

use std::time::{Duration, Instant};

use evenkeel_core::journal::Stream;

use super::world::{Handed, PATIENCE, Store, at, state};
use crate::support::journal::Server;

/// A consumer that takes nothing for a while still levels: nobody may take the lease from it.
#[actix::test]
async fn a_reader_whose_consumer_is_busy_goes_on_renewing_the_lease() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(5).await;
    store.hand_out();
    let positions = store.states().take_over().unwrap().positions;
    let mut reads = store.source().follow(positions);
    let mut hand_out_more = async || {
        server.tick(20).await;
        store.hand_out();
    };
    let begun = Instant::now();
    while reads.len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "as many reads as may wait");
        hand_out_more().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // For this one there is no room. Until it is read, looking for news renews the lease, too: three times at most.
    hand_out_more().await;
    let beat = || -> u64 { store.redis.cli(&["HGET", "evenkeel:{main}:lease", "beat"]).parse().unwrap() };
    let enough = beat() + 10;
    while beat() < enough {
        assert!(begun.elapsed() < PATIENCE, "the lease is renewed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reads.len(), 2, "nobody has taken anything");
    assert!(reads.recv().await.unwrap().is_ok());
}

/// What is pending is asked for in pages: all of it goes, and nothing that the state does not hold.
#[actix::test]
async fn a_saved_state_acknowledges_all_that_it_holds_and_nothing_else() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = Handed::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.take_over().unwrap();
    let given = "for i = 1, 2500 do redis.call('XADD', KEYS[1], (9000000000000 + i) .. '-0', 'v', '1') end
        redis.call('XREADGROUP', 'GROUP', 'scheduler', 'scheduler', 'STREAMS', KEYS[1], '>') return 'given'";
    for stream in Stream::ALL {
        let key = format!("evenkeel:{{main}}:{stream}");
        assert_eq!(store.redis.cli(&["EVAL", given, "1", &key]), "given");
    }
    for (holds, stay) in [(1_500, 1_000), (2_500, 0)] {
        states.store(&state(at(9_000_000_000_000 + holds))).unwrap();
        for stream in Stream::ALL {
            let key = format!("evenkeel:{{main}}:{stream}");
            let ask = "return redis.call('XPENDING', KEYS[1], 'scheduler')[1]";
            assert_eq!(store.redis.cli(&["EVAL", ask, "1", &key]), stay.to_string(), "{stream}");
        }
    }
}

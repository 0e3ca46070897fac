//! Redis alone: what the one who ships must notice there.

use evenkeel_actors::stores::redis::ShippingFault;
use evenkeel_core::journal::Stream;

use super::world::{Handed, Store};
use crate::support::journal::Server;

/// The same id, the same number, and something else in it: those are not this journal's streams.
#[actix::test]
async fn an_entry_under_our_id_with_another_payload_stops_shipping() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(60).await;
    store.hand_out();
    for (starts, stream) in (1..).zip(Stream::ALL) {
        let key = format!("evenkeel:{{main}}:{stream}");
        let entries = store.entries(stream);
        let [.., before, last] = &entries[..] else { panic!("{stream} is too short") };
        let write = |fields: Vec<(&'static str, String)>| {
            store.redis.cli(&["XDEL", &key, &last.id.to_string()]);
            store.redis.cli(&["XSETID", &key, &before.id.to_string()]);
            let mut add = vec!["XADD".to_owned(), key.clone(), last.id.to_string()];
            add.extend(fields.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
            store.redis.cli(&add.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let mut other = before.clone();
        (other.id, other.seq) = (last.id, last.seq);
        assert_eq!(write(other.fields()), last.id.to_string());
        assert_eq!(store.entries(stream).last(), Some(&other), "it can be read, and is another one");
        store.shipment = Handed::shipment(&server, &store.redis, 5_000_000, starts);
        let what = "under that id this journal has another entry";
        assert_eq!(
            store.shipment.ship(),
            Err(ShippingFault::Foreign { key: key.clone(), id: last.id, what }),
            "{stream}"
        );
        write(last.fields());
        store.hand_out();
    }
}

/// Somebody changes the policy of a running Redis: it is said with the next trimming, and until it is put right.
#[actix::test]
async fn a_redis_that_may_evict_is_refused_while_it_runs_and_at_the_start() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(5).await;
    store.hand_out();
    for policy in ["allkeys-lru", "volatile-ttl"] {
        store.redis.cli(&["CONFIG", "SET", "maxmemory-policy", policy]);
        let evicting = ShippingFault::Evicting(policy.to_owned());
        assert_eq!(store.shipment.trim(), Err(evicting.clone()));
        assert_eq!(store.shipment.ship(), Err(evicting), "it connects anew");
        store.redis.cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        store.hand_out();
        assert_eq!(store.shipment.trim(), Ok(()));
    }
}

/// A server on a copy of the data directory has the same epoch. Where `meta` was lost, it takes the streams.
#[actix::test]
async fn another_start_under_the_same_epoch_replaces_this_one() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(5).await;
    store.hand_out();
    let mut another = Handed::shipment(&server, &store.redis, 5_000_000, 0);
    let epoch = server.writer.meta().writer_epoch;
    let replaced = ShippingFault::Replaced { ours: epoch, theirs: epoch };
    assert_eq!(another.ship(), Err(replaced.clone()), "whoever comes first keeps them");
    store.redis.cli(&["DEL", "evenkeel:{main}:meta"]);
    another.ship().unwrap();
    server.tick(1).await;
    assert_eq!(store.shipment.ship(), Err(replaced.clone()), "amid a batch");
    assert_eq!(store.shipment.ship(), Err(replaced), "and when it connects anew");
    another.ship().unwrap();
}

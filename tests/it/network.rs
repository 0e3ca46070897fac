//! The way to Redis is cut at every byte of a batch, and of its answer: each entry arrives exactly once.

use std::time::Duration;

use evenkeel_actors::stores::redis::{Keys, RedisReader, Shipment, ShipmentSettings};
use evenkeel_core::{
    journal::{EntryId, Stream},
    units::lengths::Lengths,
};
use uuid::Uuid;

use crate::support::{
    journal::Server,
    proxy::{Proxy, Way},
    redis::Redis,
};

async fn cut_at_every_byte(way: Way) {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let mut server = Server::new();
    let keys = Keys::new("evenkeel", "main").unwrap();
    let meta = server.writer.meta().clone();
    let settings = ShipmentSettings {
        target: Redis::url_at("server", proxy.address).parse().unwrap(),
        keys: keys.clone(),
        journal: meta.journal,
        writer_epoch: meta.writer_epoch,
        writer: Uuid::new_v4(),
        label: meta.identity.label,
        lengths: Lengths::default(),
        age_max: Duration::from_hours(24),
        entries_max: 5_000_000,
    };
    let mut shipment = Shipment::new(settings, &server.dir()).unwrap();
    server.tick(3).await;
    shipment.ship().unwrap();
    let mut cuts = 0;
    // Ticks have batches of different lengths: when none of so many in a row was cut, all have been.
    let mut whole_in_a_row = 0;
    for bytes in 0.. {
        server.tick(1).await;
        proxy.cut_after(way, bytes);
        let shipped = shipment.ship();
        if proxy.disarm() {
            cuts += 1;
            whole_in_a_row = 0;
        } else {
            whole_in_a_row += 1;
        }
        // A cut after the last byte of an answer is noticed by the next batch only.
        let mut arrived = shipped.is_ok();
        for _ in 0..3 {
            arrived = arrived || shipment.ship().is_ok();
        }
        assert!(arrived, "{way:?}, byte {bytes}: it does not go on");
        if whole_in_a_row == 20 {
            break;
        }
    }
    assert!(cuts > 200, "{cuts} cuts are fewer than a batch or its answer has bytes");
    println!("{way:?}: {cuts} cuts");
    let mut reader = RedisReader::open(&redis.url("inspection").parse().unwrap(), keys).unwrap();
    let recorded = server.recorded();
    for stream in Stream::ALL {
        let found = reader.after(stream, EntryId::default(), 1_000_000).unwrap();
        let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, recorded[stream]);
    }
}

#[actix::test]
async fn a_batch_that_is_cut_at_any_byte_arrives_once() {
    cut_at_every_byte(Way::There).await;
}

#[actix::test]
async fn a_batch_whose_answer_is_cut_at_any_byte_arrives_once() {
    cut_at_every_byte(Way::Back).await;
}

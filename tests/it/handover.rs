//! A client that ends leaves slots for what waits to the server, frees the lease, and is never kept from ending.

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::journal::{Record, Stream};

use crate::support::{
    World,
    pair::Pair,
    three::{Three, terminated},
    wait_until,
};

/// Ticks until enough is learned for executions to be held: six seconds.
const LEARNING: u64 = 600;
/// Ends that are tried: at one of them nothing may be left but what the last plan had placed already.
const ENDS: usize = 5;

/// The `x10` load at 100 ticks a second, levelled.
fn three() -> Three {
    let three = Three::start(Pair::new(World::new("fast", &["--seed", "5"])));
    three.settle();
    wait_until("enough is learned", || three.pair.told() > LEARNING);
    three
}

/// Executions that ran in a slot which an ended leader had left.
fn left(three: &Three) -> usize {
    let reader = OutboxReader::open(&three.pair.world.data_dir()).unwrap();
    let entries = reader.tail(Stream::Executions, 10_000).unwrap();
    let in_such =
        |record: &Record| matches!(record, Record::Executed(of) if of.reason.contains("left this slot"));
    entries.iter().filter(|entry| in_such(&entry.record)).count()
}

#[test]
fn who_ends_leaves_slots_and_the_lease_and_a_standby_plans_on() {
    let mut three = three();
    for _ in 0..ENDS {
        let (status, _) = terminated(three.client.take().unwrap());
        assert!(status.success(), "{}", three.pair.said());
        let lease = || three.server().get("/readyz").json()["lease"].clone();
        wait_until("the lease is free", || lease()["lives"] == false);
        three.pair.world.goes_on(500);
        three.client = Some(three.pair.start_client());
        three.settle();
        if left(&three) > 0 {
            break;
        }
    }
    assert!(left(&three) > 0, "nothing ran in a slot that was left\n{}", three.pair.said());
    let standby = three.pair.start_client();
    let role = || standby.get("/readyz").json()["role"].as_str().map(str::to_owned);
    wait_until("another one stands by", || role().as_deref() == Some("standing by"));
    assert!(terminated(three.client.take().unwrap()).0.success(), "{}", three.pair.said());
    wait_until("the other one levels", || role().as_deref() == Some("levelling"));
    three.client = Some(standby);
    three.end().assert_verified();
}

/// The process itself says with its exit code whether its end took too long.
#[test]
fn a_server_that_stands_still_keeps_no_client_from_ending() {
    let mut three = three();
    three.server().signal("STOP");
    let (status, _) = terminated(three.client.take().unwrap());
    three.server().signal("CONT");
    assert!(status.success(), "{status}\n{}", three.pair.said());
    three.client = Some(three.pair.start_client());
    three.end().assert_verified();
}

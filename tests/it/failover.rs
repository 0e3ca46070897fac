//! Redis fails over to a replica that is behind, answers as a replica, or has got other passwords: said
//! clearly, and all of it arrives when it is over.

use std::time::Duration;

use crate::support::{
    self, World,
    pair::Pair,
    pause,
    proxy::Proxy,
    redis::Redis,
    three::{Three, assert_state_is_the_fold},
    wait_until,
};

fn three() -> Three {
    let world = World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "14"]);
    let mut pair = Pair::new(world);
    pair.way = Some(Proxy::start(pair.redis.address()));
    let three = Three::start(pair);
    three.settle();
    three
}

/// Waits until the server says this about Redis, while it is ready.
fn says(three: &Three, what: &str) {
    let mut said = String::new();
    wait_until(&format!("the server says `{what}`"), || {
        let ready = three.server().get("/readyz");
        said.clone_from(&ready.body);
        ready.status == 200 && said.contains(what)
    });
    println!("{said}");
}

fn ends_well(three: Three) {
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn a_stale_replica_takes_over_and_gets_what_it_lacks_under_the_same_ids() {
    let three = three();
    let mut replica = Redis::start();
    let port = three.pair.redis.address().port().to_string();
    replica.cli(&["CONFIG", "SET", "masteruser", "admin"]);
    replica.cli(&["CONFIG", "SET", "masterauth", support::redis::PASSWORD]);
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]);
    wait_until("the replica follows", || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up")
    });
    // It falls behind: seconds of entries, acknowledgements and states never reach it.
    let told = three.pair.told();
    replica.cli(&["CONFIG", "SET", "masterauth", "wrong"]);
    replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    wait_until("much happens without it", || three.pair.told() > told + 200);
    let mut three = three;
    three.pair.redis.kill();
    // A failover that is half done: it is there, and does not write yet.
    three.pair.way.as_ref().unwrap().lead_to(replica.address());
    says(&three, "Redis is not the master");
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    std::mem::swap(&mut three.pair.redis, &mut replica);
    three.settle();
    ends_well(three);
}

#[test]
fn a_redis_that_loads_for_seconds_is_waited_for() {
    let mut three = three();
    wait_until("there is much to load", || three.pair.told() > 300);
    three.pair.redis.kill();
    // Microseconds that each command of its file takes to load.
    three.pair.redis.start_with(&["--key-load-delay", "500"]);
    says(&three, "it is loading its data");
    three.settle();
    ends_well(three);
}

#[test]
fn other_passwords_are_said_and_the_right_ones_let_it_go_on() {
    let three = three();
    for user in ["server", "client"] {
        three.pair.redis.change_password(user, false);
    }
    says(&three, "Redis refuses");
    pause(Duration::from_secs(1));
    for user in ["server", "client"] {
        three.pair.redis.change_password(user, true);
    }
    three.settle();
    ends_well(three);
}

//! The way to Redis is there and bad: one-way partitions, flapping, latency, a narrow line. Queries run and are recorded all
//! the while, nothing comes twice, memory stays bounded, and all has arrived soon after.
//!
//! `EVENKEEL_LONG=1 cargo test --test it alone::weather` takes the times of the fault matrix: a quarter of an hour.

use std::time::{Duration, Instant};

use crate::support::{
    World,
    pair::Pair,
    pause,
    proxy::{Proxy, Way},
    three::{Three, assert_state_is_the_fold},
};

/// What a server of this size may take: it had 23 MB after 92 s without Redis at 1,500 executions a second.
const RESIDENT_KB_MAX: u64 = 200_000;

/// The matrix' time, or a short one.
fn time(short_secs: u64, long_secs: u64) -> Duration {
    Duration::from_secs(if std::env::var_os("EVENKEEL_LONG").is_some() { long_secs } else { short_secs })
}

fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Rows of the database's own record.
fn ran(pair: &Pair) -> usize {
    std::fs::read_to_string(pair.world.truth()).unwrap_or_default().lines().count()
}

/// Its name, how long it lasts, and what makes it.
type Weather<'a> = (&'a str, Duration, &'a dyn Fn(Duration));

#[test]
fn a_bad_way_to_redis_costs_time_and_nothing_else() {
    let _alone = super::alone();
    let world = World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "10"]);
    let mut pair = Pair::new(world);
    let way = Proxy::start(pair.redis.address());
    pair.way = Some(way);
    let three = Three::start(pair);
    three.settle();
    let way = three.pair.way.as_ref().unwrap();
    let weathers: [Weather<'_>; 5] = [
        ("nothing gets there", time(6, 60), &|time| one_way(way, Way::There, time)),
        ("nothing comes back", time(6, 60), &|time| one_way(way, Way::Back, time)),
        ("flapping once a second", time(8, 600), &|time| flap(way, time)),
        ("200 ms each way", time(8, 60), &|time| {
            way.slow_down(200);
            pause(time);
            way.slow_down(0);
        }),
        ("64 kbit/s", time(8, 60), &|time| {
            way.narrow(Some(8_000));
            pause(time);
            way.narrow(None);
        }),
    ];
    for (name, time, weather) in weathers {
        let before = ran(&three.pair);
        weather(time);
        let meanwhile = ran(&three.pair) - before;
        assert!(meanwhile > 100, "{name}: {meanwhile} executions in {time:?}");
        let again = Instant::now();
        three.settle();
        let resident = resident_kb(three.server().pid());
        assert!(resident < RESIDENT_KB_MAX, "{name}: the server has {resident} kB");
        let drained = again.elapsed().as_secs_f32();
        println!("{name} for {time:?}: {meanwhile} executions, all well {drained:.1} s after, {resident} kB");
    }
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

fn one_way(proxy: &Proxy, way: Way, time: Duration) {
    proxy.hold_up(way, true);
    pause(time);
    proxy.hold_up(way, false);
}

fn flap(proxy: &Proxy, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        proxy.refuse(true);
        pause(Duration::from_millis(500));
        proxy.refuse(false);
        pause(Duration::from_millis(500));
    }
}

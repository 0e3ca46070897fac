//! Client, server or Redis stands still for a while, as on a machine that swaps or a virtual one that is moved. Nothing of
//! what was on its way comes twice; the lease of a client that stands still ends, and what it held leaves without a peak.
//!
//! `EVENKEEL_LONG=1 cargo test --test it alone::stopped` takes the minute of the fault matrix.

use std::time::Duration;

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::{
    journal::{Record, Stream},
    units::window::Window,
};

use crate::support::{
    World, output,
    pair::Pair,
    pause,
    three::{Three, assert_state_is_the_fold},
    wait_until,
};

const TICK_MS: u64 = 10;
/// Of the windows that count towards a minute's mean.
const MINUTE: usize = 60;
/// What a minute's largest tick may be of its mean.
const PEAK_MAX: f64 = 2.0;

fn windows(three: &Three) -> Vec<Window> {
    let reader = OutboxReader::open(&three.pair.world.data_dir()).unwrap();
    let entries = reader.tail(Stream::Windows, usize::MAX).unwrap();
    let windows = entries.into_iter().map(|entry| match entry.record {
        Record::Window(window) => window,
        other => panic!("{other:?} among the windows"),
    });
    windows.collect()
}

/// The largest tick of each resource, as a multiple of the mean tick of the minute that ends with it; the greatest of them.
fn peak(windows: &[Window]) -> f64 {
    let peaks = windows.windows(MINUTE).flat_map(|minute| {
        let of = |number: fn(&Window) -> (u64, u64)| {
            let (averages, largest): (Vec<_>, Vec<_>) = minute.iter().map(number).unzip();
            let mean = averages.iter().sum::<u64>() as f64 / averages.len() as f64;
            largest.into_iter().max().unwrap_or(0) as f64 / mean
        };
        [
            of(|window| (window.usage.cpu.average, window.usage.cpu.max)),
            of(|window| (window.usage.io.average, window.usage.io.max)),
            of(|window| (window.usage.memory.average, window.usage.memory.max)),
        ]
    });
    peaks.fold(0.0, f64::max)
}

#[test]
fn whoever_stands_still_for_a_while_repeats_nothing_and_leaves_no_peak() {
    let _alone = super::alone();
    let time = Duration::from_secs(if std::env::var_os("EVENKEEL_LONG").is_some() { 60 } else { 5 });
    let world = World::with_parameters(&format!("rate = 8.0\ntick_ms = {TICK_MS}\n"), &["--seed", "7"]);
    let three = Three::start(Pair::new(world));
    three.settle();
    // A minute of levelling, so that there is something that is held.
    let told = three.pair.told();
    wait_until("a minute has passed", || three.pair.told() > told + 10 * MINUTE as u64);
    for name in ["client", "redis", "server"] {
        let begun = windows(&three).len();
        let signal = |signal| match name {
            "client" => three.client().signal(signal),
            "server" => three.server().signal(signal),
            _ => three.pair.redis.signal(signal),
        };
        signal("STOP");
        if name != "server" {
            pause(time / 2);
            assert_eq!(
                three.server().get("/readyz").status,
                200,
                "the {name} stands still, the server serves"
            );
            assert!([200, 204].contains(&three.server().get("/queued").status));
        }
        pause(if name == "server" { time } else { time / 2 });
        signal("CONT");
        three.settle();
        wait_until("a minute has passed", || windows(&three).len() > begun + MINUTE + 10);
        let seen = windows(&three);
        let peak = peak(&seen[begun.saturating_sub(MINUTE)..]);
        println!("{name} stood still for {time:?}: the largest tick is {peak:.2} times its minute's mean");
        assert!(peak <= PEAK_MAX, "{name}: {peak}");
        let beside = output(&["journal", "verify", "--redis", &three.pair.redis.url("inspection")]);
        assert_eq!(beside.status.code(), Some(0), "{}", String::from_utf8_lossy(&beside.stdout));
    }
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

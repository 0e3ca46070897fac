//! Killed, stopped and started again over real processes: nothing is lost, nothing is learned anew.

mod support;

use std::time::{Duration, Instant};

use support::{World, output, pause, text, wait_until};

/// The x10 load at 100 ticks a second: much happens in little time.
fn world() -> World {
    World::new("fast", &["--seed", "5"])
}

#[test]
fn killed_at_random_instants_it_goes_on_and_nothing_is_lost() {
    let world = world();
    // Odd times, so that kills fall anywhere in a tick and into starts.
    for life_ms in [1_500, 40, 330, 90, 700, 15, 1_100, 250, 60, 900] {
        let running = world.start();
        pause(Duration::from_millis(life_ms));
        running.kill();
        world.assert_verified();
    }
    let running = world.start();
    running.wait_until_ready();
    running.kill();
    world.assert_verified();
}

#[test]
fn what_was_learned_is_there_again_after_a_kill() {
    let world = world();
    let running = world.start();
    // Snapshots are written every 5 s.
    wait_until("a snapshot is written", || {
        pause(Duration::from_millis(500));
        world.data_dir().read_dir().is_ok_and(|files| {
            files.flatten().any(|file| file.file_name().to_string_lossy().contains("snapshot"))
        })
    });
    running.kill();
    let before = stat(&world);
    let running = world.start();
    running.wait_until_ready();
    running.kill();
    let after = stat(&world);
    assert!(last_tick(&after) > last_tick(&before), "{before}\n{after}");
    world.assert_verified();
}

fn stat(world: &World) -> serde_json::Value {
    let stat = output(&["journal", "stat", "--json", "--data-dir", text(&world.data_dir())]);
    assert_eq!(stat.status.code(), Some(0), "{}", String::from_utf8_lossy(&stat.stderr));
    serde_json::from_slice(&stat.stdout).unwrap()
}

fn last_tick(stat: &serde_json::Value) -> u64 {
    stat["next_tick"].as_u64().unwrap_or_else(|| panic!("{stat}"))
}

#[test]
fn sigterm_ends_it_in_order_within_ten_seconds() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    let begun = Instant::now();
    running.signal("TERM");
    let (status, printed) = running.wait();
    assert_eq!(status.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "whoever sent it waits that long");
    assert!(printed.iter().any(|line| line.contains("enforce")), "{printed:?}");
    world.assert_verified();
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let world = world();
    let running = world.start();
    let second = world.command().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another evenkeel"), "{said}");
    running.wait_until_ready();
}

#[test]
fn another_scenario_or_seed_on_the_same_data_is_refused_by_name() {
    let world = world();
    world.start().kill();
    let data_dir = world.data_dir();
    let seed_6 = ["run", "--scenario", "fast", "--seed", "6", "--listen", "127.0.0.1:0", "--data-dir"];
    let other = output(&[&seed_6[..], &[text(&data_dir)]].concat());
    assert_eq!(other.status.code(), Some(2));
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("seed 5") && said.contains("seed 6"), "{said}");
}

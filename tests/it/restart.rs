//! Killed, stopped and started again over real processes: nothing is lost, nothing is learned anew.

use std::time::{Duration, Instant, SystemTime};

use evenkeel_actors::stores::file::snapshot::SnapshotStore;
use evenkeel_core::leveller::ClientState;

use crate::support::{World, fake_clock, fold, output, pause, start, text, wait_until};

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
    // Beside the running server, without the truth: that file is ahead of what verify has read by then.
    let beside = output(&["journal", "verify", "--data-dir", text(&world.data_dir())]);
    assert_eq!(beside.status.code(), Some(0), "{}", String::from_utf8_lossy(&beside.stdout));
    running.kill();
    world.assert_verified();
}

#[test]
fn what_was_learned_is_exactly_the_fold_over_the_journal_before_and_after_a_kill() {
    let world = world();
    for _ in 0..2 {
        let running = world.start();
        let saved = newest_snapshot(&world);
        // Written every 5 s.
        wait_until("a snapshot is written", || {
            pause(Duration::from_millis(200));
            newest_snapshot(&world) > saved
        });
        running.kill();
        let state = client_state(&world);
        let folded = fold(&world, state.positions);
        assert_eq!(postcard::to_stdvec(&state).unwrap(), postcard::to_stdvec(&folded).unwrap());
        assert!(state.estimator.estimates().iter().count() > 90, "most of the 100 queries have been seen");
    }
    world.assert_verified();
}

fn newest_snapshot(world: &World) -> Option<SystemTime> {
    let files = world.data_dir().read_dir().ok()?.flatten();
    let snapshots = files.filter(|file| file.file_name().to_string_lossy().contains("snapshot"));
    snapshots.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

fn client_state(world: &World) -> ClientState {
    let loaded = SnapshotStore::open(&world.data_dir()).unwrap().load().unwrap();
    let (_, bytes) = loaded.snapshot.unwrap();
    postcard::from_bytes(&bytes).unwrap()
}

#[test]
fn sigterm_ends_it_in_order_within_ten_seconds() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    // Long enough for a line of results.
    pause(Duration::from_millis(1_500));
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
    let second = world.command("run").args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another evenkeel"), "{said}");
    running.wait_until_ready();
}

#[test]
fn a_server_whose_lock_file_was_swept_away_gives_way_to_the_next_and_verify_names_the_tick() {
    let world = world();
    let first = world.start();
    first.wait_until_ready();
    world.goes_on(50);
    std::fs::remove_file(world.data_dir().join("outbox.lock")).unwrap();
    let second = world.start();
    let (status, _) = first.wait();
    assert_eq!(status.code(), Some(1));
    let said = std::fs::read_to_string(world.path("stderr.txt")).unwrap();
    assert!(said.contains("another evenkeel has begun to write this journal"), "{said}");
    second.wait_until_ready();
    let begun = next_tick(&world);
    wait_until("the second one ticks", || next_tick(&world) > begun + 30);
    second.signal("TERM");
    assert_eq!(second.wait().0.code(), Some(0));

    let verified = output(&["journal", "verify", "--data-dir", text(&world.data_dir())]);
    let out = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(3), "{out}");
    let wrong: Vec<_> = out.lines().filter(|line| line.starts_with("wrong:")).collect();
    let tick = journal_stat(&world)["starts"][1]["first_tick"].as_u64().unwrap() - 1;
    assert!(wrong.len() == 1 && wrong[0].contains(&format!("at tick {tick} may have run twice")), "{out}");
    // By the database's own record, nothing but that tick's batch ran twice.
    let rows = std::fs::read_to_string(world.truth()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let twice: Vec<_> = rows.lines().filter(|row| !seen.insert(*row)).collect();
    assert!(twice.iter().all(|row| row.starts_with(&format!("{tick} "))), "{twice:?}");
}

#[test]
fn another_name_on_the_same_data_is_refused() {
    let world = world();
    world.start().kill();
    let other = world.command("run").args(["--listen", "127.0.0.1:0", "--name", "other"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(said.contains("belongs to the database `main`") && said.contains("--name main"), "{said}");
}

fn journal_stat(world: &World) -> serde_json::Value {
    let stat = output(&["journal", "stat", "--json", "--data-dir", text(&world.data_dir())]);
    serde_json::from_slice(&stat.stdout).unwrap()
}

fn next_tick(world: &World) -> u64 {
    journal_stat(world)["next_tick"].as_u64().unwrap()
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

#[test]
fn a_clock_that_once_ran_ahead_erases_nothing_and_leaves_a_way_on() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    world.goes_on(100);
    running.kill();

    let mut ahead = world.command("run");
    ahead.args(["--listen", "127.0.0.1:0"]);
    fake_clock(&mut ahead).env("FAKETIME", "+3d");
    let running = start(ahead, &world.path("stderr.txt"));
    running.wait_until_ready();
    wait_until("it is told", || {
        running.get("/readyz").json()["degraded"].to_string().contains("72 h ahead of the last entry")
    });
    // After a snapshot what is too old is removed; the second one shows that this has been done after the first.
    for _ in 0..2 {
        let saved = newest_snapshot(&world);
        wait_until("a snapshot is written", || {
            pause(Duration::from_millis(200));
            newest_snapshot(&world) > saved
        });
    }
    running.kill();
    let from_the_beginning = || {
        let verified = world.verify();
        let out = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(verified.status.code() == Some(0) && out.contains("proved ticks 0 to"), "{out}");
    };
    from_the_beginning();

    let refused = world.command("run").args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--clock-was-wrong"), "{said}");
    for flags in [&["--clock-was-wrong"][..], &[]] {
        let mut right = world.command("run");
        right.args(["--listen", "127.0.0.1:0"]).args(flags);
        let running = start(right, &world.path("stderr.txt"));
        running.wait_until_ready();
        wait_until("it is told", || {
            running.get("/readyz").json()["degraded"].to_string().contains("behind the last entry")
        });
        world.goes_on(100);
        running.kill();
    }
    from_the_beginning();
}

#[test]
fn a_clock_that_is_set_back_keeps_the_order_and_is_told() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    running.kill();
    for offset in ["-1h", "+1h", "-5s", "+0 x0.5"] {
        let mut real = world.command("run");
        real.args(["--listen", "127.0.0.1:0"]);
        fake_clock(&mut real).env("FAKETIME", offset);
        let running = start(real, &world.path("stderr.txt"));
        running.wait_until_ready();
        if offset == "-1h" {
            wait_until("it is told", || {
                running.get("/readyz").json()["degraded"].to_string().contains("clock")
            });
        }
        let begun = next_tick(&world);
        wait_until("it ticks", || next_tick(&world) > begun + 30);
        running.kill();
        world.assert_verified();
    }
}

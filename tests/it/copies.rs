//! A data directory that is older than what ran: put back by whatever means, it runs nothing a second time.

use std::{collections::BTreeSet, fs, path::Path, process::Output};

use crate::support::{World, output, pair::Pair, text, three::Three, wait_until};

fn world() -> World {
    World::new("fast", &["--seed", "5"])
}

#[track_caller]
fn answered(output: &Output, code: i32, expected: &str) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "{said}");
}

/// No execution stands twice in what the database really ran.
#[track_caller]
fn assert_each_once(truth: &Path) {
    let text = fs::read_to_string(truth).unwrap();
    let whole = text.lines().filter(|line| text.ends_with('\n') || !text.ends_with(line));
    let mut ids = BTreeSet::new();
    for line in whole {
        let id = line.split([',', ' ', '\t']).find(|word| word.len() == 36).unwrap();
        assert!(ids.insert(id.to_owned()), "{id} ran twice");
    }
    assert!(ids.len() > 100);
}

#[test]
fn an_embedded_journal_is_backed_up_beside_its_server_and_goes_on_behind_a_named_gap() {
    let world = world();
    let running = world.start();
    running.wait_until_ready();
    let (data_dir, copy) = (world.data_dir(), world.path("copy"));
    let (dir, file) = (text(&data_dir), text(&copy));
    answered(&output(&["journal", "backup", "--data-dir", dir, "--to", file]), 0, "holds journal");
    answered(&output(&["journal", "backup", "--data-dir", dir, "--to", file]), 2, "exists");
    wait_until("more has run", || {
        running.get("/api/v1/status").status == 200 && fs::metadata(world.truth()).unwrap().len() > 20_000
    });
    running.kill();
    answered(&output(&["journal", "restore", "--from", file, "--data-dir", dir]), 2, "not empty");
    answered(&output(&["journal", "adopt", "--data-dir", dir]), 2, "journal restore");
    fs::remove_dir_all(&data_dir).unwrap();
    answered(&output(&["journal", "restore", "--from", file, "--data-dir", dir]), 0, "journal adopt");
    let refused = world.command("run").args(["--listen", "127.0.0.1:0"]).output().unwrap();
    answered(&refused, 1, "journal adopt");
    answered(&output(&["journal", "adopt", "--data-dir", dir]), 0, "goes on after a gap");
    let running = world.start();
    running.wait_until_ready();
    wait_until("windows close", || {
        let verified = output(&["journal", "verify", "--data-dir", dir]);
        String::from_utf8_lossy(&verified.stdout).contains("proved ticks")
    });
    running.kill();
    answered(&output(&["journal", "verify", "--data-dir", dir]), 0, "put back from a copy");
    assert_each_once(&world.truth());
}

#[test]
fn redis_shows_that_a_data_directory_is_an_older_copy_and_the_server_is_refused_until_it_is_adopted() {
    let pair = Pair::new(world());
    let (data_dir, copy) = (pair.world.data_dir(), pair.world.path("copy"));
    let server = pair.start_server();
    wait_until("there is something to copy", || pair.told() > 120);
    server.kill();
    // By whatever means: a snapshot of the volume, say.
    copy_dir(&data_dir, &copy);
    let server = pair.start_server();
    wait_until("it has gone on", || pair.told() > 400);
    server.kill();
    let told = pair.told();
    fs::remove_dir_all(&data_dir).unwrap();
    copy_dir(&copy, &data_dir);
    // As often as somebody tries.
    for _ in 0..3 {
        let refused = pair.second_server();
        answered(&refused, 1, "older copy");
        answered(&refused, 1, "journal adopt");
    }
    assert_eq!(pair.told(), told, "nothing was mixed with what Redis has");
    let url = pair.redis.url("server");
    let adopt = ["journal", "adopt", "--redis", &url, "--data-dir", text(&data_dir)];
    answered(&output(&adopt), 0, "goes on after a gap");
    answered(&output(&adopt), 1, "nothing to adopt");
    let three = Three::start(pair);
    wait_until("it goes on", || three.pair.told() > told + 300);
    let pair = three.end();
    assert_each_once(&pair.world.truth());
    answered(&output(&["journal", "verify", "--data-dir", text(&data_dir)]), 0, "put back from a copy");
    let url = pair.redis.url("inspection");
    answered(&output(&["journal", "verify", "--redis", &url]), 0, "another journal was continued");
    assert_eq!(pair.redis.cli(&["HLEN", "evenkeel:{main}:dead"]), "0");
}

#[test]
fn a_backup_of_a_server_is_restored_and_adopted_beside_its_streams() {
    let pair = Pair::new(world());
    let (data_dir, copy) = (pair.world.data_dir(), pair.world.path("copy"));
    let server = pair.start_server();
    wait_until("there is something to copy", || pair.told() > 120);
    let (dir, file) = (text(&data_dir), text(&copy));
    answered(&output(&["journal", "backup", "--data-dir", dir, "--to", file, "--json"]), 0, "next_tick");
    wait_until("it has gone on", || pair.told() > 300);
    server.kill();
    let told = pair.told();
    fs::remove_dir_all(&data_dir).unwrap();
    answered(&output(&["journal", "restore", "--from", file, "--data-dir", dir]), 0, "verified");
    answered(&pair.second_server(), 1, "put back from a copy");
    let url = pair.redis.url("server");
    answered(&output(&["journal", "adopt", "--redis", &url, "--data-dir", dir]), 0, "goes on after a gap");
    let server = pair.start_server();
    wait_until("it goes on", || pair.told() > told + 100);
    server.kill();
    assert_each_once(&pair.world.truth());
    answered(&output(&["journal", "verify", "--data-dir", dir]), 0, "put back from a copy");
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

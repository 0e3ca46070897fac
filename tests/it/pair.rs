//! Server, client and Redis as processes of their own: killed, stopped and started again, alone and together.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::journal::{Record, Stream};

use crate::support::{
    Running, World, fold, output,
    pair::Pair,
    pause,
    three::{Fault, Three, assert_state_is_the_fold, dice, state_in_redis, terminated},
    wait_until,
};

/// Rounds of the long test; each kills or stops one to three of the three.
const ROUNDS: u32 = 100;

/// The x10 load at 100 ticks a second: much happens in little time.
fn pair() -> Pair {
    Pair::new(World::new("fast", &["--seed", "5"]))
}

#[test]
fn whatever_is_killed_or_stopped_nothing_is_lost_and_the_client_knows_exactly_what_the_journal_says() {
    let mut dice = dice(RandomState::new().hash_one("dice"));
    let mut three = Three::start(pair());
    for round in 1..=ROUNDS {
        pause(Duration::from_millis(20 + dice.roll(380)));
        let fault = [Fault::Kill, Fault::Kill, Fault::Terminate, Fault::Stop][dice.roll(4) as usize];
        let victims = 1 + dice.roll(7);
        let victims = [1, 2, 4].map(|bit| victims & bit != 0);
        let away = if fault == Fault::Stop { 100 + dice.roll(900) } else { dice.roll(200) };
        three.suffer(fault, victims, Duration::from_millis(away));
        if round % 25 == 0 {
            three.settle();
            let url = three.pair.redis.url("inspection");
            let beside = output(&["journal", "verify", "--redis", &url]);
            let said = String::from_utf8_lossy(&beside.stdout);
            assert_eq!(beside.status.code(), Some(0), "round {round}: {said}\n{}", three.pair.said());
        }
    }
    let pair = three.end();
    pair.assert_verified();
    let state = assert_state_is_the_fold(&pair);
    assert!(state.estimator.estimates().iter().count() > 90, "most of the 100 queries have been seen");
}

#[test]
fn a_second_client_takes_over_and_the_first_one_woken_again_changes_nothing() {
    let pair = pair();
    let server = pair.start_server();
    let first = pair.start_client();
    let role = |client: &Running| client.get("/readyz").json()["role"].as_str().map(str::to_owned);
    wait_until("the first one levels", || role(&first).as_deref() == Some("levelling"));
    let second = pair.start_client();
    wait_until("the second one stands by", || role(&second).as_deref() == Some("standing by"));
    first.signal("STOP");
    wait_until("the second one levels", || role(&second).as_deref() == Some("levelling"));
    first.signal("CONT");
    wait_until("the first one stands by", || role(&first).as_deref() == Some("standing by"));
    let epoch = pair.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]);
    pause(Duration::from_millis(500));
    assert_eq!(role(&second).as_deref(), Some("levelling"));
    assert_eq!(pair.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]), epoch, "nobody took it since");
    // One that ends in order frees the lease at once.
    assert!(terminated(second).0.success());
    wait_until("the first one levels again", || role(&first).as_deref() == Some("levelling"));
    let three = Three { pair, server: Some(server), client: Some(first) };
    let pair = three.end();
    pair.assert_verified();
    let state = state_in_redis(&pair);
    let folded = fold(&pair.world, state.positions);
    assert!(postcard::to_stdvec(&state).unwrap() == postcard::to_stdvec(&folded).unwrap());
}

/// Share of windows in the corridor among the last `windows`.
fn share(pair: &Pair, windows: usize) -> f64 {
    let reader = OutboxReader::open(&pair.world.data_dir()).unwrap();
    let entries = reader.tail(Stream::Windows, windows).unwrap();
    let level =
        entries.iter().filter(|entry| matches!(&entry.record, Record::Window(window) if window.in_corridor));
    level.count() as f64 / entries.len() as f64
}

#[test]
fn a_restarted_client_levels_on_with_what_it_had_learned() {
    let pair = Pair::new(World::with_parameters("rate = 10.0\ntick_ms = 40\n", &["--seed", "7"]));
    let mut three = Three::start(pair);
    // Costs are known after some hundred ticks; without levelling no window is level. A machine that is busy
    // with other tests costs some of them, so this is far below what levelling reaches.
    wait_until("it levels", || share(&three.pair, 30) > 0.6);
    for victims in [[false, true, false], [true, false, false], [false, false, true], [true, true, true]] {
        three.suffer(Fault::Kill, victims, Duration::from_millis(50));
        three.settle();
        let told = three.pair.told();
        // Learning anew would take ten times as long.
        wait_until("it levels again", || three.pair.told() > told + 50 && share(&three.pair, 5) > 0.5);
        let took = three.pair.told() - told;
        assert!(took < 250, "{victims:?}: {took} ticks after a restart\n{}", three.pair.said());
    }
    three.end().assert_verified();
}

#[test]
fn what_redis_loses_is_sent_again_under_the_same_ids() {
    let three = Three::start(pair());
    three.settle();
    let stream = "evenkeel:{main}:executions";
    wait_until("there are fifty", || {
        three.pair.redis.cli(&["XLEN", stream]).parse().is_ok_and(|length: u32| length >= 50)
    });
    let first_fifty = || three.pair.redis.cli(&["XRANGE", stream, "-", "+", "COUNT", "50"]);
    let before = first_fifty();
    three.pair.redis.cli(&["FLUSHALL"]);
    wait_until("the streams are back, ids and fields", || first_fifty() == before);
    three.settle();
    three.pair.redis.cli(&["DEL", "evenkeel:{main}:queue"]);
    three.pair.redis.cli(&["XGROUP", "DESTROY", "evenkeel:{main}:executions", "scheduler"]);
    let told = three.pair.told();
    wait_until("it goes on", || three.pair.told() > told + 200);
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn whatever_is_done_to_the_group_while_no_client_lives_the_next_one_reads_everything() {
    let mut three = Three::start(pair());
    three.settle();
    for command in [
        &["XGROUP", "DELCONSUMER", "", "scheduler", "scheduler"][..],
        &["XGROUP", "SETID", "", "scheduler", "$"],
        &["XGROUP", "DESTROY", "", "scheduler"],
    ] {
        three.client.take().unwrap().kill();
        let told = three.pair.told();
        wait_until("there is more to read", || three.pair.told() > told + 30);
        for stream in Stream::ALL {
            let key = format!("evenkeel:{{main}}:{stream}");
            let command: Vec<_> =
                command.iter().map(|word| if word.is_empty() { &key } else { *word }).collect();
            three.pair.redis.cli(&command);
        }
        three.client = Some(three.pair.start_client());
        three.settle();
        let told = three.pair.told();
        wait_until("it goes on", || three.pair.told() > told + 100);
    }
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn a_server_on_a_copy_of_the_data_directory_is_refused() {
    let pair = pair();
    pair.start_server().kill();
    let copy = World::new("fast", &["--seed", "5"]);
    std::fs::create_dir(copy.data_dir()).unwrap();
    for file in std::fs::read_dir(pair.world.data_dir()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.data_dir().join(file.file_name())).unwrap();
    }
    let server = pair.start_server();
    server.wait_until_ready();
    let mut command = copy.command("server");
    let url = pair.redis.url("server");
    let refused = command.args(["--redis", &url, "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    // Of this journal, where Redis has its later ticks already; else of this data directory.
    assert!(said.contains("copy of this"), "{said}");
}

#[test]
fn a_calm_life_has_no_gap_and_no_warning() {
    let three = Three::start(pair());
    three.settle();
    let told = three.pair.told();
    // Longer than a lease is renewed in, and than a state is kept unsaved.
    wait_until("five seconds have passed", || three.pair.told() > told + 600);
    let pair = three.end();
    let said = pair.said();
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    pair.assert_verified();
}

#[test]
fn a_redis_that_hangs_is_told_and_costs_nothing_but_lag() {
    let three = Three::start(pair());
    three.settle();
    three.pair.redis.signal("STOP");
    wait_until("it is told", || {
        let ready = three.server().get("/readyz");
        ready.status == 200 && ready.json()["degraded"].to_string().contains("does not answer")
    });
    let waiting = three.server().get("/queued");
    assert!([200, 204].contains(&waiting.status), "the API does not wait for Redis");
    three.pair.redis.signal("CONT");
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn a_full_redis_takes_nothing_in_part_and_goes_on_when_there_is_room() {
    let three = Three::start(pair());
    three.settle();
    three.pair.redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    wait_until("it is told", || three.server().get("/readyz").json()["degraded"].to_string().contains("OOM"));
    three.pair.redis.cli(&["CONFIG", "SET", "maxmemory", "1gb"]);
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn a_foreign_entry_stops_shipping_and_is_named_until_it_is_gone() {
    let three = Three::start(pair());
    three.settle();
    let stream = "evenkeel:{main}:windows";
    three.pair.redis.cli(&["XADD", stream, "9999999999999-0", "v", "1"]);
    let degraded = || three.server().get("/readyz").json()["degraded"].to_string();
    wait_until("the alarm is raised", || degraded().contains("9999999999999-0"));
    let told = three.pair.told();
    pause(Duration::from_millis(300));
    assert_eq!(three.pair.told(), told, "nothing is mixed with it");
    // As the README says: the stream is built anew, and what a client made of the stranger is acknowledged.
    three.pair.redis.cli(&["DEL", stream, "evenkeel:{main}:dead"]);
    let pair = three.end();
    pair.assert_verified();
}

#[test]
fn somebody_elses_streams_are_not_written_and_the_ways_out_are_named() {
    let pair = pair();
    pair.start_server().kill();
    let other = World::new("fast", &["--seed", "5"]);
    let mut command = other.command("server");
    let refused =
        command.args(["--redis", &pair.redis.url("server"), "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    for way in ["--name", "data directory", "journal adopt"] {
        assert!(said.contains(way), "{said}");
    }
}

#[test]
fn streams_whose_data_directory_is_gone_are_adopted_with_a_gap_that_is_told() {
    let pair = pair();
    let server = pair.start_server();
    wait_until("there is something to lose", || pair.told() > 120);
    let (url, data_dir) = (pair.redis.url("server"), pair.world.data_dir());
    let adopt = || output(&["journal", "adopt", "--redis", &url, "--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!(adopt().status.code(), Some(1), "the server is at work");
    server.kill();
    std::fs::remove_dir_all(&data_dir).unwrap();
    std::fs::remove_file(pair.world.truth()).unwrap();
    let mut command = pair.world.command("server");
    let refused = command.args(["--redis", &url, "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
    let ended = pair.told();
    let adopted = adopt();
    assert_eq!(adopted.status.code(), Some(0), "{}", String::from_utf8_lossy(&adopted.stderr));
    let three = Three::start(pair);
    wait_until("it goes on", || three.pair.told() > ended + 200);
    let pair = three.end();
    pair.assert_verified();
    let said = String::from_utf8_lossy(&pair.verify_redis().stdout).into_owned();
    assert!(said.contains("another journal was continued"), "{said}");
    assert_eq!(pair.redis.cli(&["HLEN", "evenkeel:{main}:dead"]), "0");
}

#[test]
fn without_redis_a_new_journal_is_not_begun_and_an_old_one_goes_on() {
    let mut pair = pair();
    pair.redis.kill();
    let mut command = pair.world.command("server");
    let refused =
        command.args(["--redis", &pair.redis.url("server"), "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    let url = pair.redis.url("client");
    let client = ["client", "--server", "http://127.0.0.1:1", "--redis", &url];
    assert_eq!(output(&client).status.code(), Some(4));
    pair.redis.restart();
    let server = pair.start_server();
    server.wait_until_ready();
    server.kill();
    pair.redis.kill();
    let server = pair.start_server();
    wait_until("it ticks without Redis", || server.get("/readyz").status == 200);
    wait_until("the lag is told", || {
        server.get("/readyz").json()["degraded"].to_string().contains("entries wait")
    });
    pair.redis.restart();
    wait_until("the lag is gone", || {
        !server.get("/readyz").json()["degraded"].to_string().contains("entries wait")
    });
    assert!(terminated(server).0.success());
    pair.assert_verified();
}

#[test]
fn wrong_words_on_the_command_line_are_answered_with_what_would_be_right() {
    for (arguments, expected) in [
        (&["server"][..], "--redis"),
        (&["server", "--redis", "nonsense"], "redis://"),
        (&["server", "--redis", "redis://127.0.0.1", "--name", "a b"], "cannot be a name"),
        (&["client", "--redis", "redis://127.0.0.1"], "--server"),
        (&["client", "--redis", "redis://127.0.0.1", "--server", "ftp://x"], "http://host[:port]"),
        (&["journal", "verify", "--redis", "http://x"], "redis://"),
    ] {
        let answered = output(arguments);
        assert_eq!(answered.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&answered.stderr);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let unreachable = output(&["journal", "stat", "--redis", "redis://127.0.0.1:1"]);
    assert_eq!(unreachable.status.code(), Some(4));
}

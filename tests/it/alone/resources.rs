//! What a process needs runs short: file descriptors, connections, room on Redis' disk. What cannot be served is refused, queries
//! run and are recorded all the while, and everything is well again when there is enough.
//!
//! `EVENKEEL_LONG=1 cargo test --test it alone::resources` opens ten thousand connections.

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use crate::support::{
    Running, World, number,
    pair::Pair,
    pause, start,
    three::{Three, assert_state_is_the_fold},
    wait_until,
};

fn address(running: &Running) -> SocketAddr {
    running.base.trim_start_matches("http://").parse().unwrap()
}

/// Connections that say nothing, or begin a request and never end it.
fn stuck(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for n in 0..count {
        // One that is not taken is refused, which is an answer, too.
        let Ok(mut connection) = TcpStream::connect_timeout(&address, Duration::from_secs(2)) else {
            continue;
        };
        if n % 3 == 1 {
            let _ = connection.write_all(b"GET /queued HTT");
        } else if n % 3 == 2 {
            let _ = connection.write_all(b"POST /delay HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
        }
        open.push(connection);
    }
    open
}

#[test]
fn a_server_with_too_few_file_descriptors_goes_on_and_answers_again() {
    let _alone = super::alone();
    let world = World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "20"]);
    let run = world.command("run");
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=100").arg(run.get_program()).args(run.get_args()).args(["--listen", "127.0.0.1:0"]);
    let running = start(limited, &world.path("stderr.txt"));
    running.wait_until_ready();
    // More than so few descriptors are for, and not more than can be told so.
    let open = stuck(address(&running), 12);
    let refused = running.get("/queued");
    assert_eq!((refused.status, refused.content_type.as_str()), (503, "application/problem+json"));
    assert!(refused.body.contains("too many connections"), "{}", refused.body);
    drop(open);
    running.wait_until_ready();
    let open = stuck(address(&running), 300);
    world.goes_on(200);
    drop(open);
    running.wait_until_ready();
    running.ends_well(&world);
}

#[test]
fn thousands_of_stuck_connections_hold_up_nobodys_queries() {
    let _alone = super::alone();
    let count = if std::env::var_os("EVENKEEL_LONG").is_some() { 10_000 } else { 1_500 };
    let world = World::with_parameters("rate = 5.0\ntick_ms = 20\n", &["--seed", "20"]);
    let running = world.start();
    running.wait_until_ready();
    let pace = || {
        let mut metrics = String::new();
        wait_until("there is room to ask", || {
            let answer = running.get("/metrics");
            metrics = answer.body;
            answer.status == 200
        });
        ["evenkeel_late_ticks_total ", "evenkeel_tick "].map(|begin| number(&metrics, begin))
    };
    let before = pace();
    let open = stuck(address(&running), count);
    println!("{} of {count} connections were taken", open.len());
    world.goes_on(1_000);
    // A tick in a hundred is what a busy machine may cost.
    let after = pace();
    let [late, ticks] = [after[0] - before[0], after[1] - before[1]];
    println!("{late} of {ticks} ticks late");
    assert!(late <= 2 + ticks / 100, "{late} of {ticks} ticks late");
    // Whoever asks meanwhile is answered, sooner or later.
    running.wait_until_ready();
    drop(open);
    running.wait_until_ready();
    running.ends_well(&world);
}

/// Redis may write so many bytes to a file and no more, or as many as it likes.
fn room(three: &Three, bytes: &str) {
    let pid = three.pair.redis.pid().to_string();
    let limited =
        Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:unlimited")]).status();
    assert!(limited.unwrap().success());
}

fn with_a_small_disk(fsync: &str) -> Three {
    let world = World::with_parameters("rate = 8.0\ntick_ms = 20\n", &["--seed", "12"]);
    let three = Three::start(Pair::new(world));
    three.pair.redis.cli(&["CONFIG", "SET", "appendfsync", fsync]);
    three.settle();
    room(&three, "200000");
    three
}

#[test]
fn redis_that_ends_at_a_full_disk_gets_everything_when_there_is_room_again() {
    let _alone = super::alone();
    let mut three = with_a_small_disk("always");
    wait_until("Redis ends", || !three.pair.redis.answers());
    three.pair.world.goes_on(200);
    three.pair.redis.kill();
    three.pair.redis.restart();
    three.settle();
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

#[test]
fn redis_that_refuses_writes_at_a_full_disk_gets_everything_when_there_is_room_again() {
    let _alone = super::alone();
    let three = with_a_small_disk("everysec");
    wait_until("the server says why", || three.server().get("/readyz").body.contains("MISCONF"));
    three.pair.world.goes_on(200);
    pause(Duration::from_secs(2));
    room(&three, "unlimited");
    three.settle();
    let pair = three.end();
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
}

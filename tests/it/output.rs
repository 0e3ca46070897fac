//! What the program prints, and nobody takes: a full pipe, a closed one, a full disk. Logs and lines hold nothing up and end
//! nothing; data are all there, or the command fails and says so.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, PipeReader, pipe},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use serde_json::Value;

use crate::support::{
    self, Running, World, evenkeel, number,
    redis::{Redis, free_port},
    text, wait_until,
};

/// Takes nothing, as a full disk does.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A pipe that nobody reads.
fn unread() -> (PipeReader, Stdio) {
    let (reader, writer) = pipe().unwrap();
    (reader, writer.into())
}

/// `run` or `server` of `world` that talks as much as it can.
fn talkative(mut command: Command, format: &str, stdout: Stdio, stderr: Stdio) -> Running {
    let port = free_port();
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--log-format", format]);
    command.env("RUST_LOG", "trace").stdout(stdout).stderr(stderr);
    let child = command.spawn().unwrap();
    let running = Running::unheard(child, format!("http://127.0.0.1:{port}"));
    wait_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    running.wait_until_ready();
    running
}

fn degraded(running: &Running) -> String {
    running.get("/readyz").json()["degraded"].to_string()
}

fn dropped(running: &Running, output: &str) -> u64 {
    let begin = format!("evenkeel_output_lines_dropped_total{{output=\"{output}\"}}");
    number(&running.get("/metrics").body, &begin)
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up_and_the_end_is_in_order() {
    let world = World::new("fast", &["--seed", "3"]);
    let (log, stderr) = unread();
    let (lines, stdout) = unread();
    let running = talkative(world.command("run"), "text", stdout, stderr);
    wait_until("it is told", || degraded(&running).contains("standard error: nobody reads it"));
    wait_until("it is counted", || dropped(&running, "log") > 0);
    world.goes_on(200);
    assert_eq!(running.get("/queued").status / 100, 2);
    // Still nobody reads.
    running.ends_well(&world);
    drop((log, lines));
}

#[test]
fn a_json_log_that_is_read_again_says_what_is_missing_in_it() {
    let world = World::new("fast", &["--seed", "3"]);
    let (log, stderr) = unread();
    let running = talkative(world.command("run"), "json", Stdio::null(), stderr);
    wait_until("lines are dropped", || dropped(&running, "log") > 100);
    world.goes_on(100);
    let (missing, found) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut objects = 0;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            let object: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            objects += 1;
            if object["message"]
                .as_str()
                .is_some_and(|said| said.contains("lines of the log are missing here"))
            {
                let _ = missing.send(object);
            }
        }
        objects
    });
    let said = found.recv_timeout(support::PATIENCE).unwrap();
    assert_eq!(said["level"], "WARN");
    running.ends_well(&world);
    assert!(reader.join().unwrap() > 100, "all of it is JSON");
}

#[test]
fn logs_and_lines_that_cannot_be_written_end_nothing() {
    for format in ["text", "json"] {
        for (stdout, stderr) in [(full(), closed()), (closed(), full())] {
            let world = World::new("fast", &["--seed", "4"]);
            let running = talkative(world.command("run"), format, stdout, stderr);
            wait_until("both are told", || {
                let degraded = degraded(&running);
                degraded.contains("standard error") && degraded.contains("standard output")
            });
            assert!(dropped(&running, "log") > 0 && dropped(&running, "line") > 0);
            world.goes_on(100);
            running.ends_well(&world);
        }
    }
}

#[test]
fn a_server_whose_log_has_gone_ships_again_when_redis_is_back() {
    let world = World::new("fast", &["--seed", "6"]);
    let mut redis = Redis::start();
    let mut command = world.command("server");
    command.args(["--redis", &redis.url("server")]);
    let running = talkative(command, "json", full(), closed());
    let told = |redis: &Redis| -> u64 {
        redis.cli(&["HGET", "evenkeel:{main}:meta", "tick"]).parse().unwrap_or_default()
    };
    wait_until("ticks are told", || told(&redis) > 10);
    redis.kill();
    wait_until("it is noticed", || degraded(&running).contains("does not answer"));
    redis.restart();
    let before = told(&redis);
    wait_until("ticks are told again", || told(&redis) > before + 20);
    running.ends_well(&world);
}

fn run(arguments: &[&str], stdout: Stdio) -> Output {
    evenkeel()
        .args(arguments)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap()
}

#[test]
fn data_are_all_there_or_the_command_fails_and_says_so() {
    let world = World::new("fast", &["--until-tick", "30"]);
    let ended = world.command("run").args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(ended.status.success());
    let (data, tokens) = (world.data_dir(), world.path("tokens"));
    let dir = text(&data);
    let commands: [&[&str]; 9] = [
        &["journal", "tail", "--data-dir", dir],
        &["journal", "tail", "--data-dir", dir, "--json"],
        &["journal", "stat", "--data-dir", dir],
        &["journal", "verify", "--data-dir", dir],
        &["simulate", "--ticks", "3100", "--policy", "none"],
        &["world"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ];
    for command in commands {
        let failed = run(command, full());
        let said = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("standard output cannot be written: No space left"), "{command:?}: {said}");
        // As every program ends whose reader has seen enough.
        let seen = run(command, closed());
        assert_eq!(seen.status.code(), Some(141), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&seen.stderr), "", "{command:?}");
    }
    for stdout in [full(), closed()] {
        let token = ["token", "new", "--name", "a", "--scope", "read", "--tokens", text(&tokens)];
        let lost = run(&token, stdout);
        let said = String::from_utf8_lossy(&lost.stderr);
        assert_eq!(lost.status.code(), Some(1), "{said}");
        assert!(said.contains("the token is lost"), "{said}");
    }
}

#[test]
fn a_check_that_found_something_says_so_to_whoever_reads_half_of_it() {
    let world = World::new("fast", &["--until-tick", "30"]);
    assert!(world.command("run").args(["--listen", "127.0.0.1:0"]).output().unwrap().status.success());
    let mut truth = std::fs::read_to_string(world.truth()).unwrap();
    truth.insert_str(0, "0 01890000-0000-7000-8000-000000000000 01890000-0000-7000-8000-000000000001\n");
    std::fs::write(world.truth(), truth).unwrap();
    let (data, truth) = (world.data_dir(), world.truth());
    let verified = run(&["journal", "verify", "--data-dir", text(&data), "--truth", text(&truth)], closed());
    assert_eq!(verified.status.code(), Some(3));
}

#[test]
fn last_words_that_nobody_reads_change_no_exit_code() {
    let commands: [(&[&str], i32); 4] = [
        (&["journal", "stat", "--data-dir", "/nowhere"], 4),
        (&["levitate"], 2),
        (&["run", "--scenario", "x7"], 2),
        (&["healthcheck", "--url", "http://127.0.0.1:1/healthz"], 4),
    ];
    let (mut filled, writer) = pipe().unwrap();
    fill(&writer);
    for (command, code) in commands {
        for stderr in [full(), closed(), writer.try_clone().unwrap().into()] {
            let mut evenkeel = evenkeel();
            evenkeel.args(command).env("RUST_LOG", "no=filter=at,all").stdout(Stdio::null()).stderr(stderr);
            assert_eq!(evenkeel.status().unwrap().code(), Some(code), "{command:?}");
        }
    }
    drop(writer);
    std::io::copy(&mut filled, &mut std::io::sink()).unwrap();
}

/// Leaves no room in it.
fn fill(writer: &std::io::PipeWriter) {
    // Somebody who has room in a pipe of 64 kB for this much has none left then.
    let mut full = Command::new("dd");
    full.args(["if=/dev/zero", "bs=65536", "count=1", "status=none"]).stdout(writer.try_clone().unwrap());
    assert!(full.status().unwrap().success());
}

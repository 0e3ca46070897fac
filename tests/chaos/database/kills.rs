//! What is killed, and how.

use std::{
    fs,
    time::{Duration, Instant},
};

use evenkeel_core::chance::Dice;
use rustix::process::{Pid, Signal, kill_process};

use super::{Totals, World};
use crate::support::{pause, wait_until};

/// Named points at which evenkeel dies, and in one of how many passings.
const POINTS: [(&str, u32); 7] = [
    ("after-begin-write", 1),
    ("after-begin-fsync", 1),
    ("after-outbox-write", 40),
    ("after-outbox-fsync", 40),
    ("after-effect", 20),
    ("after-intent", 40),
    ("after-statement", 100),
];
/// So long a point is waited for: where nobody comes by it is an ordinary kill.
const POINT_MAX: Duration = Duration::from_secs(3);

/// Kills somebody, and starts again what ended.
pub(super) fn one(dice: &mut Dice, world: &mut World, totals: &mut Totals) {
    match dice.roll(100) {
        0..34 => kill_evenkeel(dice, world, totals),
        34..46 => die_at_a_point(dice, world, totals),
        46..62 => end_backend(dice, world, totals, Signal::TERM, "SIGTERM of a backend"),
        62..78 => terminate_backends(dice, world, totals),
        78..86 => kill_backend(dice, world, totals),
        86..92 => kill_postmaster(world, totals, Signal::QUIT, "SIGQUIT of the postmaster"),
        92..96 => kill_postmaster(world, totals, Signal::KILL, "kill -9 of the postmaster"),
        _ if world.redis.is_some() => kill_redis_or_client(dice, world, totals),
        _ => kill_both(world, totals),
    }
}

fn evenkeel_is_gone(dice: &mut Dice, world: &mut World) {
    if world.plan.disk.is_some() && dice.roll(2) == 0 {
        take_the_witness(world);
    }
    pause(Duration::from_millis(dice.roll(3) * 20));
    world.before.start();
}

/// The witness is not synced: a power cut may take it.
pub(super) fn take_the_witness(world: &World) {
    let _ = fs::remove_file(world.before.data_dir().join("outbox.witness"));
}

/// It has ended at the moment that is noted, and not before.
pub(super) fn end_evenkeel(world: &mut World) {
    let pid = Pid::from_raw(world.before.running().pid().cast_signed()).expect("a process has an id");
    kill_process(pid, Signal::KILL).expect("it runs");
    world.killed.push(Instant::now());
    world.before.kill();
}

fn kill_evenkeel(dice: &mut Dice, world: &mut World, totals: &mut Totals) {
    end_evenkeel(world);
    totals.count("kill -9 of evenkeel");
    evenkeel_is_gone(dice, world);
}

/// It is killed first, to be started again with the point.
fn die_at_a_point(dice: &mut Dice, world: &mut World, totals: &mut Totals) {
    let (point, one_in) = POINTS[dice.roll(POINTS.len() as u64) as usize];
    end_evenkeel(world);
    totals.count("kill -9 of evenkeel");
    let died = world.before.dies_of(&format!("{point}=1/{one_in}"), POINT_MAX);
    world.killed.push(Instant::now());
    totals.count(&if died { format!("evenkeel died {point}") } else { "kill -9 of evenkeel".to_owned() });
    evenkeel_is_gone(dice, world);
}

fn a_backend(dice: &mut Dice, world: &World) -> Option<i32> {
    let backends = world.writers.as_ref().expect("they write").backends();
    (!backends.is_empty()).then(|| backends[dice.roll(backends.len() as u64) as usize])
}

/// It may have ended by itself.
fn is_backend(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with("postgres:"))
}

fn end_backend(dice: &mut Dice, world: &World, totals: &mut Totals, how: Signal, what: &str) {
    let pid = a_backend(dice, world).filter(|pid| is_backend(*pid)).and_then(Pid::from_raw);
    if pid.is_some_and(|pid| kill_process(pid, how).is_ok()) {
        totals.count(what);
    }
}

fn terminate_backends(dice: &mut Dice, world: &World, totals: &mut Totals) {
    let all =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like '%writer'";
    let asked = match (dice.roll(4), a_backend(dice, world)) {
        (1.., Some(pid)) => format!("select count(*) filter (where pg_terminate_backend({pid}))"),
        _ => all.to_owned(),
    };
    let ended: u64 = world.postgres.psql(&asked).parse().expect("a count");
    for _ in 0..ended {
        totals.count("pg_terminate_backend");
    }
}

/// All other backends are ended by the postmaster then, which recovers.
fn kill_backend(dice: &mut Dice, world: &World, totals: &mut Totals) {
    end_backend(dice, world, totals, Signal::KILL, "kill -9 of a backend");
    world.wait_until_up();
}

fn kill_postmaster(world: &mut World, totals: &mut Totals, how: Signal, what: &str) {
    world.postgres.signal(how);
    world.postgres.wait();
    world.postgres.restart();
    totals.count(what);
    world.wait_until_up();
}

/// Both at once.
fn kill_both(world: &mut World, totals: &mut Totals) {
    world.postgres.signal(Signal::KILL);
    end_evenkeel(world);
    world.postgres.wait();
    world.before.start();
    world.postgres.restart();
    totals.count("kill -9 of evenkeel");
    totals.count("kill -9 of the postmaster");
    world.wait_until_up();
}

fn kill_redis_or_client(dice: &mut Dice, world: &mut World, totals: &mut Totals) {
    if dice.roll(2) == 0 {
        let redis = world.redis.as_mut().expect("there is one");
        redis.kill();
        pause(Duration::from_millis(dice.roll(200)));
        redis.restart();
        totals.count("kill -9 of Redis");
    } else {
        world.client.take().expect("there is one").kill();
        world.start_client();
        totals.count("kill -9 of the client");
    }
    wait_until("the server is ready", || world.before.running().get("/readyz").status == 200);
}

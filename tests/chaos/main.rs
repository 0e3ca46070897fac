//! `make chaos SEED=1 KILLS=200 MINUTES=0 POINTS=0`: real processes, a real Redis, faults at random, until so many processes have been killed
//! and so many minutes have passed. Exit 0 only when nothing was lost; on failure the command that repeats it is printed.
//!
//! With `LEADER=1` the leader goes in each way instead, and the load must go on: see `leader.rs`.
//!
//! With `DATABASE=1` evenkeel stands before a real PostgreSQL, and both are killed: see `database/mod.rs`.
//!
//! With the cargo feature `faults` actors panic, too, and with `POINTS=2` the server dies at each named point so often first. With
//! the feature `mutants` and `MUTANTS=1` three known faults are built in, one after the other, and each must show within 300 kills.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the run")]

mod database;
mod faults;
mod leader;
#[path = "../it/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use evenkeel_core::chance::Dice;
use faults::{forget_foreign_entries, one_fault};
use support::{
    World, output,
    pair::Pair,
    pause,
    proxy::Proxy,
    three::{Fault, Three, assert_state_is_the_fold, dice},
};

/// Kills after which a world is judged and a new one begins: its outbox still holds everything then.
const KILLS_A_WORLD: u64 = 150;
/// Longest that a world lives, for the same reason: shipped entries stay for ten minutes.
const WORLD_MAX: Duration = Duration::from_mins(6);
/// The named points at which a server dies, and in one of how many passings: what is shipped is marked once a second only.
const POINTS: [(&str, u32); 6] = [
    ("after-outbox-write", 12),
    ("after-outbox-fsync", 12),
    ("after-effect", 12),
    ("after-ship-sent", 12),
    ("after-ship-reply", 12),
    ("after-outbox-mark", 2),
];

/// Kills within which a known fault must show.
const MUTANT_KILLS_MAX: u64 = 300;

fn main() {
    let number = |name, default| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed: u64 = number("SEED", 1);
    let kills: u64 = number("KILLS", 200);
    let minutes: u64 = number("MINUTES", 0);
    let points: u64 = number("POINTS", 0);
    let leader: u64 = number("LEADER", 0);
    let database: u64 = number("DATABASE", 0);
    std::panic::set_hook(Box::new(move |panic| {
        let what = if leader > 0 {
            format!("LEADER={leader}")
        } else if database > 0 {
            format!("DATABASE={database} KILLS={kills}")
        } else {
            format!("KILLS={kills} MINUTES={minutes} POINTS={points}")
        };
        eprintln!("{panic}\nagain: make chaos SEED={seed} {what}");
    }));
    if leader > 0 {
        return leader::goes(seed);
    }
    if database > 0 {
        return database::dies(seed, kills);
    }
    let begun = Instant::now();
    let mut totals = Totals::default();
    if cfg!(feature = "mutants") && number("MUTANTS", 0) > 0 {
        return notice_known_faults(seed);
    }
    if cfg!(feature = "faults") && points > 0 {
        die_at_points(seed, points, &mut totals);
    }
    let mut dice = dice(seed);
    let kills = kills + totals.kills();
    while totals.kills() < kills || begun.elapsed() < Duration::from_secs(60 * minutes) {
        live_and_die(&mut dice, kills, &mut totals);
    }
    totals.print(begun.elapsed());
}

/// What has been done, by name.
#[derive(Default)]
struct Totals {
    done: BTreeMap<String, u64>,
    worlds: u64,
    executed: u64,
}

impl Totals {
    fn count(&mut self, name: &str) {
        *self.done.entry(name.to_owned()).or_default() += 1;
    }

    fn kills(&self) -> u64 {
        self.done.iter().filter(|(name, _)| name.starts_with("kill ")).map(|(_, count)| count).sum()
    }

    fn print(&self, took: Duration) {
        for (name, count) in &self.done {
            println!("{count:>7} × {name}");
        }
        let kills = self.kills().max(1);
        println!(
            "{} kills in {:.0} s, {} worlds, {} executions: 0 lost, 0 duplicated, 0 invented (95 %: below {:.3} % a kill)",
            self.kills(),
            took.as_secs_f64(),
            self.worlds,
            self.executed,
            300.0 / kills as f64
        );
    }
}

/// One world, from its first tick to its judgement.
fn live_and_die(dice: &mut Dice, kills: u64, totals: &mut Totals) {
    let rate = 2 + dice.roll(10);
    let tick_ms = [10, 10, 20, 50][dice.roll(4) as usize];
    let seed = dice.roll(1_000_000).to_string();
    let parameters = format!("rate = {rate}.0\ntick_ms = {tick_ms}\n");
    let mut pair = Pair::new(World::with_parameters(&parameters, &["--seed", &seed]));
    let fsync = ["always", "always", "everysec"][dice.roll(3) as usize];
    if fsync == "everysec" {
        pair.redis.sync_every_second();
    }
    println!(
        "world {}: rate {rate}, {tick_ms} ms a tick, seed {seed}, appendfsync {fsync}",
        totals.worlds + 1
    );
    pair.way = Some(Proxy::start(pair.redis.address()));
    pair.set_clock("+0");
    let mut three = Three::start(pair);
    let (begun, before) = (Instant::now(), totals.kills());
    let more = |totals: &Totals| totals.kills() < kills && totals.kills() < before + KILLS_A_WORLD;
    let mut round = 0;
    while more(totals) && begun.elapsed() < WORLD_MAX {
        round += 1;
        pause(Duration::from_millis(10 + dice.roll(300)));
        let what = one_fault(dice, &mut three, totals);
        println!("{round:>5} {what}");
        if round % 40 == 0 {
            three.pair.set_clock("+0");
            three.settle();
            forget_foreign_entries(&three.pair.redis);
            let url = three.pair.redis.url("inspection");
            let beside = output(&["journal", "verify", "--redis", &url]);
            let said = String::from_utf8_lossy(&beside.stdout);
            assert_eq!(beside.status.code(), Some(0), "{said}\n{}", three.pair.said());
        }
    }
    judge(three, totals);
}

/// Everything that must hold at the end of a world.
fn judge(mut three: Three, totals: &mut Totals) {
    three.pair.set_clock("+0");
    let pair = three.end();
    forget_foreign_entries(&pair.redis);
    pair.assert_verified();
    assert_state_is_the_fold(&pair);
    totals.worlds += 1;
    totals.executed += std::fs::read_to_string(pair.world.truth()).unwrap().lines().count() as u64;
}

/// A server that dies at each point in turn, `times` each, and is started again.
fn die_at_points(seed: u64, times: u64, totals: &mut Totals) {
    for (point, one_in) in POINTS {
        let world = World::with_parameters("rate = 8.0\ntick_ms = 10\n", &["--seed", &seed.to_string()]);
        let mut pair = Pair::new(world);
        // Whole before the first death, so that there are streams to be shipped to.
        pair.start_server().kill();
        pair.fault = Some(format!("{point}=1/{one_in}"));
        let client = pair.start_client();
        for _ in 0..times {
            // It dies by itself, even before it listens.
            pair.run_server_to_its_end();
            totals.count(&format!("kill server at {point}"));
        }
        pair.fault = None;
        println!("{point}: {times}");
        let server = Some(pair.start_server());
        judge(Three { pair, server, client: Some(client) }, totals);
    }
}

/// Three known faults, and the kill that shows each.
fn notice_known_faults(seed: u64) {
    type Kill = fn(&mut Dice, &mut Three);
    let server: Kill = |dice, three| kill(dice, three, [true, false, false]);
    let client: Kill = |dice, three| kill(dice, three, [false, true, false]);
    let redis: Kill = |dice, three| lose_the_last_entries(dice, three);
    // What is panicked about is what is hoped for.
    std::panic::set_hook(Box::new(|_| {}));
    for (mutant, kill, rounds) in
        [("NoIntent", server, 5), ("PendingNotRead", client, 5), ("StaleCursor", redis, 3)]
    {
        let mut dice = dice(seed);
        let mut kills = 0;
        let noticed = loop {
            let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut pair =
                    Pair::new(World::with_parameters("rate = 8.0\ntick_ms = 10\n", &["--seed", "1"]));
                pair.mutant = Some(mutant);
                let mut three = Three::start(pair);
                for _ in 0..rounds {
                    pause(Duration::from_millis(300 + dice.roll(700)));
                    kill(&mut dice, &mut three);
                    kills += 1;
                }
                judge(three, &mut Totals::default());
            }));
            match said {
                Err(said) => break said.downcast_ref::<String>().cloned().unwrap_or_default(),
                Ok(()) => {
                    if kills >= MUTANT_KILLS_MAX {
                        eprintln!("{mutant} was not noticed within {kills} kills");
                        std::process::exit(1);
                    }
                }
            }
        };
        let noticed = noticed.lines().next().unwrap_or_default().chars().take(160).collect::<String>();
        println!("{mutant}: noticed after {kills} kills: {noticed}");
    }
}

fn kill(dice: &mut Dice, three: &mut Three, victims: [bool; 3]) {
    three.suffer(Fault::Kill, victims, Duration::from_millis(dice.roll(50)));
}

fn lose_the_last_entries(dice: &mut Dice, three: &mut Three) {
    let redis = &mut three.pair.redis;
    redis.kill();
    redis.cut_append_only_file(10_000 + dice.roll(50_000));
    redis.restart();
}

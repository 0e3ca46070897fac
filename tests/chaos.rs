//! `make chaos SEED=1 KILLS=200 MINUTES=0`: real processes, a real Redis, faults at random, until so many processes have been killed
//! and so many minutes have passed. Exit 0 only when nothing was lost; on failure the command that repeats it is printed.
//!
//! With the cargo feature `faults` actors panic, too, and with `POINTS=2` the server dies at each named point so often first. With
//! the feature `mutants` three known faults are built in, one after the other, and each must show within 300 kills.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the run")]

mod support;

use std::{
    collections::BTreeMap,
    env,
    net::TcpStream,
    time::{Duration, Instant},
};

use evenkeel_core::journal::Stream;
use support::{
    World, output,
    pair::Pair,
    pause,
    proxy::{Proxy, Way},
    redis::Redis,
    three::{Dice, Fault, Three, assert_state_is_the_fold},
};

/// An id after all of evenkeel's own.
const FOREIGN: &str = "9999999999999-0";
/// Kills after which a world is judged and a new one begins: its outbox still holds everything then.
const KILLS_A_WORLD: u64 = 150;
/// Longest that a world lives, for the same reason: shipped entries stay for ten minutes.
const WORLD_MAX: Duration = Duration::from_mins(6);
/// The named points at which a server dies.
const POINTS: [&str; 6] = [
    "after-outbox-write",
    "after-outbox-fsync",
    "after-effect",
    "after-ship-sent",
    "after-ship-reply",
    "after-outbox-mark",
];

/// Kills within which a known fault must show.
const MUTANT_KILLS_MAX: u64 = 300;

fn main() {
    let number = |name, default| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let seed: u64 = number("SEED", 1);
    let kills: u64 = number("KILLS", 200);
    let minutes: u64 = number("MINUTES", 0);
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!("{panic}\nagain: make chaos SEED={seed} KILLS={kills} MINUTES={minutes}");
    }));
    let begun = Instant::now();
    let mut totals = Totals::default();
    if cfg!(feature = "mutants") {
        return notice_known_faults(seed);
    }
    let times = number("POINTS", 0);
    if cfg!(feature = "faults") && times > 0 {
        die_at_points(seed, times, &mut totals);
    }
    let mut dice = Dice::new(seed);
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
    println!("world {}: rate {rate}, {tick_ms} ms a tick, seed {seed}", totals.worlds + 1);
    let mut pair = Pair::new(World::with_parameters(&parameters, &["--seed", &seed]));
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

/// Does something to somebody, and says what.
fn one_fault(dice: &mut Dice, three: &mut Three, totals: &mut Totals) -> String {
    let names = |victims: [bool; 3]| {
        let names = ["server", "client", "redis"].into_iter().zip(victims);
        names.filter(|(_, hit)| *hit).map(|(name, _)| name).collect::<Vec<_>>()
    };
    let away = |dice: &mut Dice, most| Duration::from_millis(dice.roll(most));
    match dice.roll(120) {
        // Not forwards by more: what is older than ten minutes may leave the outbox, with which all is compared at the end.
        112..116 => {
            let offset = ["+0", "-5s", "+5s", "-1h"][dice.roll(4) as usize];
            three.pair.set_clock(offset);
            totals.count("clock set");
            format!("clock set to {offset}")
        }
        116.. if cfg!(feature = "faults") => panics(dice, three, totals),
        100.. => trouble(dice, three, totals),
        0..70 => {
            // Server and client far more often than Redis, which takes the longest to start.
            let victims = [
                [true, false, false],
                [false, true, false],
                [true, true, false],
                [false, false, true],
                [true; 3],
            ];
            let victims = victims[[0, 0, 0, 1, 1, 1, 2, 2, 3, 4][dice.roll(10) as usize]];
            let away = away(dice, 150);
            three.suffer(Fault::Kill, victims, away);
            for name in names(victims) {
                totals.count(&format!("kill {name}"));
            }
            format!("kill {}", names(victims).join(" "))
        }
        70..78 => {
            let victims = 1 + dice.roll(7);
            let victims = [1, 2, 4].map(|bit| victims & bit != 0);
            let away = away(dice, 150);
            three.suffer(Fault::Terminate, victims, away);
            totals.count("terminate");
            format!("terminate {}", names(victims).join(" "))
        }
        78..86 => {
            let victims = 1 + dice.roll(7);
            let victims = [1, 2, 4].map(|bit| victims & bit != 0);
            let away = away(dice, 1_500);
            three.suffer(Fault::Stop, victims, away);
            totals.count("stop and go on");
            format!("stop {} for {} ms", names(victims).join(" "), away.as_millis())
        }
        86 => {
            three.suffer(Fault::Terminate, [false, false, true], Duration::from_secs(3));
            totals.count("Redis away for 3 s");
            "Redis away for 3 s".to_owned()
        }
        87..89 => {
            let bytes = 1 + dice.roll(60_000);
            three.pair.redis.kill();
            three.pair.redis.cut_append_only_file(bytes);
            three.pair.redis.restart();
            totals.count("kill redis");
            totals.count("Redis loses its last entries");
            format!("kill redis, its file cut by {bytes} bytes")
        }
        89..96 => {
            let key = |stream: Stream| format!("evenkeel:{{main}}:{stream}");
            let one = key(Stream::ALL[dice.roll(3) as usize]);
            let command = match dice.roll(6) {
                0 => vec!["FLUSHALL"],
                1 | 2 => vec!["DEL", &one],
                3 => vec!["XGROUP", "DESTROY", &one, "scheduler"],
                4 => vec!["XGROUP", "DELCONSUMER", &one, "scheduler", "scheduler"],
                _ => vec!["XGROUP", "SETID", &one, "scheduler", "$"],
            };
            three.pair.redis.cli(&command);
            let name =
                command.iter().filter(|word| !word.contains(':')).copied().collect::<Vec<_>>().join(" ");
            totals.count(&name);
            command.join(" ")
        }
        96..98 => {
            // The older generation, and what followed it again.
            three.client.take().unwrap().kill();
            three.pair.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", "spoiled"]);
            three.client = Some(three.pair.start_client());
            totals.count("kill client");
            totals.count("newest state spoiled");
            "kill client, its newest state spoiled".to_owned()
        }
        98 => {
            let second = three.pair.start_client();
            three.client.replace(second).unwrap().kill();
            totals.count("kill client");
            totals.count("second client takes over");
            "kill client, a second one takes over".to_owned()
        }
        _ => {
            let refused = three.pair.second_server();
            assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
            totals.count("second server refused");
            "a second server on the same directory is refused".to_owned()
        }
    }
}

/// Server, client or both live for a while with actors that panic in their handlers, up to the sixth restart.
fn panics(dice: &mut Dice, three: &mut Three, totals: &mut Totals) -> String {
    let one_in = 40 + dice.roll(300);
    let actors = ["queue", "daemon", "monitor", "journal", "consumer", "estimator", "scheduler"];
    three.pair.fault = Some(actors.map(|actor| format!("panic-{actor}=1/{one_in}")).join(","));
    let victims = [[true, false, false], [false, true, false], [true, true, false]][dice.roll(3) as usize];
    let count = |three: &Three| three.pair.said().matches("fault: panic-").count() as u64;
    let before = count(three);
    three.suffer(Fault::Kill, victims, Duration::ZERO);
    let time = Duration::from_millis(300 + dice.roll(2_000));
    pause(time);
    three.pair.fault = None;
    three.suffer(Fault::Kill, victims, Duration::ZERO);
    let panicked = count(three) - before;
    *totals.done.entry("panic in an actor".to_owned()).or_default() += panicked;
    for name in ["server", "client"].into_iter().zip(victims).filter_map(|(name, hit)| hit.then_some(name)) {
        totals.count(&format!("kill {name}"));
        totals.count(&format!("kill {name}"));
    }
    format!("{panicked} panics in {} ms", time.as_millis())
}

/// Something passing, on the way to Redis, in Redis, or at the server's door.
fn trouble(dice: &mut Dice, three: &Three, totals: &mut Totals) -> String {
    let (way, redis) = (three.pair.way.as_ref().unwrap(), &three.pair.redis);
    let time = Duration::from_millis(200 + dice.roll(1_500));
    let name = match dice.roll(8) {
        kind @ 0..2 => {
            let one = Way::BOTH[kind as usize];
            way.hold_up(one, true);
            pause(time);
            way.hold_up(one, false);
            ["nothing gets to Redis", "nothing comes from Redis"][kind as usize]
        }
        2 => {
            way.refuse(true);
            pause(time);
            way.refuse(false);
            "the way to Redis is cut"
        }
        3 => {
            way.slow_down(10 + dice.roll(190));
            way.narrow(Some(8_000 + dice.roll(100_000)));
            pause(time);
            way.slow_down(0);
            way.narrow(None);
            "a slow and narrow way to Redis"
        }
        4 => {
            redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
            pause(time);
            redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
            "Redis out of memory"
        }
        5 => {
            redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
            pause(time);
            redis.cli(&["REPLICAOF", "NO", "ONE"]);
            "Redis read only"
        }
        6 => {
            let key = format!("evenkeel:{{main}}:{}", Stream::ALL[dice.roll(3) as usize]);
            redis.cli(&["XADD", &key, FOREIGN, "who", "somebody else"]);
            pause(time);
            redis.cli(&["DEL", &key]);
            "a foreign entry, and its stream deleted"
        }
        _ => {
            let address = three.server().base.trim_start_matches("http://").parse().unwrap();
            let open: Vec<_> =
                (0..200).filter_map(|_| TcpStream::connect_timeout(&address, time).ok()).collect();
            pause(time);
            drop(open);
            "200 silent connections to the server"
        }
    };
    totals.count(name);
    format!("{name} for {} ms", time.as_millis())
}

/// A client that met a foreign entry has noted it; who removed the entry removes the note.
fn forget_foreign_entries(redis: &Redis) {
    for stream in Stream::ALL {
        redis.cli(&["HDEL", "evenkeel:{main}:dead", &format!("{stream}:{FOREIGN}")]);
    }
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
    for point in POINTS {
        let world = World::with_parameters("rate = 8.0\ntick_ms = 10\n", &["--seed", &seed.to_string()]);
        let mut pair = Pair::new(world);
        // Whole before the first death, so that there are streams to be shipped to.
        pair.start_server().kill();
        pair.fault = Some(format!("{point}=1/12"));
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
        let mut dice = Dice::new(seed);
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

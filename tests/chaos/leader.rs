//! `make chaos LEADER=1 SEED=1`: the leader goes, in each way, live at `x10` over Redis. What ran in the half minute
//! after is read from the server's journal, in shares of the mean of the minute before. About 14 minutes; with
//! `ONLY=Redis` the cases whose names have that word.

use std::time::Duration;

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::{
    journal::{Executed, Record, Stream},
    units::tick::Tick,
};

use crate::support::{
    Running, World, output,
    pair::Pair,
    pause,
    three::{Three, assert_state_is_the_fold},
    wait_until,
};

/// Ticks until the first leader goes: enough is learned by then.
const LEARNING: u64 = 1_200;
/// Ticks of levelling before the next one goes.
const SETTLED: u64 = 300;
/// Ticks of the mean, and of what is judged.
const MINUTE: u64 = 600;
const JUDGED: u64 = 300;
/// Of a tick, and the most of a second, in shares of the minute's mean.
const TICK_LIMITS: [f64; 2] = [0.5, 1.5];
const SECOND_MAX: f64 = 1.3;
/// Where nobody levels, what is overdue fills a tick up to so many shares.
const OVERDUE_MAX: f64 = 1.25;
/// Executions that are read back: a minute and a half at up to 30 a tick.
const READ: usize = 30_000;

/// Who goes, and for how many seconds, where it comes back by itself.
#[derive(Clone, Copy)]
enum Goes {
    /// A signal to the client, with a standby or without one.
    Client {
        signal: &'static str,
        standby: bool,
    },
    ClientStops(u64),
    RedisDies(u64),
    RedisStops(u64),
    Mode(&'static str),
}

const CASES: [(&str, Goes); 11] = [
    ("SIGINT of the client", Goes::Client { signal: "INT", standby: false }),
    ("SIGINT, a standby", Goes::Client { signal: "INT", standby: true }),
    ("SIGTERM of the client", Goes::Client { signal: "TERM", standby: false }),
    ("SIGTERM, a standby", Goes::Client { signal: "TERM", standby: true }),
    ("kill -9 of the client", Goes::Client { signal: "KILL", standby: false }),
    ("kill -9, a standby", Goes::Client { signal: "KILL", standby: true }),
    ("SIGSTOP of the client, 5 s", Goes::ClientStops(5)),
    ("kill -9 of Redis, 3 s", Goes::RedisDies(3)),
    ("SIGSTOP of Redis, 10 s", Goes::RedisStops(10)),
    ("the mode becomes off", Goes::Mode("off")),
    ("the mode becomes shadow", Goes::Mode("shadow")),
];

/// Plays every case, prints the table and fails when a limit is broken.
pub(crate) fn goes(seed: u64) {
    let mut three = Three::start(Pair::new(World::new("x10", &["--seed", &seed.to_string()])));
    three.settle();
    println!("two minutes of learning, then about a minute a case");
    wait_until_tick(&three, Tick(LEARNING));
    let (mut table, mut broken) = (Vec::new(), Vec::new());
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, goes) in CASES.into_iter().filter(|(name, _)| name.contains(&only)) {
        let After { least, most, second, fault } = play(&mut three, goes);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        let row = format!("{name:<28} {least:>6.2} {most:>6.2} {second:>8.2} {load:>6}");
        println!("{row}");
        table.push(row);
        broken.extend(fault.map(|fault| format!("{name}: {fault}")));
    }
    assert!(!table.is_empty(), "no case has `{only}` in its name");
    println!("\n{:<28} {:>6} {:>6} {:>8} {:>6}", "who goes", "least", "most", "a second", "load");
    println!("{}", table.join("\n"));
    let pair = three.end();
    let verified = output(&["journal", "verify", "--redis", &pair.redis.url("inspection")]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    assert_state_is_the_fold(&pair);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    println!("no limit is broken, and the journal is whole");
}

/// The half minute after, in shares of the mean of the minute before.
struct After {
    least: f64,
    most: f64,
    second: f64,
    /// The limit that is broken.
    fault: Option<String>,
}

/// One case, from a level load to a level load.
fn play(three: &mut Three, goes: Goes) -> After {
    three.settle();
    let standby = matches!(goes, Goes::Client { standby: true, .. }).then(|| standby(three));
    wait_until_tick(three, newest(three).after(SETTLED));
    let before = newest(three);
    go(three, goes);
    // A mode counts from when it is answered for.
    let is_mode = matches!(goes, Goes::Mode(_));
    let went = if is_mode { newest(three).next() } else { before };
    if standby.is_some() {
        three.client = standby;
    }
    wait_until_tick(three, went.after(JUDGED + 1));
    let executed = executed(three);
    if three.client.is_none() {
        three.client = Some(three.pair.start_client());
    }
    set_mode(three, "enforce");
    judge(&executed, went, is_mode)
}

fn go(three: &mut Three, goes: Goes) {
    match goes {
        Goes::Client { signal, .. } => {
            let client = three.client.take().unwrap();
            client.signal(signal);
            let (status, _) = client.wait();
            assert!(signal == "KILL" || status.success(), "{status}\n{}", three.pair.said());
        }
        Goes::ClientStops(seconds) => {
            three.client().signal("STOP");
            pause(Duration::from_secs(seconds));
            three.client().signal("CONT");
        }
        Goes::RedisDies(seconds) => {
            three.pair.redis.kill();
            pause(Duration::from_secs(seconds));
            three.pair.redis.restart();
        }
        Goes::RedisStops(seconds) => {
            three.pair.redis.signal("STOP");
            pause(Duration::from_secs(seconds));
            three.pair.redis.signal("CONT");
        }
        Goes::Mode(mode) => set_mode(three, mode),
    }
}

/// Another client, which waits for its turn.
fn standby(three: &Three) -> Running {
    let client = three.pair.start_client();
    wait_until("another client stands by", || {
        let ready = client.get("/readyz");
        ready.status == 200 && ready.json()["role"] == "standing by"
    });
    client
}

fn set_mode(three: &Three, mode: &str) {
    let body = format!(r#"{{"mode":"{mode}"}}"#);
    let set = three.server().request("PUT", "/api/v1/mode", "application/json", &body);
    assert_eq!(set.status, 200, "{set:?}");
}

/// The last executions of the server's journal.
fn last(three: &Three, count: usize) -> Vec<Executed> {
    let reader = OutboxReader::open(&three.pair.world.data_dir()).unwrap();
    let entries = reader.tail(Stream::Executions, count).unwrap();
    let executed = entries.into_iter().map(|entry| match entry.record {
        Record::Executed(executed) => executed,
        other => panic!("{other:?} among the executions"),
    });
    executed.collect()
}

fn executed(three: &Three) -> Vec<Executed> {
    last(three, READ)
}

/// The tick that ran last. At `x10` none is without an execution, or nearly none.
fn newest(three: &Three) -> Tick {
    last(three, 1).last().map(|executed| executed.tick).unwrap_or_default()
}

fn wait_until_tick(three: &Three, tick: Tick) {
    // A few ticks at most, so that each wait is within a test's patience.
    while newest(three) < tick {
        let before = newest(three);
        wait_until("the ticks go on", || newest(three) > before);
    }
}

fn judge(executed: &[Executed], went: Tick, is_mode: bool) -> After {
    let first = Tick(went.0 - MINUTE);
    assert!(executed[0].tick < first, "{READ} executions do not reach back from tick {went} to {first}");
    let count = |tick: u64| executed.iter().filter(|of| of.tick.0 == tick).count() as f64;
    let mean = (first.0..went.0).map(count).sum::<f64>() / MINUTE as f64;
    let judged: Vec<_> = (went.0 + 1..=went.0 + JUDGED).map(count).collect();
    let shares = || judged.iter().map(|count| count / mean);
    let seconds = judged.windows(10).map(|second| second.iter().sum::<f64>() / 10.0 / mean);
    let least = shares().fold(f64::INFINITY, f64::min);
    let most = shares().fold(0.0, f64::max);
    let second = seconds.fold(0.0, f64::max);
    let fault = if is_mode {
        fault_of_base(executed, went, mean)
    } else {
        let within = least >= TICK_LIMITS[0] && most <= TICK_LIMITS[1] && second <= SECOND_MAX;
        (!within).then(|| format!("{least:.2}..{most:.2}, a second {second:.2}"))
    };
    After { least, most, second, fault }
}

/// What is on time runs at its base, and what is overdue fills up to a quarter more than the mean, at least one a tick.
fn fault_of_base(executed: &[Executed], went: Tick, mean: f64) -> Option<String> {
    let of = |tick: Tick| executed.iter().filter(move |of| of.tick == tick);
    (went.0 + 1..=went.0 + JUDGED).map(Tick).find_map(|tick| {
        let overdue = of(tick).filter(|of| of.due_tick < tick).count();
        let on_time = of(tick).count() - overdue;
        // The server's mean goes on with each window, and is that of the last minute.
        let room = ((OVERDUE_MAX * mean * 1.1).ceil() as usize).saturating_sub(on_time).max(1);
        let late = of(tick).find(|of| of.due_tick < tick && of.queued_tick > went);
        let late = late.map(|of| format!("{} arrived at {} and ran at {tick}", of.execution, of.queued_tick));
        late.or_else(|| (overdue > room).then(|| format!("{overdue} overdue beside {on_time} at {tick}")))
    })
}

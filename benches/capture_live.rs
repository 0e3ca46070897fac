//! Capture at full speed with real processes: how soon an execution is seen, how a backlog is caught up with, what an
//! idle server costs, and whether memory and lag stay flat.
//!
//! ```text
//! latency [SECONDS [A_SECOND]]  tick begins ─▶ commit, fsync ─▶ Redis, fsync ─▶ client has it, decoded
//! catch-up [ENTRIES]            outbox ═▶ Redis ═▶ a new client
//! idle [SECONDS]                CPU of a server at `seed` without a client, and of one process that levels
//! soak [SECONDS [A_SECOND]]     server, Redis and client at that many executions a second
//! ```
//!
//! `A_SECOND` is the executions a second: 50,000 for the latencies (beside those at `seed`), 20,000 for the soak.
//! `cargo bench --bench capture_live [-- PART [NUMBERS]]`; all parts take a quarter of an hour. Redis has this
//! repository's configuration, which syncs each transaction. The load of the machine stands beside each figure.

#[path = "../actors/benches/support/decider.rs"]
mod decider;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use decider::{Decider, NOW_MS};
use evenkeel_actors::{
    ports::{
        lease::LeaseEpoch,
        source::Source as _,
        state_store::{LeasedStates as _, StateStore as _},
    },
    stores::{
        outbox::{Identity, Limits, Outbox, OutboxHandle, OutboxWriter},
        redis::{Keys, RedisSource, RedisStateStore, Shipment, ShipmentSettings, Target},
    },
};
use evenkeel_core::{
    journal::{Commit, Record, Stream},
    leveller::ClientState,
    units::lengths::Lengths,
};
use support::{Running, World, evenkeel, pair::Pair, pause, redis::Redis};
use tempfile::TempDir;
use uuid::Uuid;

const TICK_MS: u64 = 100;
const TICKS_A_SECOND: u64 = 1_000 / TICK_MS;
/// Executions of each tick of a backlog.
const BACKLOG_A_TICK: u64 = 5_000;
/// What has begun is not what goes on: connections are made, files grow.
const WARM_UP: Duration = Duration::from_secs(3);
/// As the client does, so that what is pending stays small.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// A line of the soak.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Of /proc/PID/stat.
const JIFFIES_A_SECOND: f64 = 100.0;
/// Longest that the bench waits for a backlog.
const CATCH_UP_MAX: Duration = Duration::from_mins(10);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let number = |at: usize, otherwise| words.get(at).map_or(Ok(otherwise), |word| word.parse::<u64>());
    let part = words.first().map(String::as_str);
    let is = |name| part.is_none_or(|part| part == name);
    if is("latency") {
        latencies(Duration::from_secs(number(1, 60)?), number(2, 50_000)?)?;
    }
    if is("catch-up") {
        catch_up(number(1, 1_000_000)?)?;
    }
    if is("idle") {
        idle(Duration::from_secs(number(1, 60)?))?;
    }
    if is("soak") {
        soak(Duration::from_secs(number(1, 600)?), number(2, 20_000)?)?;
    }
    Ok(())
}

fn latencies(time: Duration, a_second: u64) -> Result<()> {
    println!("from the tick's beginning until seen      seen/s   p50 ms   p90 ms   p99 ms   worst ms   load");
    latency_of_server("server, seed", &Pair::new(World::new("seed", &[])), time)?;
    latency_of_server(&format!("server, {a_second}/s"), &steady(a_second, "off"), time)?;
    latency_of_journal(a_second, time)
}

/// A world with as many executions in each second.
fn steady(executions: u64, mode: &str) -> Pair {
    let rate = executions as f64 / TICKS_A_SECOND as f64;
    let curve = "{ amplitude = 0.0, level = 1.0, phase_ticks = 0.0, half_period_ticks = 10000.0 }";
    let parameters = format!("rate = {rate:.1}\ntick_ms = {TICK_MS}\ndaily_curve = {curve}\n");
    Pair::new(World::with_parameters(&parameters, &["--mode", mode]))
}

fn latency_of_server(name: &str, pair: &Pair, time: Duration) -> Result<()> {
    let server = pair.start_server();
    server.wait_until_ready();
    let delays = actix::System::new().block_on(read(&pair.redis, time, |executed_at_ms| executed_at_ms))?;
    report(name, delays, time);
    let status = server.get("/api/v1/status").json();
    println!(
        "  late ticks {} of {}, executed {}, not yet in Redis {}",
        status["late_ticks"], status["tick"], status["capture"]["executed"], status["capture"]["in_outbox"],
    );
    Ok(())
}

/// The same without a server: a thread that commits a tick's records when the tick begins, and one that ships.
fn latency_of_journal(a_second: u64, time: Duration) -> Result<()> {
    let a_tick = a_second / TICKS_A_SECOND;
    let redis = Redis::start();
    let (_folder, outbox, mut shipment) = journal(&redis)?;
    let (mut decider, first) = Decider::new(a_tick);
    shipment.ship()?;
    let begun_ms = now_ms();
    // The decider's tick 0 begins when all is ready.
    let due_ms = move |tick: u64| begun_ms + ((tick + 1) * TICK_MS) as f64;
    let end = Instant::now() + WARM_UP + time;
    let committing = thread::spawn(move || {
        commit(&outbox, first)?;
        for tick in 0.. {
            let next = decider.tick();
            pause(Duration::from_secs_f64((due_ms(tick) - now_ms()).max(0.0) / 1e3));
            commit(&outbox, next)?;
            if Instant::now() >= end {
                return Ok(tick);
            }
        }
        Ok::<u64, std::io::Error>(0)
    });
    let shipping = thread::spawn(move || {
        while Instant::now() < end {
            if !shipment.ship().map_err(std::io::Error::other)?.more {
                pause(Duration::from_millis(1));
            }
        }
        Ok::<(), std::io::Error>(())
    });
    let clock = |at_ms: f64| due_ms(0) + at_ms - NOW_MS as f64;
    let delays = actix::System::new().block_on(read(&redis, time, clock))?;
    report(&format!("journal alone, {a_second}/s"), delays, time);
    let ticks = committing.join().map_err(|_| "committing failed")??;
    shipping.join().map_err(|_| "shipping failed")??;
    println!("  {ticks} ticks of {a_tick} executions in {} s", (WARM_UP + time).as_secs());
    Ok(())
}

/// Milliseconds from each execution's tick, by `clock`, until a client has read it, for those that ran after the
/// warm-up.
async fn read(redis: &Redis, time: Duration, clock: impl Fn(f64) -> f64) -> Result<Vec<f64>> {
    let keys = Keys::new("evenkeel", "main")?;
    let (target, epoch) = (redis.url("client").parse::<Target>()?, LeaseEpoch::default());
    let mut states = RedisStateStore::new(target.clone(), keys.clone(), "bench".to_owned(), epoch.clone());
    let mut state = states.take_over()?;
    let mut reads = RedisSource::new(target, keys, epoch).follow(state.positions);
    let (to_save, saves) = mpsc::channel::<ClientState>();
    let saving = thread::spawn(move || saves.into_iter().try_for_each(|state| states.store(&state)));
    let (mut delays, mut saved_at) = (Vec::new(), Instant::now());
    let counted_from_ms = now_ms() + WARM_UP.as_secs_f64() * 1e3;
    let end = Instant::now() + WARM_UP + time;
    while Instant::now() < end {
        let read = reads.recv().await.ok_or("reading ended")??;
        let now_ms = now_ms();
        for entry in &read.entries {
            state.positions.advance(entry.record.stream(), entry.id);
            if let Record::Executed(executed) = &entry.record {
                let executed_ms = clock(executed.executed_at_ms as f64);
                delays.extend((executed_ms >= counted_from_ms).then_some(now_ms - executed_ms));
            }
        }
        if saved_at.elapsed() >= SAVE_EVERY {
            saved_at = Instant::now();
            to_save.send(state.clone())?;
        }
    }
    drop(to_save);
    saving.join().map_err(|_| "saving failed")??;
    Ok(delays)
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

fn commit(outbox: &OutboxHandle, commit: Commit) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(outbox.commit(commit)).map(drop).map_err(std::io::Error::other)
}

fn report(name: &str, mut delays: Vec<f64>, time: Duration) {
    if delays.is_empty() {
        println!("{name:38} falls behind: nothing that ran was seen in time, load {}", machine_load());
        return;
    }
    delays.sort_by(f64::total_cmp);
    let quantile = |q: f64| delays[((delays.len() - 1) as f64 * q) as usize];
    let [p50, p90, p99, worst] = [0.5, 0.9, 0.99, 1.0].map(quantile);
    let rate = delays.len() as f64 / time.as_secs_f64();
    println!("{name:38} {rate:>9.1} {p50:>8.1} {p90:>8.1} {p99:>8.1} {worst:>10.1} {:>6}", machine_load());
}

/// A journal that has begun in Redis, and what ships it.
fn journal(redis: &Redis) -> Result<(TempDir, OutboxHandle, Shipment)> {
    let folder = TempDir::new()?;
    let identity = Identity { label: "bench".to_owned(), text: String::new(), ..Identity::default() };
    let (outbox, _) = Outbox::open(folder.path(), &identity, Uuid::new_v4(), NOW_MS, Limits::shipping())?;
    let outbox = OutboxWriter::spawn(outbox)?;
    let settings = ShipmentSettings {
        target: redis.url("server").parse()?,
        keys: Keys::new("evenkeel", "main")?,
        journal: outbox.meta().journal,
        writer_epoch: outbox.meta().writer_epoch,
        writer: Uuid::new_v4(),
        label: "bench".to_owned(),
        lengths: Lengths::at_pace(TICK_MS),
        age_max: Duration::from_hours(24),
        entries_max: 50_000_000,
    };
    let shipment = Shipment::new(settings, folder.path())?;
    Ok((folder, outbox, shipment))
}

fn catch_up(entries: u64) -> Result<()> {
    let mut redis = Redis::start();
    let (_folder, outbox, mut shipment) = journal(&redis)?;
    shipment.ship()?;
    redis.terminate();
    let (mut decider, mut next) = Decider::new(BACKLOG_A_TICK);
    let mut written = 0;
    let begun = Instant::now();
    while written < entries {
        written += next.records.len() as u64;
        commit(&outbox, next)?;
        next = decider.tick();
    }
    print_speed("recorded while Redis is away", written, begun);
    redis.restart();
    let begun = Instant::now();
    // The first call notices that Redis was away.
    while shipment.ship().map_or(true, |shipped| shipped.more) {
        assert!(begun.elapsed() < CATCH_UP_MAX, "Redis does not take them");
    }
    print_speed("outbox to Redis", written, begun);
    let mut client = evenkeel();
    // Nobody listens there: a client that has nobody to tell reads all the same.
    client.args(["client", "--server", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"]);
    client.args(["--redis", &redis.url("client")]);
    let folder = TempDir::new()?;
    let begun = Instant::now();
    let client = support::start(client, &folder.path().join("client.stderr.txt"));
    while group_lag(&redis) > 0 {
        assert!(begun.elapsed() < CATCH_UP_MAX, "the client does not read them");
        pause(Duration::from_millis(20));
    }
    print_speed("Redis to a new client, its start included", written, begun);
    drop(client);
    Ok(())
}

/// Entries that the client has not taken yet.
fn group_lag(redis: &Redis) -> u64 {
    let lag = |stream| {
        let groups = redis.cli(&["XINFO", "GROUPS", &format!("evenkeel:{{main}}:{stream}")]);
        let mut lines = groups.lines().skip_while(|line| *line != "lag").skip(1);
        lines.next().and_then(|line| line.parse::<u64>().ok()).unwrap_or(u64::MAX / 4)
    };
    Stream::ALL.into_iter().map(lag).sum()
}

fn print_speed(what: &str, entries: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{what}: {entries} entries in {seconds:.1} s, {:.0}/s, load {}",
        entries as f64 / seconds,
        machine_load()
    );
}

/// CPU of a server that nobody levels, with its Redis, and of one that levels itself.
fn idle(time: Duration) -> Result<()> {
    let pair = Pair::new(World::new("seed", &[]));
    let alone = World::new("seed", &[]);
    let (server, embedded) = (pair.start_server(), alone.start());
    server.wait_until_ready();
    embedded.wait_until_ready();
    pause(WARM_UP);
    let processes = [
        ("server without a client", server.pid()),
        ("its Redis", pair.redis.pid()),
        ("one process, levelling", embedded.pid()),
    ];
    let before = processes.map(|(_, pid)| cpu_seconds(pid));
    let begun = Instant::now();
    pause(time);
    for ((name, pid), before) in processes.into_iter().zip(before) {
        let share = (cpu_seconds(pid)? - before?) / begun.elapsed().as_secs_f64();
        println!("{name}, seed: {:.2} % of a core, load {}", 100.0 * share, machine_load());
    }
    Ok(())
}

const COLUMNS: [&str; 9] = [
    "executed/s",
    "server MB",
    "client MB",
    "Redis MB",
    "entries in Redis",
    "not shipped",
    "not read",
    "late ticks",
    "load",
];

/// A line of the soak.
type Sample = [f64; COLUMNS.len()];

fn soak(time: Duration, executions: u64) -> Result<()> {
    let pair = steady(executions, "enforce");
    let (server, client) = (pair.start_server(), pair.start_client());
    server.wait_until_ready();
    println!("seconds {}", COLUMNS.map(|name| format!("{name:>16}")).join(" "));
    let every = LINE_EVERY.min(time / 8);
    let begun = Instant::now();
    let mut samples = Vec::new();
    let (mut executed_before, mut at) = (0.0, Instant::now());
    while begun.elapsed() < time {
        pause((begun + every * (samples.len() as u32 + 1)).saturating_duration_since(Instant::now()));
        let mut sample = sample(&server, &client, &pair.redis)?;
        let executed = std::mem::replace(&mut executed_before, sample[0]);
        sample[0] = (sample[0] - executed) / at.elapsed().as_secs_f64();
        at = Instant::now();
        print_sample(&begun.elapsed().as_secs().to_string(), &sample);
        samples.push(sample);
    }
    for (n, quarter) in samples.chunks(samples.len().div_ceil(4)).enumerate() {
        let mean = |at: usize| quarter.iter().map(|sample| sample[at]).sum::<f64>() / quarter.len() as f64;
        print_sample(&format!("mean {}/4", n + 1), &std::array::from_fn(mean));
    }
    Ok(())
}

/// As the server's API and /proc tell it; the first is a count, not yet a rate.
fn sample(server: &Running, client: &Running, redis: &Redis) -> Result<Sample> {
    let (journal, status) = (server.get("/api/v1/journal").json(), server.get("/api/v1/status").json());
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let over_streams = |pick: &dyn Fn(&serde_json::Value) -> f64| {
        journal["streams"].as_array().into_iter().flatten().map(pick).sum::<f64>()
    };
    Ok([
        number(&status["capture"]["executed"]),
        resident_mb(server.pid())?,
        resident_mb(client.pid())?,
        resident_mb(redis.pid())?,
        over_streams(&|stream| number(&stream["redis_length"])),
        number(&journal["outbox"]["unshipped"]),
        over_streams(&|stream| number(&stream["groups"][0]["lag"])),
        number(&status["late_ticks"]),
        machine_load().parse()?,
    ])
}

fn print_sample(when: &str, sample: &Sample) {
    let cells = sample.map(|value| format!("{value:>16.1}"));
    println!("{when:8}{}", cells.join(" "));
}

fn machine_load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

fn resident_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// utime + stime: the 14th and 15th field, the 12th and 13th after the name in its brackets.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, after_name) = stat.rsplit_once(") ").ok_or("no name")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / JIFFIES_A_SECOND)
}

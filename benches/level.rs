//! What levelling does to a real PostgreSQL: pgbench beside batches that come in bursts, with the same arrivals in each
//! mode.
//!
//! `cargo bench --bench level [-- SECONDS FIRST_SEED SEEDS]`: modes in turn, each program in a CPU group of its own,
//! arrivals open-loop over connections that were opened before. A batch's delay counts from its arrival in the trace, so
//! that waiting in the client is in it; pgbench's latency counts from its schedule. Ratios are medians over the seeds.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    fs,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use evenkeel_core::chance::Dice;
use support::{
    Running,
    cgroup::Group,
    evenkeel, pause,
    postgres::{Cluster, Postgres},
    redis::free_port,
    start,
};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio_postgres::{Client, NoTls};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Connections of the batches, opened before the first arrival.
const CONNECTIONS: usize = 128;
/// Kinds of batches, and CPU of the cheapest and the dearest of them.
const KINDS: usize = 20;
const CPU_MS: (f64, f64) = (0.7, 500.0);
/// Batches a second, and how many a burst has on average.
const BATCHES_PER_S: f64 = 6.0;
const BURST: u64 = 12;
/// pgbench's transactions a second: one TPC-B for four selects.
const TRANSACTIONS_PER_S: u64 = 300;
/// How long the rest of the batches is waited for at the end.
const DRAIN: Duration = Duration::from_secs(30);

/// A way to run the same arrivals.
struct Mode {
    name: &'static str,
    arguments: &'static [&'static str],
}

const MODES: [Mode; 3] = [
    Mode { name: "off", arguments: &["--mode", "off"] },
    Mode { name: "cap of one", arguments: &["--mode", "enforce", "--at-once", "1"] },
    Mode { name: "enforce", arguments: &["--mode", "enforce"] },
];

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seconds = numbers.next().unwrap_or(60);
    let (first, count) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(2));
    let group = Group::new("database").ok_or("CPU groups are needed here: run as root")?;
    let postgres = Cluster {
        settings: ["max_connections = 300", "shared_buffers = 256MB", "jit = off"].map(Into::into).to_vec(),
        ..Cluster::default()
    }
    .start();
    group.take(postgres.pid());
    let steps_per_ms = prepare(&postgres)?;
    println!("load before: {}", fs::read_to_string("/proc/loadavg")?.trim());
    println!("seed mode        peak/mean  sd/s ms  sd/tick ms  cpu s  p99 ms  delay s  batches  left");
    let mut all: Vec<Vec<Figures>> = MODES.iter().map(|_| Vec::new()).collect();
    for seed in first..first + count {
        let trace = trace(seed, seconds);
        for (mode, figures) in MODES.iter().zip(&mut all) {
            let run = run(&postgres, &group, mode, &trace, seconds, steps_per_ms)?;
            println!("{seed:>4} {:11} {run}", mode.name);
            figures.push(run);
        }
    }
    println!("\nratios to off, medians of {count} seeds");
    println!("mode        peak/mean  sd/s  sd/tick   cpu   p99  batches");
    for (mode, figures) in MODES.iter().zip(&all).skip(1) {
        let ratio = |of: fn(&Figures) -> f64| {
            median(figures.iter().zip(&all[0]).map(|(this, off)| of(this) / of(off)).collect())
        };
        println!(
            "{:11} {:>9.2} {:>5.2} {:>8.2} {:>5.2} {:>5.2} {:>8.2}",
            mode.name,
            ratio(|f| f.peak_over_mean),
            ratio(|f| f.sd_second_ms),
            ratio(|f| f.sd_tick_ms),
            ratio(|f| f.cpu_s),
            ratio(|f| f.p99_ms),
            ratio(|f| f.done as f64),
        );
    }
    Ok(())
}

/// Fills pgbench's tables, makes the kinds of batches; how many turns of an empty loop are a millisecond here.
fn prepare(postgres: &Postgres) -> Result<f64> {
    let filled = postgres.command("pgbench").args(["-i", "-q", "-s", "10"]).output()?;
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    postgres.psql(
        "create function burn(turns int) returns int language plpgsql as \
         'begin for i in 1..turns loop end loop; return turns; end'",
    );
    for kind in 0..KINDS {
        let name = name(kind);
        postgres.psql(&format!(
            "create function {name}(turns int) returns int language sql as 'select burn(turns)'"
        ));
    }
    let turns = 20_000_000.0;
    let took: Vec<f64> = (0..5)
        .map(|_| {
            let begun = Instant::now();
            postgres.psql(&format!("select burn({turns})"));
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    Ok(turns / took.into_iter().fold(f64::MAX, f64::min))
}

/// Kinds are told apart by names without digits.
fn name(kind: usize) -> String {
    format!("work_{}", char::from(b'a' + kind as u8))
}

/// A batch that comes.
#[derive(Clone, Copy)]
struct Arrival {
    at: Duration,
    kind: usize,
    cpu_ms: f64,
}

/// Bursts at random moments; of each kind costs vary by half.
fn trace(seed: u64, seconds: u64) -> Vec<Arrival> {
    let mut dice = Dice::new(seed);
    let uniform = |dice: &mut Dice| dice.roll(1_000_000) as f64 / 1e6;
    let (mut arrivals, mut at) = (Vec::new(), 0.0);
    let between = BURST as f64 / BATCHES_PER_S;
    loop {
        at -= between * (1.0 - uniform(&mut dice)).max(1e-9).ln();
        if at >= seconds as f64 {
            return arrivals;
        }
        for _ in 0..=dice.roll(2 * BURST - 1) {
            let kind = dice.roll(KINDS as u64) as usize;
            let share = kind as f64 / (KINDS - 1) as f64;
            let mean = CPU_MS.0 * (CPU_MS.1 / CPU_MS.0).powf(share);
            let cpu_ms = mean * (0.5 + uniform(&mut dice));
            arrivals.push(Arrival { at: Duration::from_secs_f64(at), kind, cpu_ms });
        }
    }
}

/// What came of a run.
struct Figures {
    peak_over_mean: f64,
    sd_second_ms: f64,
    sd_tick_ms: f64,
    cpu_s: f64,
    p99_ms: f64,
    delay_s: f64,
    done: usize,
    left: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { peak_over_mean, sd_second_ms, sd_tick_ms, cpu_s, p99_ms, delay_s, done, left } = self;
        write!(
            f,
            "{peak_over_mean:>9.2} {sd_second_ms:>8.0} {sd_tick_ms:>11.1} {cpu_s:>6.1} {p99_ms:>7.1} {delay_s:>8.2} \
             {done:>8} {left:>5}"
        )
    }
}

fn run(
    postgres: &Postgres,
    group: &Group,
    mode: &Mode,
    trace: &[Arrival],
    seconds: u64,
    steps_per_ms: f64,
) -> Result<Figures> {
    postgres.psql("checkpoint");
    // Groups end after their processes.
    let of_front = Group::new("front").ok_or("no group")?;
    let of_load = Group::new("load").ok_or("no group")?;
    let (running, _folder, port) = before(postgres, group, mode)?;
    of_front.take(running.pid());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = runtime.block_on(connect(port))?;
    let logs = postgres.socket().join("latencies");
    let mut pgbench = postgres.command("pgbench");
    pgbench.env("PGPORT", port.to_string()).args(["-n", "-c", "8", "-M", "prepared"]);
    pgbench.args(["-b", "tpcb-like@1", "-b", "select-only@4", "-T", &seconds.to_string()]);
    pgbench.args(["-R", &TRANSACTIONS_PER_S.to_string(), "-l", "--log-prefix"]).arg(&logs);
    let mut pgbench = pgbench.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    of_load.take(pgbench.id());
    let log = logs.with_extension(pgbench.id().to_string());
    let sampled = sample(group, seconds);
    let waited = runtime.block_on(send(clients, trace, steps_per_ms, seconds))?;
    let cpu = sampled.join().map_err(|_| "the sampler failed")?;
    let ended = pgbench.wait()?;
    assert!(ended.success(), "pgbench: {ended}");
    let delay_s = waited.iter().sum::<f64>() / waited.len().max(1) as f64;
    let (done, left) = (waited.len(), trace.len() - waited.len());
    Ok(Figures { p99_ms: p99_ms(&log)?, delay_s, done, left, ..judge(&cpu) })
}

fn before(postgres: &Postgres, group: &Group, mode: &Mode) -> Result<(Running, TempDir, u16)> {
    let folder = TempDir::new()?;
    let port = free_port();
    let mut command = evenkeel();
    command.args(["run", "--postgres", &postgres.url("postgres", "postgres")]).args(mode.arguments);
    command.args(["--pg-listen", &format!("127.0.0.1:{port}"), "--listen", "127.0.0.1:0", "--cgroup"]);
    command.arg(group.path()).arg("--data-dir").arg(folder.path().join("data"));
    let running = start(command, &folder.path().join("stderr.txt"));
    running.wait_until_ready();
    Ok((running, folder, port))
}

async fn connect(port: u16) -> Result<Vec<Client>> {
    let address =
        format!("host=127.0.0.1 port={port} user=postgres dbname=postgres application_name=batches");
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, connection) = tokio_postgres::connect(&address, NoTls).await?;
        tokio::spawn(connection);
        clients.push(client);
    }
    Ok(clients)
}

/// Sends each batch when it comes, on a connection that is free; seconds that each was answered later than its CPU time
/// after its arrival.
async fn send(clients: Vec<Client>, trace: &[Arrival], steps_per_ms: f64, seconds: u64) -> Result<Vec<f64>> {
    let begun = tokio::time::Instant::now();
    let free = Arc::new(Semaphore::new(clients.len()));
    let clients = Arc::new(Mutex::new(clients));
    let (done, mut delays) = mpsc::unbounded_channel();
    for arrival in trace.iter().copied() {
        tokio::time::sleep_until(begun + arrival.at).await;
        let (free, clients, done) = (Arc::clone(&free), Arc::clone(&clients), done.clone());
        tokio::spawn(async move {
            let _one = free.acquire().await;
            let Some(client) = clients.lock().expect("nobody panics").pop() else { return };
            let turns = (arrival.cpu_ms * steps_per_ms) as u64;
            let asked = client.simple_query(&format!("select {}({turns})", name(arrival.kind))).await;
            let took = (begun.elapsed().saturating_sub(arrival.at)).as_secs_f64();
            clients.lock().expect("nobody panics").push(client);
            if asked.is_ok() {
                let _ = done.send((took - arrival.cpu_ms / 1e3).max(0.0));
            }
        });
    }
    drop(done);
    let latest = begun + Duration::from_secs(seconds) + DRAIN;
    let mut all = Vec::new();
    while let Ok(Some(delay)) = tokio::time::timeout_at(latest, delays.recv()).await {
        all.push(delay);
    }
    Ok(all)
}

/// CPU of the database in each 100 ms, in ms.
fn sample(group: &Group, seconds: u64) -> std::thread::JoinHandle<Vec<f64>> {
    let reader = group.reader();
    std::thread::spawn(move || {
        let begun = Instant::now();
        let mut last = (begun, reader.cpu());
        let mut ticks = Vec::new();
        for tick in 1..=seconds * 10 {
            let at = begun + Duration::from_millis(tick * 100);
            pause(at.saturating_duration_since(Instant::now()));
            let now = (Instant::now(), reader.cpu());
            // A sample that comes late has more in it: per 100 ms of real time.
            let took = now.0.duration_since(last.0).as_secs_f64();
            ticks.push(now.1.saturating_sub(last.1).as_secs_f64() * 1e3 * 0.1 / took.max(1e-3));
            last = now;
        }
        ticks
    })
}

fn judge(ticks: &[f64]) -> Figures {
    let seconds: Vec<f64> = ticks.chunks_exact(10).map(|second| second.iter().sum()).collect();
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let sd = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    };
    Figures {
        peak_over_mean: seconds.iter().copied().fold(0.0, f64::max) / mean,
        sd_second_ms: sd(&seconds),
        sd_tick_ms: sd(ticks),
        cpu_s: seconds.iter().sum::<f64>() / 1e3,
        p99_ms: 0.0,
        delay_s: 0.0,
        done: 0,
        left: 0,
    }
}

/// Of pgbench's latencies, from its schedule: the third field of each line, in µs.
fn p99_ms(log: &std::path::Path) -> Result<f64> {
    let said = fs::read_to_string(log)?;
    fs::remove_file(log)?;
    let mut latencies: Vec<f64> =
        said.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()).collect();
    latencies.sort_by(f64::total_cmp);
    Ok(latencies[latencies.len() * 99 / 100] / 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

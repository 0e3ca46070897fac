//! What evenkeel costs in latency before a real PostgreSQL, beside no proxy and beside PgBouncer.
//!
//! `cargo bench --bench front [-- SECONDS ROUNDS]`: pgbench against each in turn, so that all meet the same moments of the
//! machine; each program is in a CPU group of its own. Then connections: what 500 of them cost, half of them idle.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use support::{
    Running,
    cgroup::Group,
    evenkeel, pause,
    postgres::{Cluster, Postgres},
    redis::free_port,
    start, wait_until,
};
use tempfile::TempDir;

const PGBOUNCER: &str = "/usr/sbin/pgbouncer";
/// Before anything is measured: caches of texts, plans and pages fill.
const WARM_UP_SECONDS: u64 = 1;
/// Connections that the last table opens.
const CONNECTIONS: usize = 500;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let (seconds, rounds) = (numbers.next().unwrap_or(4), numbers.next().unwrap_or(5));
    let postgres = Cluster {
        settings: ["fsync = on", "max_connections = 1200", "shared_buffers = 256MB"].map(Into::into).to_vec(),
        ..Cluster::default()
    }
    .start();
    let group = Group::new("database");
    if group.is_none() {
        println!("no CPU groups here: programs share the machine as they are");
    }
    if let Some(group) = &group {
        group.take(postgres.pid());
    }
    let filled = postgres.command("pgbench").args(["-i", "-q", "-s", "10"]).output()?;
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let load = fs::read_to_string("/proc/loadavg")?;
    println!("load before: {}", load.trim());

    let ways = ways(&postgres)?;
    for (title, measure, arguments) in [
        ("-S, one client, p50 in µs", Measure::Median, &["-S", "-c", "1"][..]),
        ("-S -M prepared, one client, p50 in µs", Measure::Median, &["-S", "-M", "prepared", "-c", "1"]),
        ("TPC-B, one client, p50 in µs", Measure::Median, &["-c", "1"]),
        ("TPC-B, 8 clients, a second", Measure::Rate, &["-c", "8"]),
        ("-S, 8 clients, a second", Measure::Rate, &["-S", "-c", "8"]),
    ] {
        compare(&postgres, &ways, (title, measure, arguments), seconds, rounds)?;
    }
    drop(ways);
    for record in ["off", "commit"] {
        connections(&postgres, record)?;
    }
    Ok(())
}

/// A way to the database.
struct Way {
    name: &'static str,
    port: u16,
    /// Ends with it.
    _process: Option<Process>,
}

enum Process {
    Evenkeel { _running: Running, _folder: TempDir, _group: Option<Group> },
    Bouncer { child: Child, _group: Option<Group> },
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Bouncer { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ways(postgres: &Postgres) -> Result<Vec<Way>> {
    let mut ways = vec![Way { name: "direct", port: postgres.port(), _process: None }];
    match bouncer(postgres) {
        Ok(way) => ways.push(way),
        Err(error) => {
            println!("not run: PgBouncer ({error}): install it, as with `sudo apt-get install pgbouncer`");
        }
    }
    for record in ["off", "async", "commit", "strict"] {
        let (running, folder, port) = before(postgres, record)?;
        let group = Group::new(record);
        if let Some(group) = &group {
            group.take(running.pid());
        }
        let process = Process::Evenkeel { _running: running, _folder: folder, _group: group };
        ways.push(Way { name: record, port, _process: Some(process) });
    }
    Ok(ways)
}

/// In session mode, as evenkeel is.
fn bouncer(postgres: &Postgres) -> Result<Way> {
    let port = free_port();
    let configuration = postgres.socket().join("pgbouncer.ini");
    let lines = format!(
        "[databases]\npostgres = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = session\ndefault_pool_size = 50\n",
        postgres.port()
    );
    fs::write(&configuration, lines)?;
    let child = postgres.command(PGBOUNCER).arg("-q").arg(&configuration).stdin(Stdio::null()).spawn()?;
    let group = Group::new("pgbouncer");
    if let Some(group) = &group {
        group.take(child.id());
    }
    wait_until("PgBouncer takes connections", || {
        Postgres::psql_at(port, "postgres", "postgres", "select 1").status.success()
    });
    Ok(Way { name: "PgBouncer", port, _process: Some(Process::Bouncer { child, _group: group }) })
}

fn before(postgres: &Postgres, record: &str) -> Result<(Running, TempDir, u16)> {
    let folder = TempDir::new()?;
    let port = free_port();
    let mut command = evenkeel();
    command.args(["run", "--postgres", &postgres.url("postgres", "postgres"), "--record", record]);
    command.args([
        "--pg-listen",
        &format!("127.0.0.1:{port}"),
        "--mode",
        "shadow",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.arg("--data-dir").arg(folder.path().join("data"));
    let running = start(command, &folder.path().join("stderr.txt"));
    running.wait_until_ready();
    Ok((running, folder, port))
}

#[derive(Clone, Copy, PartialEq)]
enum Measure {
    /// Of a transaction's latency.
    Median,
    /// Transactions a second.
    Rate,
}

fn compare(
    postgres: &Postgres,
    ways: &[Way],
    (title, measure, arguments): (&str, Measure, &[&str]),
    seconds: u64,
    rounds: u64,
) -> Result<()> {
    let mut figures = vec![Vec::new(); ways.len()];
    for way in ways {
        pgbench(postgres, way.port, measure, arguments, WARM_UP_SECONDS)?;
    }
    for _ in 0..rounds {
        for (way, figures) in ways.iter().zip(&mut figures) {
            figures.push(pgbench(postgres, way.port, measure, arguments, seconds)?);
        }
    }
    println!("\n{title} (medians of {rounds} turns of {seconds} s)");
    let medians: Vec<f64> = figures.iter().map(|figures| median(figures.clone())).collect();
    println!("{:12} {:>10} {:>10} {:>10} {:>9}", "way", "figure", "÷ direct", "− direct", "range");
    for ((way, figure), all) in ways.iter().zip(&medians).zip(&figures) {
        let (least, most) =
            all.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
        // Each turn against the direct one beside it.
        let ratios = all.iter().zip(&figures[0]).map(|(one, direct)| one / direct).collect();
        println!(
            "{:12} {figure:>10.0} {:>10.2} {:>10.0} {least:>9.0}–{most:.0}",
            way.name,
            median(ratios),
            figure - medians[0]
        );
    }
    Ok(())
}

/// One run.
fn pgbench(
    postgres: &Postgres,
    port: u16,
    measure: Measure,
    arguments: &[&str],
    seconds: u64,
) -> Result<f64> {
    let group = Group::new("load");
    let logs: PathBuf = postgres.socket().join("latencies");
    let mut command = postgres.command("pgbench");
    command.env("PGPORT", port.to_string()).args(["-n", "-T", &seconds.to_string()]).args(arguments);
    if measure == Measure::Median {
        command.arg("-l").arg("--log-prefix").arg(&logs);
    }
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let id = child.id();
    if let Some(group) = &group {
        group.take(id);
    }
    let done = child.wait_with_output()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    match measure {
        Measure::Median => median_of(&logs.with_extension(id.to_string())),
        Measure::Rate => {
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.ok_or_else(|| said.clone())?.parse()?)
        }
    }
}

/// The third field of each line is a transaction's latency, µs.
fn median_of(log: &Path) -> Result<f64> {
    let said = fs::read_to_string(log)?;
    fs::remove_file(log)?;
    let latencies = said.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
    Ok(median(latencies.collect()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What so many connections cost evenkeel: half of them idle, half of them asking ten times a second.
fn connections(postgres: &Postgres, record: &str) -> Result<()> {
    let group = Group::new("front");
    let (running, _folder, port) = before(postgres, record)?;
    if let Some(group) = &group {
        group.take(running.pid());
    }
    let before = of_process(running.pid())?;
    let half = CONNECTIONS / 2;
    let script = postgres.socket().join("nothing.sql");
    fs::write(&script, "select pg_sleep(0)\n")?;
    let sleeping = postgres.socket().join("idle.sql");
    // Idle for the front: pgbench itself sleeps, after one statement.
    fs::write(&sleeping, "select 1;\n\\sleep 20 s\n")?;
    let load = |script: &Path, more: &[&str]| {
        let mut command = postgres.command("pgbench");
        command.env("PGPORT", port.to_string()).args(["-n", "-c", &half.to_string()]).args(more);
        command.arg("-f").arg(script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let mut idle = load(&sleeping, &["-t", "1"])?;
    let busy = load(&script, &["-T", "15", "-R", &(half * 10).to_string()])?;
    let deadline = Instant::now() + Duration::from_secs(8);
    let mut during = before;
    while Instant::now() < deadline {
        pause(Duration::from_millis(250));
        let now = of_process(running.pid())?;
        during = Of { memory_kib: now.memory_kib.max(during.memory_kib), files: now.files.max(during.files) };
    }
    let _ = idle.kill();
    let _ = idle.wait();
    let said = busy.wait_with_output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let latency = said.lines().find(|line| line.starts_with("latency average")).unwrap_or("no latency");
    println!(
        "\n{CONNECTIONS} connections, half idle, --record {record}: {:.0} KiB and {:.1} descriptors each; {latency}",
        (during.memory_kib - before.memory_kib) as f64 / CONNECTIONS as f64,
        (during.files - before.files) as f64 / CONNECTIONS as f64,
    );
    Ok(())
}

#[derive(Clone, Copy)]
struct Of {
    memory_kib: u64,
    files: usize,
}

fn of_process(pid: u32) -> Result<Of> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no memory")?;
    let memory_kib = line.trim().trim_end_matches(" kB").parse()?;
    Ok(Of { memory_kib, files: fs::read_dir(format!("/proc/{pid}/fd"))?.count() })
}

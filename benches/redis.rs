//! From executed to seen, over Redis: a real `evenkeel server` at `x10`, read as a client reads it.
//!
//! `cargo bench --bench redis [-- SECONDS]`. An execution has run when the database has noted it in its own record,
//! which this program watches; it is seen where the client's estimator would get it. The first row counts from the
//! beginning of the tick instead, so the server's own commit is in it.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use evenkeel_actors::{
    ports::{lease::LeaseEpoch, source::Source as _, state_store::LeasedStates as _},
    stores::redis::{Keys, RedisSource, RedisStateStore, Target},
};
use evenkeel_core::{invariants::TruthRow, journal::Record, units::tick::Tick};
use support::{World, pair::Pair};

/// Ticks after the start that do not count: connections are being made.
const WARM_UP_TICKS: u64 = 20;
/// How often the database's record is looked at.
const LOOK_EVERY: Duration = Duration::from_micros(100);

/// When each tick's executions had run, Unix ms.
type Ran = Arc<Mutex<BTreeMap<Tick, f64>>>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(60);
    let pair = Pair::new(World::new("x10", &["--seed", "11"]));
    let server = pair.start_server();
    server.wait_until_ready();
    let ran = Ran::default();
    watch(&pair.world.truth(), Arc::clone(&ran))?;
    let [begun, run] = actix::System::new().block_on(read(&pair, &ran, Duration::from_secs(seconds)))?;
    println!("from                  executions   p50 ms   p90 ms   p99 ms   worst ms");
    for (name, delays) in [("the tick's beginning", begun), ("having run", run)] {
        let quantile = |q: f64| delays[((delays.len() - 1) as f64 * q) as usize];
        let [p50, p90, p99, worst] = [0.5, 0.9, 0.99, 1.0].map(quantile);
        println!("{name:20} {:>11} {p50:>8.2} {p90:>8.2} {p99:>8.2} {worst:>10.2}", delays.len());
    }
    Ok(())
}

fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64() * 1e3)
}

/// Notes when rows of a tick appear in the database's own record.
fn watch(truth: &Path, ran: Ran) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(truth)?);
    std::thread::spawn(move || {
        let mut line = String::new();
        loop {
            let read = reader.read_line(&mut line).unwrap_or(0);
            if read == 0 {
                support::pause(LOOK_EVERY);
            }
            if !line.ends_with('\n') {
                continue;
            }
            if let Ok(row) = line.parse::<TruthRow>() {
                let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
                ran.entry(row.tick).or_insert_with(now_ms);
            }
            line.clear();
        }
    });
    Ok(())
}

/// Milliseconds until each execution was read, from its tick's beginning and from having run, ascending.
async fn read(pair: &Pair, ran: &Ran, time: Duration) -> Result<[Vec<f64>; 2], Box<dyn std::error::Error>> {
    let keys = Keys::new("evenkeel", "main")?;
    let (target, epoch) = (pair.redis.url("client").parse::<Target>()?, LeaseEpoch::default());
    let mut states =
        RedisStateStore::new(target.clone(), keys.clone(), "the bench".to_owned(), epoch.clone());
    let positions = states.take_over()?.positions;
    let mut reads = RedisSource::new(target, keys, epoch).follow(positions);
    let mut seen = Vec::new();
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        let Some(read) = reads.recv().await else { break };
        let now_ms = now_ms();
        for entry in read?.entries {
            if let Record::Executed(executed) = entry.record {
                seen.push((executed.tick, executed.executed_at_ms as f64, now_ms));
            }
        }
    }
    let ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
    let first = seen.first().map_or(Tick(0), |(tick, ..)| tick.after(WARM_UP_TICKS));
    let late: Vec<_> =
        seen.into_iter().filter(|(tick, ..)| *tick >= first && ran.contains_key(tick)).collect();
    let mut delays = [
        late.iter().map(|(_, begun, seen)| seen - begun).collect::<Vec<_>>(),
        late.iter().map(|(tick, _, seen)| seen - ran[tick]).collect(),
    ];
    for delays in &mut delays {
        delays.sort_by(f64::total_cmp);
    }
    Ok(delays)
}

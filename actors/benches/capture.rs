//! How fast executions are captured, each way beside its yardstick in the same run, as ratios.
//!
//! ```text
//! over Redis  commits ─▶ outbox's writer ─▶ outbox ─▶ Shipment ─▶ Redis    against  XADD of the same fields, pipelined
//! embedded    commits ─▶ outbox                                            against  the same rows in plain SQLite tables,
//!                                                                                   and a write + fdatasync of them
//! ```
//!
//! `cargo bench -p evenkeel-actors --bench capture [directory]`: the directory decides which disk is measured.

#[path = "support/decider.rs"]
mod decider;

use std::{
    env,
    fs::File,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use decider::{Decider, NOW_MS};
use evenkeel_actors::stores::{
    outbox::{DATABASE_FILE, Identity, Limits, Outbox, OutboxReader, OutboxWriter},
    redis::{Keys, Shipment, ShipmentSettings},
};
use evenkeel_core::{
    journal::{Commit, Entry, EntryId, PerStream, QueueChange, Record, Stream},
    units::{ids::ExecutionId, lengths::Lengths},
};
use tempfile::TempDir;
use uuid::Uuid;

/// Executions a tick, and ticks: 50,000 executions a second for four seconds.
const LARGE: (u64, usize) = (5_000, 40);
/// As at `x50`.
const SMALL: (u64, usize) = (75, 1_000);
/// Commands in a pipeline of the yardstick.
const PIPELINE: usize = 1_000;
/// Times that each is measured, in turn with its yardstick; the median counts.
const TIMES: usize = 3;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let directory = env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let directory = directory.map_or_else(env::temp_dir, PathBuf::from);
    for fsync in ["everysec", "always"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let redis = Redis::start(&directory, fsync)?;
            let (seconds, entries) = over_redis(&directory, &redis)?;
            ours.push(seconds);
            theirs.push(raw_xadd(&redis, &entries)?);
        }
        report(&format!("over Redis, appendfsync {fsync}"), "pipelined XADD", LARGE, ours, theirs);
    }
    for size in [LARGE, SMALL] {
        let (mut ours, mut sqlite, mut entries_alone, mut file) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let (seconds, batches) = embedded(&directory, size)?;
            ours.push(seconds);
            sqlite.push(raw_sqlite(&directory, &batches, true)?);
            entries_alone.push(raw_sqlite(&directory, &batches, false)?);
            file.push(raw_file(&directory, &batches)?);
        }
        report("embedded", "plain SQLite, the same rows", size, ours.clone(), sqlite);
        report("embedded", "plain SQLite, entries alone", size, ours.clone(), entries_alone);
        report("embedded", "write + fdatasync", size, ours, file);
    }
    Ok(())
}

fn report(
    what: &str,
    yardstick: &str,
    (a_tick, ticks): (u64, usize),
    mut ours: Vec<f64>,
    mut theirs: Vec<f64>,
) {
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let executions = a_tick as f64 * ticks as f64;
    let (ours, theirs) = (executions / ours[TIMES / 2], executions / theirs[TIMES / 2]);
    print(&format!(
        "{what}, {a_tick} a tick: {ours:.0} executions/s; {yardstick}: {theirs:.0}/s; ratio {:.2}",
        ours / theirs
    ));
}

/// What a server decides in as many ticks, and the first commit, which says that nobody levels.
fn commits((a_tick, ticks): (u64, usize)) -> Vec<Commit> {
    let (mut decider, first) = Decider::new(a_tick);
    // What arrives in one tick runs in the next: one more for the last ones.
    std::iter::once(first).chain((0..=ticks).map(|_| decider.tick())).collect()
}

fn open(dir: &Path, limits: Limits) -> Result<Outbox, Error> {
    let identity = Identity { label: "bench".to_owned(), text: String::new(), ..Identity::default() };
    Ok(Outbox::open(dir, &identity, Uuid::new_v4(), NOW_MS, limits)?.0)
}

/// Seconds from the first commit until all stands in Redis, and what stands there.
fn over_redis(directory: &Path, redis: &Redis) -> Result<(f64, Vec<Entry>), Error> {
    let dir = tempfile::tempdir_in(directory)?;
    let commits = commits(LARGE);
    let records: usize = commits.iter().map(|commit| commit.records.len()).sum();
    let writer = OutboxWriter::spawn(open(dir.path(), Limits::shipping())?)?;
    let meta = writer.meta().clone();
    let settings = ShipmentSettings {
        target: redis.url().parse()?,
        keys: Keys::new("evenkeel", "main")?,
        journal: meta.journal,
        writer_epoch: meta.writer_epoch,
        writer: Uuid::new_v4(),
        label: "bench".to_owned(),
        lengths: Lengths::default(),
        age_max: Duration::from_hours(24 * 365),
        entries_max: 50_000_000,
    };
    let mut shipment = Shipment::new(settings, dir.path())?;
    shipment.ship().map_err(|fault| fault.to_string())?;
    let begun = now();
    let committing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        for commit in commits {
            runtime.block_on(writer.commit(commit)).map_err(std::io::Error::other)?;
        }
        Ok::<_, std::io::Error>(())
    });
    while !committing.is_finished() {
        shipment.ship().map_err(|fault| fault.to_string())?;
    }
    committing.join().map_err(|_| "the writer failed")??;
    // One call ships a batch of each stream.
    while redis.shipped()? < records {
        shipment.ship().map_err(|fault| fault.to_string())?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let entries = recorded(dir.path())?;
    let PerStream { executions, queue, windows } = entries;
    Ok((seconds, [queue, executions, windows].into_iter().flatten().collect()))
}

fn recorded(dir: &Path) -> Result<PerStream<Vec<Entry>>, Error> {
    let reader = OutboxReader::open(dir)?;
    let mut all = PerStream::from_fn(|_| Vec::new());
    for stream in Stream::ALL {
        all[stream] = reader.after(stream, EntryId::default(), usize::MAX)?;
    }
    Ok(all)
}

/// Seconds that the same entries take without anything around them.
fn raw_xadd(redis: &Redis, entries: &[Entry]) -> Result<f64, Error> {
    let mut connection = redis::Client::open(redis.url())?.get_connection()?;
    let begun = now();
    for part in entries.chunks(PIPELINE) {
        let mut pipeline = redis::pipe();
        for entry in part {
            let xadd =
                pipeline.cmd("XADD").arg(format!("raw:{}", entry.record.stream())).arg(entry.id.to_string());
            for (name, value) in entry.fields() {
                xadd.arg(name).arg(value);
            }
            xadd.ignore();
        }
        pipeline.query::<()>(&mut connection)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// The rows of a commit, as the outbox wrote them.
#[derive(Default)]
struct Batch {
    entries: Vec<(Stream, EntryRow)>,
    put: Vec<(ExecutionId, String, u32)>,
    removed: Vec<ExecutionId>,
}

/// `seq`, `ms`, `n`, `bytes`, `body`, `crc`.
type EntryRow = (i64, i64, i64, i64, String, i64);

/// Seconds for all commits, and the rows of each.
fn embedded(directory: &Path, size: (u64, usize)) -> Result<(f64, Vec<Batch>), Error> {
    let dir = tempfile::tempdir_in(directory)?;
    let commits = commits(size);
    let mut batches = commits.iter().map(waiting).collect::<Result<Vec<_>, _>>()?;
    let streams: Vec<Vec<Stream>> =
        commits.iter().map(|commit| commit.records.iter().map(Record::stream).collect()).collect();
    let mut outbox = open(dir.path(), Limits::default())?;
    let begun = now();
    for commit in commits {
        outbox.commit(vec![commit]).remove(0)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(outbox);
    let database = rusqlite::Connection::open(dir.path().join(DATABASE_FILE))?;
    let mut rows = PerStream::try_from_fn(|stream| entry_rows(&database, stream))?;
    for (batch, streams) in batches.iter_mut().zip(streams) {
        let next = |stream| Some((stream, rows[stream].next()?));
        batch.entries = streams.into_iter().filter_map(next).collect();
    }
    Ok((seconds, batches))
}

fn entry_rows(
    database: &rusqlite::Connection,
    stream: Stream,
) -> Result<std::vec::IntoIter<EntryRow>, rusqlite::Error> {
    let mut select = database.prepare(&format!("SELECT * FROM {stream} ORDER BY seq"))?;
    let rows = select.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    })?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// What changes in the queue's rows.
fn waiting(commit: &Commit) -> Result<Batch, serde_json::Error> {
    let mut batch = Batch::default();
    for change in &commit.queue {
        match change {
            QueueChange::Put(queued) => {
                let body = serde_json::to_string(queued)?;
                // Not the outbox' sum, and as long.
                let crc = crc32fast::hash(body.as_bytes());
                batch.put.push((queued.execution, body, crc));
            }
            QueueChange::Remove(execution) => batch.removed.push(*execution),
        }
    }
    Ok(batch)
}

/// Seconds that the same rows take in the same tables, with or without the queue's.
fn raw_sqlite(directory: &Path, batches: &[Batch], with_waiting: bool) -> Result<f64, Error> {
    let dir = tempfile::tempdir_in(directory)?;
    let mut connection = rusqlite::Connection::open(dir.path().join("raw.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    for stream in Stream::ALL {
        connection.execute_batch(&format!(
            "CREATE TABLE {stream} (seq INTEGER PRIMARY KEY, ms INTEGER NOT NULL, n INTEGER NOT NULL, \
             bytes INTEGER NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL)"
        ))?;
    }
    connection.execute_batch(
        "CREATE TABLE waiting (execution BLOB PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL) \
         WITHOUT ROWID",
    )?;
    let inserts =
        PerStream::from_fn(|stream| format!("INSERT INTO {stream} VALUES (?1, ?2, ?3, ?4, ?5, ?6)"));
    let begun = now();
    for batch in batches {
        let transaction = connection.transaction()?;
        for (stream, (seq, ms, n, bytes, body, crc)) in &batch.entries {
            transaction.prepare_cached(&inserts[*stream])?.execute((seq, ms, n, bytes, body, crc))?;
        }
        if with_waiting {
            for (execution, body, crc) in &batch.put {
                let mut put = transaction.prepare_cached("INSERT INTO waiting VALUES (?1, ?2, ?3)")?;
                put.execute((execution.0.as_bytes(), body, crc))?;
            }
            for execution in &batch.removed {
                let mut remove = transaction.prepare_cached("DELETE FROM waiting WHERE execution = ?1")?;
                remove.execute([execution.0.as_bytes()])?;
            }
        }
        transaction.commit()?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Seconds that a file of the same entries takes, synced after each batch.
fn raw_file(directory: &Path, batches: &[Batch]) -> Result<f64, Error> {
    let dir = tempfile::tempdir_in(directory)?;
    let mut file = File::create(dir.path().join("raw"))?;
    let begun = now();
    for batch in batches {
        let bodies: String = batch.entries.iter().map(|(_, row)| row.4.as_str()).collect();
        file.write_all(bodies.as_bytes())?;
        file.sync_data()?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// A Redis of its own.
struct Redis {
    port: u16,
    child: Child,
    _folder: TempDir,
}

impl Redis {
    fn start(directory: &Path, fsync: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir_in(directory)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--appendonly", "yes", "--appendfsync", fsync]);
        command.args(["--save", "", "--maxmemory-policy", "noeviction"]).arg("--dir").arg(folder.path());
        let child = command.stdout(Stdio::null()).spawn()?;
        let redis = Self { port, child, _folder: folder };
        let client = redis::Client::open(redis.url())?;
        for _ in 0..100 {
            if client.get_connection().is_ok() {
                return Ok(redis);
            }
            pause(Duration::from_millis(50));
        }
        Err("Redis does not start".into())
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Entries of all streams.
    fn shipped(&self) -> Result<usize, Error> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let mut all = 0;
        for stream in Stream::ALL {
            all += redis::cmd("XLEN")
                .arg(format!("evenkeel:{{main}}:{stream}"))
                .query::<usize>(&mut connection)?;
        }
        Ok(all)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Gone already when it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a bench's own thread has no arbiter to block")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::disallowed_macros, reason = "a bench's stdout is its report")]
fn print(line: &str) {
    println!("{line}");
}

//! `evenkeel journal stat`: what there is.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use clap::Args;
use evenkeel_actors::{
    ports::{
        history::{End, Head, ReadError, StreamInfo},
        state_store::DeadLetter,
    },
    stores::{
        file::snapshot,
        outbox::{self, DATABASE_FILE, Meta, OutboxReader},
        redis::{RedisFault, RedisMeta, RedisReader, StreamState},
    },
};
use evenkeel_core::{
    journal::{PerStream, Positions, ServerState, Start, Stream},
    units::tick::Tick,
};
use serde_json::{Value, json};

use super::{Opened, Which, failed, redis_failed};
use crate::{exit::Exit, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
}

/// One stream, ready to be printed.
struct Row(Stream, StreamInfo);

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let mut journal = options.which.open()?;
    let head = journal.as_history().head().map_err(|error| failed(&error))?;
    match journal {
        Opened::Outbox(reader) => outbox(options, &head, &reader),
        Opened::Redis(reader) => redis(options, &head, reader),
    }
}

fn redis(options: &Options, head: &Head, mut reader: RedisReader) -> anyhow::Result<Exit> {
    let copy = InRedis::read(&mut reader).map_err(|fault| redis_failed(&fault))?;
    output::data(|out| print_redis(out, options, head, &copy))?;
    Ok(Exit::Ok)
}

/// What only Redis tells.
struct InRedis {
    meta: RedisMeta,
    streams: PerStream<StreamState>,
    dead: Vec<DeadLetter>,
    applied: Positions,
}

impl InRedis {
    fn read(reader: &mut RedisReader) -> Result<Self, RedisFault> {
        let (meta, streams) = reader.moment()?;
        Ok(Self { meta, streams, dead: reader.dead_letters()?, applied: reader.applied()? })
    }
}

fn print_redis(out: &mut dyn Write, options: &Options, head: &Head, copy: &InRedis) -> io::Result<()> {
    let InRedis { meta, streams, dead, applied } = copy;
    let (row, group) = (|stream| Row(stream, head.streams[stream]), |stream| streams[stream].group);
    // Without a tick nothing has been shipped yet.
    let tick = (head.next_tick > Tick(0)).then(|| head.next_tick.previous());
    let epoch = head.writer_epoch.map(|epoch| epoch.to_string());
    if options.which.json {
        let streams: Value = Stream::ALL
            .iter()
            .map(|&stream| {
                let mut json = row(stream).json();
                if let Some((delivered, pending)) = group(stream) {
                    json["delivered"] = json!(delivered.to_string());
                    json["pending"] = json!(pending);
                }
                json["applied"] = json!(applied.get(stream).to_string());
                (stream.name().to_owned(), json)
            })
            .collect();
        let stat = json!({
            "journal": head.journal, "identity": head.label, "writer_epoch": epoch, "tick": tick,
            "streams": streams, "lost": meta.lost().collect::<Vec<_>>(), "dead": dead,
        });
        return writeln!(out, "{stat}");
    }
    let or_none = |known: Option<String>| known.unwrap_or_else(|| "-".to_owned());
    writeln!(out, "journal     {}, {}", head.journal, or_none(head.label.clone()))?;
    writeln!(out, "writer      epoch {}", or_none(epoch))?;
    writeln!(out, "tick        {}", or_none(tick.map(|tick| tick.to_string())))?;
    for stream in Stream::ALL {
        writeln!(out, "{}", row(stream))?;
        if let Some((delivered, pending)) = group(stream) {
            writeln!(
                out,
                "            delivered up to {delivered}, {pending} not acknowledged, state up to {}",
                applied.get(stream)
            )?;
        }
    }
    for range in meta.lost() {
        writeln!(out, "lost        {range}")?;
    }
    for dead in dead {
        writeln!(out, "dead        {dead}")?;
    }
    Ok(())
}

fn outbox(options: &Options, head: &Head, reader: &OutboxReader) -> anyhow::Result<Exit> {
    let own = InDirectory::read(&options.which.data_dir, reader).map_err(|error| failed(&error))?;
    output::data(|out| print_outbox(out, options, head, &own))?;
    Ok(Exit::Ok)
}

/// What only the directory tells.
struct InDirectory {
    meta: Meta,
    head: outbox::Head,
    starts: Vec<Start>,
    database_bytes: u64,
    log_bytes: u64,
    /// In seconds.
    snapshot_age: Option<f64>,
}

impl InDirectory {
    fn read(dir: &Path, reader: &OutboxReader) -> Result<Self, ReadError> {
        let age = |at| SystemTime::now().duration_since(at).unwrap_or_default().as_secs_f64();
        Ok(Self {
            meta: reader.meta()?,
            head: reader.head()?,
            starts: reader.starts()?,
            database_bytes: size(&dir.join(DATABASE_FILE)),
            log_bytes: size(&dir.join(format!("{DATABASE_FILE}-wal"))),
            snapshot_age: snapshot::stored_at(dir).map(age),
        })
    }
}

fn print_outbox(out: &mut dyn Write, options: &Options, at: &Head, own: &InDirectory) -> io::Result<()> {
    let InDirectory { meta, head, starts, database_bytes, log_bytes, snapshot_age } = own;
    let row = |stream| Row(stream, at.streams[stream]);
    if options.which.json {
        let streams: Value =
            Stream::ALL.iter().map(|&stream| (stream.name().to_owned(), row(stream).json())).collect();
        let stat = json!({
            "journal": at.journal, "identity": at.label, "writer_epoch": at.writer_epoch,
            "created_at_ms": meta.created_at_ms, "revision": head.revision, "committed_at_ms": head.at_ms,
            "next_tick": head.state.next_tick, "mode": head.state.mode, "queue": head.queue_length,
            "streams": streams, "database_bytes": database_bytes, "log_bytes": log_bytes,
            "snapshot_age_ms": snapshot_age.map(|seconds| (seconds * 1e3) as u64),
            "name": meta.name, "starts": starts,
        });
        return writeln!(out, "{stat}");
    }
    writeln!(out, "journal     {}, {}", meta.journal, meta.identity.label)?;
    writeln!(out, "writer      epoch {}, revision {}", meta.writer_epoch, head.revision)?;
    if let Some(start) = starts.last() {
        let before = match start.after_orderly_end {
            Some(true) => "after an end in order",
            Some(false) => "after a kill or a crash",
            None => "after none that is noted",
        };
        writeln!(out, "started     at tick {}, {before}", start.first_tick)?;
    }
    let ServerState { next_tick, mode, .. } = &head.state;
    writeln!(out, "next tick   {next_tick}, mode {mode}, {} queued", head.queue_length)?;
    for stream in Stream::ALL {
        writeln!(out, "{}", row(stream))?;
    }
    let (total, log) = (megabytes(database_bytes + log_bytes), megabytes(*log_bytes));
    writeln!(out, "on disk     {total} MB, {log} MB of it in the write-ahead log")?;
    match snapshot_age {
        Some(seconds) => writeln!(out, "snapshot    {seconds:.0} s old"),
        None => writeln!(out, "snapshot    none"),
    }
}

fn size(path: &Path) -> u64 {
    // The log is gone after a clean end.
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

impl Row {
    /// Where one end cannot be read, neither is told.
    fn ends(&self) -> Option<(End, End)> {
        self.1.first.zip(self.1.last)
    }

    fn json(&self) -> Value {
        let end = |end: End| json!({"id": end.id.to_string(), "tick": end.tick});
        let ends = self.ends().map(|(first, last)| (end(first), end(last)));
        let (first, last) = ends.unwrap_or_default();
        json!({"length": self.1.length, "bytes": self.1.bytes, "first": first, "last": last})
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(stream, StreamInfo { length, bytes, .. }) = self;
        write!(f, "{:<11} {length} entries", stream.name())?;
        if let Some(bytes) = bytes {
            write!(f, ", {} MB", megabytes(*bytes))?;
        }
        if let Some((first, last)) = self.ends() {
            write!(f, ", {} (tick {}) to {} (tick {})", first.id, first.tick, last.id, last.tick)?;
        }
        Ok(())
    }
}

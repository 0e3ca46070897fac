//! `evenkeel journal stat`: what there is.

use std::{
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use clap::Args;
use evenkeel_actors::{
    ports::state_store::DeadLetter,
    stores::{
        file::snapshot,
        outbox::{DATABASE_FILE, OutboxReader},
        redis::{RedisFault, RedisMeta, RedisReader, StreamState},
    },
};
use evenkeel_core::journal::{Entry, PerStream, Positions, Stream};
use serde_json::{Value, json};

use super::{Opened, Which, failed, redis_failed};
use crate::{exit::Exit, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
}

/// One stream, ready to be printed.
struct Row {
    stream: Stream,
    length: u64,
    /// Of their bodies, where that is known.
    bytes: Option<u64>,
    /// First and last id, with the ticks that they speak of.
    ends: Option<[(String, u64); 2]>,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    match options.which.open()? {
        Opened::Outbox(reader) => outbox(options, &reader),
        Opened::Redis(mut reader) => redis(options, &mut reader),
    }
}

fn redis(options: &Options, reader: &mut RedisReader) -> anyhow::Result<Exit> {
    let read = |reader: &mut RedisReader| {
        Ok::<_, RedisFault>((reader.moment()?, reader.dead_letters()?, reader.applied()?))
    };
    let ((meta, streams), dead, applied) = read(reader).map_err(|fault| redis_failed(&fault))?;
    output::data(|out| print_redis(out, options, &meta, &streams, &dead, &applied))?;
    Ok(Exit::Ok)
}

fn print_redis(
    out: &mut dyn Write,
    options: &Options,
    meta: &RedisMeta,
    streams: &PerStream<StreamState>,
    dead: &[DeadLetter],
    applied: &Positions,
) -> io::Result<()> {
    let row = |stream| {
        let StreamState { length, first, last, group, .. } = &streams[stream];
        let ends = first.as_ref().zip(last.as_ref()).map(|(first, last)| [first, last].map(described));
        (Row { stream, length: *length, bytes: None, ends }, *group)
    };
    if options.which.json {
        let streams: Value = Stream::ALL
            .iter()
            .map(|&stream| {
                let (row, group) = row(stream);
                let mut json = row.json();
                if let Some((delivered, pending)) = group {
                    json["delivered"] = json!(delivered.to_string());
                    json["pending"] = json!(pending);
                }
                json["applied"] = json!(applied.get(stream).to_string());
                (stream.name().to_owned(), json)
            })
            .collect();
        let stat = json!({
            "journal": meta.get("journal"), "identity": meta.get("label"), "writer_epoch": meta.get("writer_epoch"),
            "tick": meta.tick(), "streams": streams, "lost": meta.lost().collect::<Vec<_>>(), "dead": dead,
        });
        return writeln!(out, "{stat}");
    }
    let field = |name| meta.get(name).unwrap_or("-");
    writeln!(out, "journal     {}, {}", field("journal"), field("label"))?;
    writeln!(out, "writer      epoch {}", field("writer_epoch"))?;
    writeln!(out, "tick        {}", field("tick"))?;
    for stream in Stream::ALL {
        let (row, group) = row(stream);
        writeln!(out, "{row}")?;
        if let Some((delivered, pending)) = group {
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

fn outbox(options: &Options, reader: &OutboxReader) -> anyhow::Result<Exit> {
    let dir = &options.which.data_dir;
    let meta = reader.meta().map_err(|error| failed(&error))?;
    let head = reader.head().map_err(|error| failed(&error))?;
    let starts = reader.starts().map_err(|error| failed(&error))?;
    let mut rows = Vec::new();
    for stream in Stream::ALL {
        let info = reader.info(stream).map_err(|error| failed(&error))?;
        let end = |at: Option<(u64, _)>| {
            let Some((seq, _)) = at else { return Ok(None) };
            reader.entries(stream, seq..=seq).map(|mut entries| entries.pop())
        };
        let first = end(info.first).map_err(|error| failed(&error))?;
        let last = end(info.last).map_err(|error| failed(&error))?;
        let ends = first.zip(last).map(|(first, last)| [first, last].map(|entry| described(&entry)));
        rows.push(Row { stream, length: info.length, bytes: info.bytes, ends });
    }
    let database_bytes = size(&dir.join(DATABASE_FILE));
    let log_bytes = size(&dir.join(format!("{DATABASE_FILE}-wal")));
    let snapshot_age = snapshot::stored_at(dir)
        .map(|at| SystemTime::now().duration_since(at).unwrap_or_default().as_secs_f64());

    output::data(|out| {
        if options.which.json {
            let streams: Value = rows.iter().map(|row| (row.stream.name().to_owned(), row.json())).collect();
            let stat = json!({
                "journal": meta.journal, "identity": meta.identity.label, "writer_epoch": meta.writer_epoch,
                "created_at_ms": meta.created_at_ms, "revision": head.revision, "committed_at_ms": head.at_ms,
                "next_tick": head.state.next_tick, "mode": head.state.mode, "queue": head.queue_length,
                "streams": streams, "database_bytes": database_bytes, "log_bytes": log_bytes,
                "snapshot_age_ms": snapshot_age.map(|seconds| (seconds * 1e3) as u64),
                "name": meta.name, "starts": starts,
            });
            writeln!(out, "{stat}")?;
        } else {
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
            writeln!(
                out,
                "next tick   {}, mode {}, {} queued",
                head.state.next_tick, head.state.mode, head.queue_length
            )?;
            for row in rows {
                writeln!(out, "{row}")?;
            }
            let (total, log) = (megabytes(database_bytes + log_bytes), megabytes(log_bytes));
            writeln!(out, "on disk     {total} MB, {log} MB of it in the write-ahead log")?;
            match snapshot_age {
                Some(seconds) => writeln!(out, "snapshot    {seconds:.0} s old")?,
                None => writeln!(out, "snapshot    none")?,
            }
        }
        Ok(())
    })?;
    Ok(Exit::Ok)
}

fn described(entry: &Entry) -> (String, u64) {
    (entry.id.to_string(), entry.record.tick().0)
}

fn size(path: &Path) -> u64 {
    // The log is gone after a clean end.
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

impl Row {
    fn json(&self) -> Value {
        let [first, last] = match &self.ends {
            Some(ends) => ends.each_ref().map(|(id, tick)| json!({"id": id, "tick": tick})),
            None => [Value::Null, Value::Null],
        };
        json!({"length": self.length, "bytes": self.bytes, "first": first, "last": last})
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stream, length, bytes, ends } = self;
        write!(f, "{:<11} {length} entries", stream.name())?;
        if let Some(bytes) = bytes {
            write!(f, ", {} MB", megabytes(*bytes))?;
        }
        if let Some([(first, first_tick), (last, last_tick)]) = ends {
            write!(f, ", {first} (tick {first_tick}) to {last} (tick {last_tick})")?;
        }
        Ok(())
    }
}

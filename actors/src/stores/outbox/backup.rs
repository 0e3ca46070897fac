//! Backups: all of a journal in one file, as it stood at one moment, taken beside a running server.
//!
//! The state rows and the queue are read in one short transaction. Entries never change, so they follow in parts, each in
//! a transaction of its own, the youngest first: the log of a running server can be emptied between them, and what
//! retention removes meanwhile is missing at the old end alone. SQLite's own ways to copy a database begin again with
//! each commit of another process, or hold the log until they are through.
//!
//! The file is a database like the one it is a copy of. It says of itself that it is a copy, so that nobody serves from it
//! as if nothing had run since: see [`super::restore()`].

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use evenkeel_core::{
    journal::{PerStream, Stream},
    units::tick::Tick,
};
use rusqlite::Connection;
use uuid::Uuid;

use super::{
    error::StoreError,
    head::{self, CopyRow, GapRow, HeadRow, KeptRow, Meta},
    reader::{OutboxReader, chunks},
    released_rows, schema, starts, stream_rows, texts,
    verify::Verified,
};
use crate::{
    ports::history::ReadError,
    stores::file::{snapshot, state::DEAD_LETTERS_FILE},
};

/// Other files of a data directory that belong to the journal's state: what the embedded client has learned, and what it
/// could not apply. The witness is made anew, the lock belongs to a process.
pub(super) const BESIDE: [&str; 3] = [snapshot::FILES[0], snapshot::FILES[1], DEAD_LETTERS_FILE];

/// A copy could not be made, or not be put back.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is a file of that name.
    #[error("{} exists: a backup overwrites nothing, choose another file", .0.display())]
    Exists(PathBuf),
    /// The directory to restore to is in use.
    #[error("{} is not empty: a copy is put back into a new or empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// The file is a part of a data directory.
    #[error(
        "{} has a write-ahead log beside it, without which it is not whole: it is no backup but a data directory's; \
         `evenkeel journal backup` makes one", .0.display()
    )]
    NotAlone(PathBuf),
    /// What the copy says does not hold.
    #[error("{} is not whole, nothing was put back: {what}", file.display())]
    NotWhole {
        /// The copy.
        file: PathBuf,
        /// The first thing that is wrong.
        what: String,
    },
    /// Retention was faster.
    #[error("retention removed entries of the last tick while they were copied: try again")]
    Overtaken,
    /// A file cannot be read or written.
    #[error("{} cannot be used: {reason}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Of which journal.
    pub journal: Uuid,
    /// What that belongs to, for people.
    pub label: String,
    /// When the copy was made, Unix ms.
    pub made_at_ms: u64,
    /// The first tick that it does not tell of.
    pub next_tick: Tick,
    /// Entries of each stream.
    pub entries: PerStream<u64>,
    /// Executions that waited.
    pub waiting: u64,
}

/// Copies the journal in `dir` to the file `to`. `progress` is told how many of how many entries have been copied.
///
/// # Errors
/// [`CopyError`]; there is no file `to` then.
pub fn back_up(
    dir: &Path,
    to: &Path,
    now_ms: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result<Copied, CopyError> {
    if to.symlink_metadata().is_ok() {
        return Err(CopyError::Exists(to.to_owned()));
    }
    copy(dir, to, now_ms, &mut progress)
}

/// As [`back_up`], in place of a file that is there.
pub(super) fn replace(dir: &Path, to: &Path, now_ms: u64) -> Result<Copied, CopyError> {
    copy(dir, to, now_ms, &mut |_, _| {})
}

/// The copy is of the journal's own format, whichever that is.
fn copy(dir: &Path, to: &Path, now_ms: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Copied, CopyError> {
    // Before the journal: what the client has applied is then never ahead of what is copied.
    let beside = read_beside(dir)?;
    let reader = OutboxReader::open(dir)?;
    let part = part_of(to);
    remove_if_there(&part)?;
    let copied = write_part(&reader, &part, &beside, now_ms, progress)
        .and_then(|copied| settle(&part, to).map(|()| copied));
    if copied.is_err() {
        // It helps nobody, and what went wrong is told.
        let _ = fs::remove_file(&part);
    }
    copied
}

fn write_part(
    reader: &OutboxReader,
    part: &Path,
    beside: &[(&'static str, Vec<u8>)],
    now_ms: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Copied, CopyError> {
    let unwritable = |error: StoreError| CopyError::Read(error.read(part));
    let target = schema::connect_copy(part).map_err(unwritable)?;
    target.execute_batch("BEGIN").map_err(|error| unwritable(error.into()))?;
    let (meta, head, mut kept, gap) = reader.read(|source| {
        schema::create(&target, schema::format(source)?.cast_unsigned())?;
        copy_waiting(source, &target)?;
        released_rows::copy(source, &target)?;
        texts::copy(source, &target)?;
        if starts::exists(source)? {
            starts::create(&target)?;
        }
        for start in starts::read_all(source)? {
            starts::write(&target, &start)?;
        }
        Ok((
            head::read::<Meta>(source)?,
            head::read::<HeadRow>(source)?,
            head::read::<KeptRow>(source)?,
            head::find::<GapRow>(source)?,
        ))
    })?;
    let seqs = PerStream::from_fn(|stream| kept.first_seq[stream]..=head.numbering.last_seq(stream));
    let total = Stream::ALL.iter().map(|&stream| seqs[stream].clone().count() as u64).sum();
    let mut entries = PerStream::default();
    for stream in Stream::ALL {
        for chunk in chunks(seqs[stream].clone()).rev() {
            let copied =
                reader.read(|source| copy_entries(source, &target, stream, *chunk.start(), *chunk.end()))?;
            entries[stream] += copied;
            progress(Stream::ALL.iter().map(|&stream| entries[stream]).sum(), total);
            if copied < chunk.count() as u64 {
                break;
            }
        }
        kept.first_seq[stream] = head.numbering.last_seq(stream) + 1 - entries[stream];
    }
    if kept.first_seq.executions > head.batch_first_seq {
        return Err(CopyError::Overtaken);
    }
    let copy = CopyRow { made_at_ms: now_ms };
    let rows = || -> Result<(), StoreError> {
        head::write(&target, &meta)?;
        head::write(&target, &head)?;
        head::write(&target, &kept)?;
        if let Some(gap) = &gap {
            head::write(&target, gap)?;
        }
        for (name, bytes) in beside {
            head::write_file(&target, name, bytes)?;
        }
        head::write(&target, &copy)?;
        Ok(target.execute_batch("COMMIT")?)
    };
    rows().map_err(unwritable)?;
    Ok(Copied {
        journal: meta.journal,
        label: meta.identity.label,
        made_at_ms: now_ms,
        next_tick: head.state.next_tick,
        entries,
        waiting: head.queue.rows,
    })
}

/// Checks and copies what is left of `first..=last`; how many that were.
fn copy_entries(
    source: &Connection,
    target: &Connection,
    stream: Stream,
    first: u64,
    last: u64,
) -> Result<u64, StoreError> {
    let kept: KeptRow = head::read(source)?;
    let first = first.max(kept.first_seq[stream]);
    let checked = stream_rows::read(source, stream, first..=last)?.len() as u64;
    stream_rows::copy(source, target, stream, first..=last)?;
    Ok(checked)
}

fn copy_waiting(source: &Connection, target: &Connection) -> Result<(), StoreError> {
    let mut insert = target.prepare("INSERT INTO waiting VALUES (?1, ?2, ?3)")?;
    let mut select = source.prepare("SELECT execution, body, crc FROM waiting")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        insert.execute((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))?;
    }
    Ok(())
}

fn read_beside(dir: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, CopyError> {
    let mut found = Vec::new();
    for name in BESIDE {
        let path = dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => found.push((name, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&path, &error)),
        }
    }
    Ok(found)
}

/// A name for what is not complete yet.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Makes a complete file durable under its name.
pub(super) fn settle(part: &Path, path: &Path) -> Result<(), CopyError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(part, path))
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|error| unusable(path, &error))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(path, &error)),
        _ => Ok(()),
    }
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> CopyError {
    CopyError::Io { path: path.to_owned(), reason: error.to_string() }
}

/// The first thing that a verification found, if it did.
pub(super) fn first_fault(verified: &Verified) -> Option<String> {
    let damage = verified.damage.as_ref().map(ToString::to_string);
    damage.or_else(|| verified.report.findings.first().first().map(ToString::to_string))
}

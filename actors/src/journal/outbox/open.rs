//! Opening: one writer, the right journal, everything whole that a start relies on.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use evenkeel_core::{
    journal::{Executed, Record, Recovered, Stream},
    tick::Tick,
};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{
    checkpoint::Checkpointer,
    damage::Damage,
    error::{OpenError, StoreError},
    head::{self, HeadRow, Identity, KeptRow, Meta},
    limits::Limits,
    queue_rows, schema,
    store::Outbox,
    stream_rows,
    witness::{self, Witness},
};

/// The file whose lock the writer holds.
pub const LOCK_FILE: &str = "outbox.lock";

/// The right to write, until it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// What is read and checked before anything is written or decided.
pub(super) struct Found {
    pub recovered: Recovered,
    pub head: HeadRow,
    pub kept: KeptRow,
}

pub(super) fn open(
    dir: &Path,
    identity: &Identity,
    journal: Uuid,
    now_ms: u64,
    limits: Limits,
) -> Result<(Outbox, Recovered), OpenError> {
    let unusable = |error: std::io::Error| OpenError::Io { path: dir.to_owned(), reason: error.to_string() };
    create_dir(dir).map_err(unusable)?;
    let lock = lock(dir)?;
    let file = schema::database(dir);
    let testimony = witness::read(dir);
    let existed = fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0);
    if !existed && testimony.is_some_and(|testimony| testimony.revision > 0) {
        return Err(Damage::new(
            &file,
            "the database",
            "it is missing or empty, and other files of its journal are there",
        )
        .into());
    }
    let connection = schema::connect_writer(&file).map_err(|error| error.open(&file))?;
    if !existed || schema::is_empty(&connection).map_err(|error| error.open(&file))? {
        create(&connection, identity, journal, now_ms).map_err(|error| error.open(&file))?;
    }
    schema::check(&connection).map_err(|error| error.open(&file))?;

    let meta: Meta = head::read(&connection).map_err(|error| error.open(&file))?;
    if meta.identity.text != identity.text {
        return Err(other_identity(dir, &meta.identity, identity));
    }
    let found = read_recovered(&connection).map_err(|error| error.open(&file))?;
    witness::compare(testimony, meta.journal, found.head.revision, &schema::log(dir))?;
    let clock_behind_ms = found.head.numbering.clock_behind_ms(now_ms)?;

    let meta = Meta { writer_epoch: meta.writer_epoch + 1, ..meta };
    head::write(&connection, &meta).map_err(|error| error.open(&file))?;
    let mut witness = Witness::create(dir, meta.journal).map_err(unusable)?;
    witness.write(found.head.revision).map_err(unusable)?;
    let checkpoints = schema::connect_writer(&file).map_err(|error| error.open(&file))?;
    let checkpointer = Checkpointer::spawn(checkpoints, &file).map_err(unusable)?;

    let Found { recovered, head, kept } = found;
    let outbox = Outbox {
        checkpointer,
        connection,
        file,
        witness,
        meta,
        head,
        kept,
        limits,
        clock_behind_ms,
        _lock: lock,
    };
    Ok((outbox, recovered))
}

/// Everything that a start relies on, each part of it checked: state rows, the queue, the ends of the
/// streams. What lies between is checked by whoever reads it.
pub(super) fn read_recovered(connection: &Connection) -> Result<Found, StoreError> {
    let head: HeadRow = head::read(connection)?;
    let kept: KeptRow = head::read(connection)?;
    let queue = queue_rows::read_all(connection, head.queue)?;
    for stream in Stream::ALL {
        check_ends(connection, stream, &head, &kept)?;
    }
    let last_batch = last_batch(connection, &head)?;
    let recovered = Recovered { revision: head.revision, state: head.state.clone(), queue, last_batch };
    Ok(Found { recovered, head, kept })
}

fn check_ends(
    connection: &Connection,
    stream: Stream,
    head: &HeadRow,
    kept: &KeptRow,
) -> Result<(), StoreError> {
    let (first, last) = (kept.first_seq[stream], head.numbering.last_seq(stream));
    // Nothing yet, or nothing but what another journal said.
    if last < first {
        return Ok(());
    }
    stream_rows::read_one(connection, stream, first)?;
    let end = stream_rows::read_one(connection, stream, last)?;
    if (end.entry.id, end.bytes) != (head.numbering.last_id(stream), head.bytes[stream]) {
        let what = "it is not the entry that the state row `head` names as the last one";
        return Err(StoreError::damaged(stream_rows::name(stream, last), what));
    }
    Ok(())
}

fn last_batch(connection: &Connection, head: &HeadRow) -> Result<Vec<Executed>, StoreError> {
    let Some(tick) = head.state.next_tick.0.checked_sub(1).map(Tick) else { return Ok(Vec::new()) };
    let last = head.numbering.last_seq(Stream::Executions);
    let rows = stream_rows::read(connection, Stream::Executions, head.batch_first_seq..=last)?;
    let executed = rows.into_iter().filter_map(|stored| match stored.entry.record {
        Record::Executed(executed) if executed.tick == tick => Some(executed),
        _ => None,
    });
    Ok(executed.collect())
}

fn create(
    connection: &Connection,
    identity: &Identity,
    journal: Uuid,
    now_ms: u64,
) -> Result<(), StoreError> {
    let meta = Meta { journal, writer_epoch: 0, identity: identity.clone(), created_at_ms: now_ms };
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    schema::create(&transaction)?;
    head::write(&transaction, &meta)?;
    head::write(&transaction, &HeadRow { batch_first_seq: 1, ..HeadRow::default() })?;
    head::write(&transaction, &KeptRow::default())?;
    transaction.commit()?;
    Ok(())
}

/// Creates the directory, and makes its name durable where it is new.
fn create_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn lock(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join(LOCK_FILE);
    let unusable = |error: std::io::Error| OpenError::Io { path: path.clone(), reason: error.to_string() };
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.is_empty() { "of unknown process id".to_owned() } else { holder };
            return Err(OpenError::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // Only for the message above: the lock itself is the kernel's.
    let holder = format!("process {}", std::process::id());
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(holder.as_bytes()))
        .map_err(unusable)?;
    Ok(Lock { _file: file })
}

fn other_identity(dir: &Path, stored: &Identity, given: &Identity) -> OpenError {
    // Labels may be the same where parameters differ: then the whole texts say what does.
    let describe = |identity: &Identity| {
        if stored.label == given.label {
            format!("{} ({})", identity.label, identity.text)
        } else {
            identity.label.clone()
        }
    };
    OpenError::OtherIdentity { dir: dir.to_owned(), stored: describe(stored), given: describe(given) }
}

//! Opening: one writer, the right journal, everything whole that a start relies on.

use std::{
    fs::{self, File},
    path::Path,
};

use evenkeel_core::{
    journal::{
        DifferentParameter, Executed, FORMAT, Numbering, Record, Recovered, Start, Stream,
        different_parameters,
    },
    units::tick::Tick,
};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{
    checkpoint::{Checkpointer, SpawnError},
    error::{ClockError, OpenError, StoreError},
    fence::Files,
    head::{self, CopyRow, HeadRow, Identity, KeptRow, Meta},
    limits::Limits,
    lock::Lock,
    migrate, queue_rows, released_rows, schema, starts,
    store::Outbox,
    stream_rows, texts,
    witness::{self, Testimony, Witness},
};
use crate::{ports::history::Damage, supervise::fault};

/// What the outbox is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be written.
    Serve,
    /// To decide how a journal that was put back from a copy goes on.
    Adopt,
}

/// What is read and checked before anything is written or decided.
pub(super) struct Found {
    pub recovered: Recovered,
    pub head: HeadRow,
    pub kept: KeptRow,
}

/// What an outbox is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// What it must belong to.
    pub identity: &'a Identity,
    /// The database's name; without one nothing is asked or noted.
    pub name: Option<&'a str>,
    /// What the journal is called if it is a new one.
    pub journal: Uuid,
    /// The clock, Unix ms.
    pub now_ms: u64,
    /// How much is kept.
    pub limits: Limits,
    /// What for.
    pub purpose: Purpose,
    /// Whether somebody says that the clock is right now and was wrong before. Noted, so that it need not be said again.
    pub clock_was_wrong: bool,
}

pub(super) fn open(opening: &Opening<'_>) -> Result<(Outbox, Recovered), OpenError> {
    let Opening { dir, identity, name, journal, now_ms, limits, clock_was_wrong, .. } = *opening;
    let unusable = |error: std::io::Error| OpenError::Io { path: dir.to_owned(), reason: error.to_string() };
    create_dir(dir).map_err(unusable)?;
    let lock = Lock::take(dir)?;
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
    let mut connection = schema::connect_writer(&file).map_err(|error| error.open(&file))?;
    if !existed || schema::is_empty(&connection).map_err(|error| error.open(&file))? {
        create(&connection, identity, name, journal, now_ms).map_err(|error| error.open(&file))?;
    }
    schema::check(&connection).map_err(|error| error.open(&file))?;
    let Begun { found, meta, clock_behind_ms, clock_ahead_ms } = begin(&mut connection, opening, testimony)?;

    let mut witness = Witness::create(dir, meta.journal).map_err(unusable)?;
    witness.write(found.head.revision).map_err(unusable)?;
    let checkpointer = Checkpointer::spawn(&file).map_err(|error| match error {
        SpawnError::Store(error) => error.open(&file),
        SpawnError::Thread(error) => unusable(error),
    })?;
    let files = Files::of(dir).map_err(unusable)?;

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
        clock_ahead_ms,
        clock_was_wrong,
        recovery: 0,
        dir: dir.to_owned(),
        files,
        over: None,
        lock,
    };
    Ok((outbox, recovered))
}

/// A writer that has become the journal's.
struct Begun {
    found: Found,
    meta: Meta,
    clock_behind_ms: u64,
    clock_ahead_ms: u64,
}

/// Reads what there is and becomes its writer, in one transaction: a writer that lives unseen, because its lock file is
/// gone, commits before it or is refused after it, so that both know the same last batch.
fn begin(
    connection: &mut Connection,
    opening: &Opening<'_>,
    testimony: Option<Testimony>,
) -> Result<Begun, OpenError> {
    let Opening { dir, identity, name, now_ms, purpose, clock_was_wrong, .. } = *opening;
    let file = schema::database(dir);
    let store = |error: StoreError| error.open(&file);
    let sqlite = |error: rusqlite::Error| StoreError::from(error).open(&file);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    let mut meta: Meta = head::read(&transaction).map_err(store)?;
    if !identity.is(&meta.identity) {
        return Err(other_identity(dir, &meta.identity, identity));
    }
    // What has been added since stands there from now on, whatever its default becomes.
    meta.identity = Identity { label: meta.identity.label, defaults: String::new(), ..identity.clone() };
    if let Some(given) = name {
        let stored = meta.name.get_or_insert_with(|| given.to_owned());
        if stored != given {
            let (stored, given) = (stored.clone(), given.to_owned());
            return Err(OpenError::OtherName { dir: dir.to_owned(), stored, given });
        }
    }
    let found = read_recovered(&transaction).map_err(store)?;
    witness::compare(testimony, meta.journal, found.head.revision, &schema::log(dir))?;
    if purpose == Purpose::Serve && head::find::<CopyRow>(&transaction).map_err(store)?.is_some() {
        return Err(OpenError::Copy { dir: dir.to_owned(), next_tick: found.head.state.next_tick });
    }
    let numbering = found.head.numbering;
    let clock_behind_ms = accept_clock(&mut meta, &numbering, now_ms, clock_was_wrong)?;
    let last_ms = numbering.last_ms();
    let clock_ahead_ms = if last_ms > 0 { now_ms.saturating_sub(last_ms) } else { 0 };

    migrate::migrate(&transaction, dir, now_ms)?;
    texts::create(&transaction).map_err(store)?;
    let before = starts::read(&transaction, meta.writer_epoch).map_err(store)?;
    meta.writer_epoch += 1;
    let start = Start {
        writer_epoch: meta.writer_epoch,
        at_ms: now_ms,
        first_tick: found.head.state.next_tick,
        after_orderly_end: before.map(|before| before.ended_at_ms.is_some()),
        ended_at_ms: None,
        replaced: None,
    };
    starts::write(&transaction, &start).map_err(store)?;
    starts::forget_old(&transaction, meta.writer_epoch).map_err(store)?;
    head::write(&transaction, &meta).map_err(store)?;
    fault::point!("after-begin-write");
    transaction.commit().map_err(sqlite)?;
    fault::point!("after-begin-fsync");
    Ok(Begun { found, meta, clock_behind_ms, clock_ahead_ms })
}

/// How many ms the clock is behind; above 24 h only where somebody says, or has said, that it was wrong before.
pub(super) fn accept_clock(
    meta: &mut Meta,
    numbering: &Numbering,
    now_ms: u64,
    was_wrong: bool,
) -> Result<u64, ClockError> {
    let known_wrong_ms = meta.clock_was_wrong_ms.unwrap_or(0);
    match numbering.clock_behind_ms(now_ms, known_wrong_ms) {
        Err(_) if was_wrong => {
            meta.clock_was_wrong_ms = Some(numbering.last_ms());
            Ok(numbering.last_ms().saturating_sub(now_ms))
        }
        behind_ms => Ok(behind_ms?),
    }
}

/// Everything that a start relies on, each part of it checked: state rows, the queue, the ends of the
/// streams. What lies between is checked by whoever reads it.
pub(super) fn read_recovered(connection: &Connection) -> Result<Found, StoreError> {
    let head: HeadRow = head::read(connection)?;
    let kept: KeptRow = head::read(connection)?;
    let queue = queue_rows::read_all(connection, head.queue)?;
    let released = released_rows::read_all(connection, head.released)?;
    for stream in Stream::ALL {
        check_ends(connection, stream, &head, &kept)?;
    }
    let last_batch = last_batch(connection, &head)?;
    let recovered = Recovered {
        recovery: 0,
        revision: head.revision,
        state: head.state.clone(),
        queue,
        released,
        last_batch,
    };
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
    name: Option<&str>,
    journal: Uuid,
    now_ms: u64,
) -> Result<(), StoreError> {
    let (identity, name) = (identity.clone(), name.map(str::to_owned));
    let meta =
        Meta { journal, writer_epoch: 0, identity, created_at_ms: now_ms, name, clock_was_wrong_ms: None };
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    schema::create(&transaction, FORMAT)?;
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

fn other_identity(dir: &Path, stored: &Identity, given: &Identity) -> OpenError {
    // Labels may be the same where parameters differ: then those say what does.
    let different = different_parameters(&stored.text, &given.text, &given.defaults);
    let describe = |identity: &Identity, which: usize| {
        let text = |(name, values): &DifferentParameter| match values[which].as_deref() {
            Some("") => name.clone(),
            Some(value) => format!("{name} = {value}"),
            None => format!("no {name}"),
        };
        let parameters: Vec<_> = different.iter().map(text).collect();
        format!("{} ({})", identity.label, parameters.join(", "))
    };
    OpenError::OtherIdentity { dir: dir.to_owned(), stored: describe(stored, 0), given: describe(given, 1) }
}

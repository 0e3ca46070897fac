//! Reading beside a running writer, or after one.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use evenkeel_core::{
    journal::{
        Entry, EntryId, PerStream, Positions, QueryText, Queued, Released, ServerState, Start, Stream,
    },
    units::tick::Tick,
};
use rusqlite::{Connection, ErrorCode};

use super::{
    error::StoreError,
    head::{self, CopyRow, GapRow, HeadRow, KeptRow, Meta},
    queue_rows, released_rows,
    schema::{self, SchemaError},
    starts, stream_rows, texts, witness,
};
use crate::ports::history::{End, ReadError, StreamInfo};

/// Entries read at a time by whoever reads many: some MB, and a read transaction of about 10 ms. As long as one is open
/// the log cannot be emptied.
pub(super) const CHUNK: u64 = 5_000;
/// Longest that SQLite's own check of the file may hold the log: at 100 ticks a second it grows by 20 MB meanwhile.
pub(super) const FILE_CHECK_MAX: Duration = Duration::from_secs(5);

/// Where the journal stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The last commit.
    pub revision: u64,
    /// When it was decided, Unix ms.
    pub at_ms: u64,
    /// The state rows.
    pub state: ServerState,
    /// Executions that wait.
    pub queue_length: u64,
}

/// Where the journal stood at one moment, in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The state rows.
    pub head: Head,
    /// First and last sequence number of each stream; empty ranges for empty ones.
    pub sequences: PerStream<RangeInclusive<u64>>,
    /// The queue's rows.
    pub queue: Vec<Queued>,
    /// The rows of what was released and has no outcome.
    pub released: Vec<Released>,
}

/// What has been recorded after some positions, as one moment of the database shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Since {
    /// Each stream's entries, in id order.
    pub entries: PerStream<Vec<Entry>>,
    /// The first tick that is not durable.
    pub next_tick: Tick,
    /// Whether a stream had as many entries as one read may take: there is more.
    pub more: bool,
}

/// The outbox, open for reading: its own connection, which changes nothing. Blocking.
#[derive(Debug)]
pub struct OutboxReader {
    connection: Connection,
    pub(super) file: PathBuf,
}

/// The sequence numbers that are there, as one moment of the database shows them.
struct Bounds {
    first: u64,
    last: u64,
}

impl OutboxReader {
    /// Opens the journal in `dir`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(dir: &Path) -> Result<Self, ReadError> {
        let file = schema::database(dir);
        if !file.is_file() {
            return Err(ReadError::Missing { dir: dir.to_owned() });
        }
        // Before the database: a running writer is then never ahead of what is read.
        let testimony = witness::read(dir);
        let reader = Self { connection: connect(dir, &file)?, file };
        let meta = reader.meta()?;
        let head = reader.head()?;
        witness::compare(testimony, meta.journal, head.revision, &schema::log(dir))?;
        Ok(reader)
    }

    /// What the journal is.
    ///
    /// # Errors
    /// [`ReadError`], as for all of these.
    pub fn meta(&self) -> Result<Meta, ReadError> {
        self.read(head::read)
    }

    /// The starts of its writers, oldest first; none of those from before they were noted.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn starts(&self) -> Result<Vec<Start>, ReadError> {
        self.read(starts::read_all)
    }

    /// Whether this is a copy of which nobody has decided yet how it goes on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn is_copy(&self) -> Result<bool, ReadError> {
        self.read(|connection| Ok(head::find::<CopyRow>(connection)?.is_some()))
    }

    /// Where it went on after it had been put back from a copy, if it ever was.
    pub(super) fn gap(&self) -> Result<Option<GapRow>, ReadError> {
        self.read(head::find)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn head(&self) -> Result<Head, ReadError> {
        let HeadRow { revision, at_ms, state, queue, .. } = self.read(head::read)?;
        Ok(Head { revision, at_ms, state, queue_length: queue.rows })
    }

    /// Last id and sequence number of `stream`, and the sequence number of the first entry that is kept, which comes
    /// after them when none is.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn end(&self, stream: Stream) -> Result<(EntryId, u64, u64), ReadError> {
        self.read(|connection| {
            let head: HeadRow = head::read(connection)?;
            let Bounds { first, last } = bounds(connection, stream)?;
            Ok((head.numbering.last_id(stream), last, first))
        })
    }

    /// How much of `stream` there is.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn info(&self, stream: Stream) -> Result<StreamInfo, ReadError> {
        self.read(|connection| info(connection, stream))
    }

    /// The first `limit` entries after `id`, in id order. What has been trimmed is passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn after(&self, stream: Stream, id: EntryId, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.read(|connection| {
            let Bounds { first, last } = bounds(connection, stream)?;
            let begin = stream_rows::seek(connection, stream, first..=last, id)?;
            entries(connection, stream, begin, last.min((begin - 1).saturating_add(limit as u64)))
        })
    }

    /// What follows `after`, at most `limit` entries of each stream. No commit is seen in part, unless
    /// there is more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn since(&self, after: &Positions, limit: usize) -> Result<Since, ReadError> {
        self.read(|connection| {
            let HeadRow { state, .. } = head::read(connection)?;
            let entries = PerStream::try_from_fn(|stream| {
                let Bounds { first, last } = bounds(connection, stream)?;
                let begin = stream_rows::seek(connection, stream, first..=last, after.get(stream))?;
                entries(connection, stream, begin, last.min((begin - 1).saturating_add(limit as u64)))
            })?;
            let more = Stream::ALL.iter().any(|&stream| entries[stream].len() == limit);
            Ok(Since { entries, next_tick: state.next_tick, more })
        })
    }

    /// The place in `stream` after which `tick` begins.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn before_tick(&self, stream: Stream, tick: Tick) -> Result<EntryId, ReadError> {
        self.read(|connection| {
            let Bounds { first, last } = bounds(connection, stream)?;
            let begin = stream_rows::seek_tick(connection, stream, first..=last, tick)?;
            if begin > last {
                let HeadRow { numbering, .. } = head::read(connection)?;
                return Ok(numbering.last_id(stream));
            }
            let begin = stream_rows::read_one(connection, stream, begin)?.entry.id;
            Ok(begin.predecessor().unwrap_or_default())
        })
    }

    /// The last `limit` entries before `id`, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn before(&self, stream: Stream, id: EntryId, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let Some(just_before) = id.predecessor() else { return Ok(Vec::new()) };
        self.read(|connection| {
            let Bounds { first, last } = bounds(connection, stream)?;
            let end = stream_rows::seek(connection, stream, first..=last, just_before)?;
            entries(connection, stream, first.max(end.saturating_sub(limit as u64)), end - 1)
        })
    }

    /// The last `limit` entries, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn tail(&self, stream: Stream, limit: usize) -> Result<Vec<Entry>, ReadError> {
        let Bounds { first, last } = self.read(|connection| bounds(connection, stream))?;
        let begin = first.max((last + 1).saturating_sub(limit as u64));
        let mut found = Vec::new();
        for chunk in chunks(begin..=last) {
            found.extend(self.read(|connection| {
                // What has been trimmed since the first look is passed over.
                let Bounds { first, .. } = bounds(connection, stream)?;
                entries(connection, stream, first.max(*chunk.start()), *chunk.end())
            })?);
        }
        Ok(found)
    }

    /// The first `limit` entries of `from..=to`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn range(
        &self,
        stream: Stream,
        from: EntryId,
        to: EntryId,
        limit: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        self.read(|connection| {
            let Bounds { first, last } = bounds(connection, stream)?;
            let begin = match from.predecessor() {
                Some(just_before) => stream_rows::seek(connection, stream, first..=last, just_before)?,
                None => first,
            };
            let end = stream_rows::seek(connection, stream, first..=last, to)? - 1;
            entries(connection, stream, begin, end.min((begin - 1).saturating_add(limit as u64)))
        })
    }

    /// Everything that says where the journal stands, at one moment.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn moment(&self) -> Result<Moment, ReadError> {
        self.read(|connection| {
            let HeadRow { revision, at_ms, state, queue, released, .. } = head::read(connection)?;
            let head = Head { revision, at_ms, state, queue_length: queue.rows };
            let sequences = PerStream::try_from_fn(|stream| {
                let Bounds { first, last } = bounds(connection, stream)?;
                Ok::<_, StoreError>(first..=last)
            })?;
            let queue = queue_rows::read_all(connection, queue)?;
            Ok(Moment { head, sequences, queue, released: released_rows::read_all(connection, released)? })
        })
    }

    /// The entries with these sequence numbers, all of them.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Trimmed`] when the first ones have been removed meanwhile.
    pub fn entries(&self, stream: Stream, seqs: RangeInclusive<u64>) -> Result<Vec<Entry>, ReadError> {
        self.read(|connection| {
            let Bounds { first, .. } = bounds(connection, stream)?;
            if *seqs.start() < first {
                return Ok(Err(ReadError::Trimmed { stream, first_seq: first }));
            }
            entries(connection, stream, *seqs.start(), *seqs.end()).map(Ok)
        })?
    }

    /// The texts of all queries that have one, in the order in which they came.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn texts(&self) -> Result<Vec<QueryText>, ReadError> {
        self.read(|connection| {
            let HeadRow { texts: sum, .. } = head::read(connection)?;
            texts::read_all(connection, sum)
        })
    }

    /// The next `limit` texts after number `n`, with their numbers.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn texts_after(&self, n: u64, limit: usize) -> Result<Vec<(u64, QueryText)>, ReadError> {
        self.read(|connection| texts::after(connection, n, limit))
    }

    /// SQLite's own check of the whole file. It reads everything, seconds per GB, in one transaction: after `limit` it is
    /// given up. Whether it came to the end.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] names what it found.
    pub(super) fn check_file(&self, limit: Duration) -> Result<bool, ReadError> {
        let interrupt = self.connection.get_interrupt_handle();
        let (done, ended) = mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let checked = self.read(|connection| {
            let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
            match verdict {
                Ok(verdict) if verdict == "ok" => Ok(true),
                Ok(verdict) => Err(StoreError::damaged("the database", verdict)),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(false),
                Err(error) => Err(error.into()),
            }
        });
        drop(done);
        // Ended before the next statement, which it would interrupt.
        let _ = watch.join();
        checked
    }

    /// Runs `read` on one moment of the database.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, ReadError> {
        let moment = self.connection.unchecked_transaction().map_err(StoreError::from);
        let read = moment.and_then(|moment| read(&moment));
        read.map_err(|error| error.read(&self.file))
    }
}

/// The sequence numbers in parts, each for one read transaction.
pub(super) fn chunks(seqs: RangeInclusive<u64>) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> {
    let (first, last) = seqs.into_inner();
    let count = (last + 1).saturating_sub(first).div_ceil(CHUNK);
    (0..count).map(move |chunk| {
        let begin = first + chunk * CHUNK;
        begin..=last.min(begin + CHUNK - 1)
    })
}

fn bounds(connection: &Connection, stream: Stream) -> Result<Bounds, StoreError> {
    let head: HeadRow = head::read(connection)?;
    let kept: KeptRow = head::read(connection)?;
    Ok(Bounds { first: kept.first_seq[stream], last: head.numbering.last_seq(stream) })
}

pub(super) fn info(connection: &Connection, stream: Stream) -> Result<StreamInfo, StoreError> {
    let Bounds { first, last } = bounds(connection, stream)?;
    if first > last {
        return Ok(StreamInfo::default());
    }
    let begin = stream_rows::read_one(connection, stream, first)?;
    let end = stream_rows::read_one(connection, stream, last)?;
    Ok(StreamInfo {
        length: last - first + 1,
        first: Some(End::from(&begin.entry)),
        last: Some(End::from(&end.entry)),
        bytes: Some(end.bytes.saturating_sub(begin.bytes_before)),
    })
}

fn entries(connection: &Connection, stream: Stream, first: u64, last: u64) -> Result<Vec<Entry>, StoreError> {
    let rows = stream_rows::read(connection, stream, first..=last)?;
    Ok(rows.into_iter().map(|stored| stored.entry).collect())
}

/// A reader takes part in SQLite's locking, for which it needs to write beside the database. Where it
/// cannot and the log is empty, nobody else can be writing either and the file is read as it is.
fn connect(dir: &Path, file: &Path) -> Result<Connection, ReadError> {
    let connected = schema::connect_reader(file).map_err(SchemaError::from);
    let checked = connected.and_then(|connection| schema::check(&connection).map(|_| connection));
    match checked {
        Err(SchemaError::Store(StoreError::Sqlite(error)))
            if matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)) =>
        {
            let log = schema::log(dir);
            if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0) {
                let reason = format!(
                    "the log beside it holds commits that only somebody who may write to {} can read: \
                     grant that, or copy the directory and read the copy",
                    dir.display()
                );
                return Err(ReadError::Unreadable { file: file.to_owned(), reason });
            }
            let connection = schema::connect_immutable(file).map_err(|error| error.read(file))?;
            schema::check(&connection).map_err(|error| error.read(file))?;
            Ok(connection)
        }
        checked => checked.map_err(|error| error.read(file)),
    }
}

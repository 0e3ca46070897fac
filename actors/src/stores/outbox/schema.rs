//! The database: its tables, its settings, its connections.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use evenkeel_core::journal::{FIRST_FORMAT, FORMAT, Stream};
use rusqlite::{Connection, OpenFlags};

use super::{
    error::{OpenError, StoreError},
    released_rows, starts, texts,
};
use crate::ports::history::ReadError;

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "outbox.db";

/// `evkl`, so that `file` and SQLite's tools can tell it from other databases.
const APPLICATION_ID: i64 = 0x6576_6b6c;

/// Longest wait for a lock: only a reader that restores the log after a kill holds one.
const BUSY: Duration = Duration::from_secs(10);

/// `seq` is the rowid, so an entry is appended and ids need no index: they grow with it, and a binary
/// search over `seq` finds one. `bytes` counts all bodies up to and with this one.
macro_rules! stream_table {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (seq INTEGER PRIMARY KEY, ms INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL, \
             body TEXT NOT NULL, crc INTEGER NOT NULL)"
        )
    };
}
/// Tables of every format by name, as `sqlite_schema` must show them.
const TABLES: [(&str, &str); 5] = [
    ("executions", stream_table!("executions")),
    ("queue", stream_table!("queue")),
    (
        "state",
        "CREATE TABLE state (name TEXT PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        "waiting",
        "CREATE TABLE waiting (execution BLOB PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL) \
         WITHOUT ROWID",
    ),
    ("windows", stream_table!("windows")),
];

/// Tables that were added to format 1, of which a directory from before has none, and that later formats have.
const ADDED: [(&str, &str); 1] = [starts::TABLE];
/// Tables that were added to format 2.
const ADDED_SECOND: [(&str, &str); 1] = [texts::TABLE];
/// Tables of format 2 from its beginning.
const SECOND: [(&str, &str); 2] = [starts::TABLE, released_rows::TABLE];

/// The table of a stream.
pub(super) fn table(stream: Stream) -> &'static str {
    stream.name()
}

pub(super) fn database(dir: &Path) -> PathBuf {
    dir.join(DATABASE_FILE)
}

/// SQLite's write-ahead log beside the database.
pub(super) fn log(dir: &Path) -> PathBuf {
    dir.join(format!("{DATABASE_FILE}-wal"))
}

/// A connection that writes: durable with each commit, and never checkpointing on the way.
pub(super) fn connect_writer(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    settings(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// A connection for checkpoints. It waits for nobody: what cannot be done now is done by a later one.
pub(super) fn connect_checkpoints(file: &Path) -> Result<Connection, StoreError> {
    let connection = connect_writer(file)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// A connection to a copy that is being made. It counts for nothing until it is whole, and is synced then.
pub(super) fn connect_copy(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    settings(&connection)?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

/// A connection that only reads, beside a writer or without one.
pub(super) fn connect_reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    settings(&connection)?;
    Ok(connection)
}

/// A connection to a database that nobody can write, on a read-only file system: it takes no locks.
pub(super) fn connect_immutable(file: &Path) -> Result<Connection, StoreError> {
    use std::fmt::Write as _;

    let mut uri = String::from("file:");
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            _ => write!(uri, "%{byte:02x}").expect("a text takes what is written"),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    settings(&connection)?;
    Ok(connection)
}

fn settings(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Temporary pages of a savepoint stay off the disk, so that a full one cannot break a rollback.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// Whether nothing has been created yet.
pub(super) fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

/// Creates the tables of `format`; of the first one, those that every directory has.
pub(super) fn create(connection: &Connection, format: u64) -> Result<(), StoreError> {
    let (more, added) =
        if format == FIRST_FORMAT { (&[][..], &[][..]) } else { (&SECOND[..], &ADDED_SECOND[..]) };
    for (_, sql) in TABLES.iter().chain(more).chain(added) {
        connection.execute_batch(sql)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", format.cast_signed())?;
    Ok(())
}

/// Makes of the tables of an earlier format those of the latest one: rows stay as they are.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    starts::create(connection)?;
    connection.execute_batch(released_rows::TABLE.1)?;
    texts::create(connection)?;
    connection.pragma_update(None, "user_version", FORMAT.cast_signed())?;
    Ok(())
}

/// The format that the database says it has.
pub(super) fn format(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// A database that is not what [`create`] made.
#[derive(Debug)]
pub(super) enum SchemaError {
    Version(i64),
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for SchemaError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl SchemaError {
    pub(super) fn open(self, file: &Path) -> OpenError {
        match self {
            Self::Version(found) => {
                OpenError::Version { file: file.to_owned(), found, known: FORMAT.cast_signed() }
            }
            Self::Store(error) => error.open(file),
        }
    }

    pub(super) fn read(self, file: &Path) -> ReadError {
        match self {
            Self::Version(found) => {
                ReadError::Version { file: file.to_owned(), found, known: FORMAT.cast_signed() }
            }
            Self::Store(error) => error.read(file),
        }
    }
}

/// Checks that the tables are the ones that [`create`] made, or an earlier evenkeel; of which format.
pub(super) fn check(connection: &Connection) -> Result<u64, SchemaError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Err(StoreError::damaged("the header", "it is not evenkeel's database").into());
    }
    let version = format(connection)?;
    let known = u64::try_from(version).ok().filter(|version| (FIRST_FORMAT..=FORMAT).contains(version));
    let known = known.ok_or(SchemaError::Version(version))?;
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let found = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let is = |table: &(&str, &str)| found.iter().any(|(name, sql)| (name.as_str(), sql.as_str()) == *table);
    let count = |tables: &[(&str, &str)]| tables.iter().filter(|table| is(table)).count();
    let more = match known {
        FIRST_FORMAT => count(&ADDED),
        _ => SECOND.len() + count(&ADDED_SECOND),
    };
    let whole = known == FIRST_FORMAT || count(&SECOND) == SECOND.len();
    if whole && TABLES.iter().all(is) && found.len() == TABLES.len() + more {
        Ok(known)
    } else {
        Err(StoreError::damaged("the schema", "its tables are not the ones that evenkeel created").into())
    }
}

//! The starts of the journal's writers: who wrote when, who ended in order, and who found a successor while alive.
//!
//! The table has been added to format 1: a directory from before has none until a writer opens it.

use evenkeel_core::journal::Start;
use rusqlite::{Connection, OptionalExtension as _};

use super::error::StoreError;

/// Name and text of the table, as `sqlite_schema` must show it.
pub(super) const TABLE: (&str, &str) = (
    "starts",
    "CREATE TABLE starts (writer_epoch INTEGER PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL)",
);

/// Starts that are kept: a server that crashes each second for hours. About 200 bytes each.
const KEPT_MAX: u64 = 10_000;

/// Creates the table where it is not there.
pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    if !exists(connection)? {
        connection.execute_batch(TABLE.1)?;
    }
    Ok(())
}

/// Writes a start in place of what was noted of it before.
pub(super) fn write(connection: &Connection, start: &Start) -> Result<(), StoreError> {
    let body = serde_json::to_string(start).expect("a start is made of numbers");
    connection.prepare_cached("INSERT OR REPLACE INTO starts VALUES (?1, ?2, ?3)")?.execute((
        start.writer_epoch.cast_signed(),
        &body,
        crc(start.writer_epoch, &body),
    ))?;
    Ok(())
}

/// Removes what is older than the last starts, but for those that say that two writers lived at once.
pub(super) fn forget_old(connection: &Connection, newest: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM starts WHERE writer_epoch <= ?1 AND json_extract(body, '$.replaced') IS NULL";
    connection.execute(sql, [newest.saturating_sub(KEPT_MAX).cast_signed()])?;
    Ok(())
}

/// The start of one writer, if it was noted.
pub(super) fn read(connection: &Connection, writer_epoch: u64) -> Result<Option<Start>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT body, crc FROM starts WHERE writer_epoch = ?1")?;
    let row = statement
        .query_row([writer_epoch.cast_signed()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    row.optional()?.map(|(body, stored)| decode(writer_epoch, &body, stored)).transpose()
}

/// All that are kept, oldest first; none in a directory from before there was the table.
pub(super) fn read_all(connection: &Connection) -> Result<Vec<Start>, StoreError> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare_cached("SELECT writer_epoch, body, crc FROM starts ORDER BY writer_epoch")?;
    let mut rows = statement.query([])?;
    let mut starts = Vec::new();
    while let Some(row) = rows.next()? {
        let (epoch, body, stored): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        starts.push(decode(epoch.cast_unsigned(), &body, stored)?);
    }
    Ok(starts)
}

/// Whether there is the table.
pub(super) fn exists(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    let tables: i64 = connection.query_row(sql, [TABLE.0], |row| row.get(0))?;
    Ok(tables > 0)
}

fn decode(writer_epoch: u64, body: &str, stored: i64) -> Result<Start, StoreError> {
    let damaged = |what: String| StoreError::damaged(format!("the start of writer {writer_epoch}"), what);
    if stored != i64::from(crc(writer_epoch, body)) {
        return Err(damaged("its checksum does not fit".to_owned()));
    }
    serde_json::from_str(body).map_err(|error| damaged(error.to_string()))
}

fn crc(writer_epoch: u64, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"starts");
    hasher.update(&writer_epoch.to_le_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize()
}

//! Rows of the queue: what waits.

use evenkeel_core::{ids::ExecutionId, journal::QueueChange, queue::Queued};
use rusqlite::{Connection, OptionalExtension as _};

use super::{error::StoreError, head::QueueSum};

/// A change that the rows do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Illegal {
    pub execution: ExecutionId,
    pub what: &'static str,
}

/// Changes the rows, and `sum` with them.
pub(super) fn apply(
    connection: &Connection,
    sum: &mut QueueSum,
    change: &QueueChange,
) -> Result<Result<(), Illegal>, StoreError> {
    match change {
        QueueChange::Put(queued) => put(connection, sum, queued),
        QueueChange::Remove(execution) => remove(connection, sum, *execution),
    }
}

fn put(
    connection: &Connection,
    sum: &mut QueueSum,
    queued: &Queued,
) -> Result<Result<(), Illegal>, StoreError> {
    let execution = queued.execution;
    if let Some((before, crc)) = find(connection, execution)? {
        if (before.query, before.queued_tick) != (queued.query, queued.queued_tick) {
            let what = "it is there with another query or another queued tick";
            return Ok(Err(Illegal { execution, what }));
        }
        sum.subtract(crc);
    }
    let body = serde_json::to_string(queued)
        .map_err(|error| StoreError::damaged(name(execution), error.to_string()))?;
    let crc = crc(execution, &body);
    connection.prepare_cached("INSERT OR REPLACE INTO waiting VALUES (?1, ?2, ?3)")?.execute((
        execution.0.as_bytes(),
        &body,
        crc,
    ))?;
    sum.add(crc);
    Ok(Ok(()))
}

fn remove(
    connection: &Connection,
    sum: &mut QueueSum,
    execution: ExecutionId,
) -> Result<Result<(), Illegal>, StoreError> {
    let Some((_, crc)) = find(connection, execution)? else {
        return Ok(Err(Illegal { execution, what: "there is none to remove" }));
    };
    connection
        .prepare_cached("DELETE FROM waiting WHERE execution = ?1")?
        .execute([execution.0.as_bytes()])?;
    sum.subtract(crc);
    Ok(Ok(()))
}

/// All rows, in the order of their ids; they must add up to `sum`.
pub(super) fn read_all(connection: &Connection, sum: QueueSum) -> Result<Vec<Queued>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT execution, body, crc FROM waiting ORDER BY execution")?;
    let mut rows = statement.query([])?;
    let mut found = QueueSum::default();
    let mut queue = Vec::new();
    while let Some(row) = rows.next()? {
        let key: [u8; 16] = row.get(0)?;
        let execution = ExecutionId(uuid::Uuid::from_bytes(key));
        let crc = row.get(2)?;
        queue.push(check(execution, row.get_ref(1)?.as_str().unwrap_or_default(), crc)?);
        found.add(crc as u32);
    }
    if found == sum {
        Ok(queue)
    } else {
        let what = format!(
            "{} rows with sum {:x} were written, {} with {:x} are there",
            sum.rows, sum.crcs, found.rows, found.crcs
        );
        Err(StoreError::damaged("the queue's rows", what))
    }
}

fn find(connection: &Connection, execution: ExecutionId) -> Result<Option<(Queued, u32)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT body, crc FROM waiting WHERE execution = ?1")?;
    let row = statement
        .query_row([execution.0.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    match row.optional()? {
        None => Ok(None),
        Some((body, crc)) => Ok(Some((check(execution, &body, crc)?, crc as u32))),
    }
}

fn check(execution: ExecutionId, body: &str, stored: i64) -> Result<Queued, StoreError> {
    if stored != i64::from(crc(execution, body)) {
        return Err(StoreError::damaged(name(execution), "its checksum does not fit"));
    }
    serde_json::from_str(body).map_err(|error| StoreError::damaged(name(execution), error.to_string()))
}

fn name(execution: ExecutionId) -> String {
    format!("the queue's row of {execution}")
}

fn crc(execution: ExecutionId, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"waiting");
    hasher.update(execution.0.as_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize()
}

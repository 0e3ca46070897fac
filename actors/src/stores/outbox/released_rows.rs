//! Rows of what has been released to a database whose outcome is uncertain, and has no outcome yet.

use evenkeel_core::{
    journal::{Released, ReleasedChange},
    units::ids::ExecutionId,
};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{error::StoreError, head::QueueSum, queue_rows::Illegal};

/// Name and text of the table, as `sqlite_schema` must show it. Format 2 has it.
pub(super) const TABLE: (&str, &str) = (
    "released",
    "CREATE TABLE released (execution BLOB PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
);

/// Changes the rows, and `sum` with them.
pub(super) fn apply(
    connection: &Connection,
    sum: &mut QueueSum,
    change: &ReleasedChange,
) -> Result<Result<(), Illegal>, StoreError> {
    match change {
        ReleasedChange::Put(released) => put(connection, sum, released),
        ReleasedChange::Remove(execution) => remove(connection, sum, *execution),
    }
}

/// A row is written once: what is released stays as it is until its outcome is known.
fn put(
    connection: &Connection,
    sum: &mut QueueSum,
    released: &Released,
) -> Result<Result<(), Illegal>, StoreError> {
    let execution = released.execution;
    let body = serde_json::to_string(released)
        .map_err(|error| StoreError::damaged(name(execution), error.to_string()))?;
    let crc = crc(execution, &body);
    let mut insert =
        connection.prepare_cached("INSERT INTO released VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    if insert.execute((execution.0.as_bytes(), &body, crc))? == 0 {
        return Ok(Err(Illegal { execution, what: "it has been released already" }));
    }
    sum.add(crc);
    Ok(Ok(()))
}

fn remove(
    connection: &Connection,
    sum: &mut QueueSum,
    execution: ExecutionId,
) -> Result<Result<(), Illegal>, StoreError> {
    let mut select = connection.prepare_cached("SELECT body, crc FROM released WHERE execution = ?1")?;
    let found = select.query_row([execution.0.as_bytes()], |row| Ok(read_row(execution, row)));
    let Some(found) = found.optional()? else {
        return Ok(Err(Illegal { execution, what: "it has not been released, or has an outcome" }));
    };
    let (_, crc) = found?;
    connection
        .prepare_cached("DELETE FROM released WHERE execution = ?1")?
        .execute([execution.0.as_bytes()])?;
    sum.subtract(crc);
    Ok(Ok(()))
}

/// All rows, in the order of their ids; they must add up to `sum`. None where there is no table: the format knew none.
pub(super) fn read_all(connection: &Connection, sum: QueueSum) -> Result<Vec<Released>, StoreError> {
    let mut released = Vec::new();
    let mut found = QueueSum::default();
    if exists(connection)? {
        let mut statement =
            connection.prepare_cached("SELECT body, crc, execution FROM released ORDER BY execution")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: [u8; 16] = row.get(2)?;
            let (row, crc) = read_row(ExecutionId(uuid::Uuid::from_bytes(key)), row)?;
            released.push(row);
            found.add(crc);
        }
    }
    if found == sum {
        Ok(released)
    } else {
        let what = format!("{} rows were written, {} or other ones are there", sum.rows, found.rows);
        Err(StoreError::damaged("the rows of what was released", what))
    }
}

/// Copies all rows; what they are is checked by whoever reads them.
pub(super) fn copy(source: &Connection, target: &Connection) -> Result<(), StoreError> {
    if !exists(source)? {
        return Ok(());
    }
    let mut insert = target.prepare("INSERT INTO released VALUES (?1, ?2, ?3)")?;
    let mut select = source.prepare("SELECT execution, body, crc FROM released")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        insert.execute((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))?;
    }
    Ok(())
}

/// Removes every row.
pub(super) fn remove_all(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM released", [])?;
    Ok(())
}

fn exists(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    Ok(connection.query_row(sql, [TABLE.0], |row| row.get::<_, i64>(0))? > 0)
}

/// The row, and its CRC; `body` and `crc` are its first columns.
fn read_row(execution: ExecutionId, row: &Row<'_>) -> Result<(Released, u32), StoreError> {
    let body = row.get_ref(0)?.as_str().unwrap_or_default();
    let crc = crc(execution, body);
    if row.get::<_, i64>(1)? != i64::from(crc) {
        return Err(StoreError::damaged(name(execution), "its checksum does not fit"));
    }
    let released = serde_json::from_str(body);
    Ok((released.map_err(|error| StoreError::damaged(name(execution), error.to_string()))?, crc))
}

fn name(execution: ExecutionId) -> String {
    format!("the row of what was released as {execution}")
}

fn crc(execution: ExecutionId, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"released");
    hasher.update(execution.0.as_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize()
}

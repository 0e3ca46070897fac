//! Texts of queries: what a real database is asked, without its literals. The first text of a query stays.
//!
//! The table has been added to format 2: a directory from before has none until a writer opens it.

use evenkeel_core::{
    journal::{QueryText, TEXTS_MAX},
    units::ids::QueryId,
};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{error::StoreError, head::QueueSum};

/// Name and text of the table, as `sqlite_schema` must show it. `n` counts texts as they come.
pub(super) const TABLE: (&str, &str) = (
    "texts",
    "CREATE TABLE texts (n INTEGER PRIMARY KEY, query BLOB NOT NULL UNIQUE, body TEXT NOT NULL, crc INTEGER NOT NULL)",
);

/// Creates the table where it is not there.
pub(super) fn create(connection: &Connection) -> Result<(), StoreError> {
    if !exists(connection)? {
        connection.execute_batch(TABLE.1)?;
    }
    Ok(())
}

/// Writes the text of a query that has none yet, and `sum` with it. Beyond [`TEXTS_MAX`] none is written.
pub(super) fn put(connection: &Connection, sum: &mut QueueSum, text: QueryText) -> Result<(), StoreError> {
    if sum.rows >= TEXTS_MAX as u64 {
        return Ok(());
    }
    let query = text.query;
    let body = serde_json::to_string(&text.kept()).expect("texts are JSON");
    let crc = crc(query, &body);
    let sql = "INSERT INTO texts (query, body, crc) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    if connection.prepare_cached(sql)?.execute((query.0.as_bytes(), &body, crc))? > 0 {
        sum.add(crc);
    }
    Ok(())
}

/// All texts in the order in which they came; they must add up to `sum`. None where there is no table.
pub(super) fn read_all(connection: &Connection, sum: QueueSum) -> Result<Vec<QueryText>, StoreError> {
    let mut found = QueueSum::default();
    let mut texts = Vec::new();
    for (_, text, crc) in read(connection, 0, TEXTS_MAX)? {
        texts.push(text);
        found.add(crc);
    }
    if found == sum {
        Ok(texts)
    } else {
        let what = format!("{} rows were written, {} or other ones are there", sum.rows, found.rows);
        Err(StoreError::damaged("the texts of queries", what))
    }
}

/// The next `limit` texts after number `n`, with their numbers.
pub(super) fn after(
    connection: &Connection,
    n: u64,
    limit: usize,
) -> Result<Vec<(u64, QueryText)>, StoreError> {
    Ok(read(connection, n, limit)?.into_iter().map(|(n, text, _)| (n, text)).collect())
}

/// The text of one query.
pub(super) fn find(connection: &Connection, query: QueryId) -> Result<Option<QueryText>, StoreError> {
    if !exists(connection)? {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached("SELECT query, body, crc FROM texts WHERE query = ?1")?;
    let found = statement.query_row([query.0.as_bytes()], |row| Ok(read_row(row)));
    Ok(found.optional()?.transpose()?.map(|(text, _)| text))
}

/// Copies all rows; what they are is checked by whoever reads them.
pub(super) fn copy(source: &Connection, target: &Connection) -> Result<(), StoreError> {
    if !exists(source)? {
        return Ok(());
    }
    let mut insert = target.prepare("INSERT INTO texts VALUES (?1, ?2, ?3, ?4)")?;
    let mut select = source.prepare("SELECT n, query, body, crc FROM texts")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (n, query, body, crc): (i64, Vec<u8>, String, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        insert.execute((n, query, body, crc))?;
    }
    Ok(())
}

fn read(connection: &Connection, after: u64, limit: usize) -> Result<Vec<(u64, QueryText, u32)>, StoreError> {
    if !exists(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT query, body, crc, n FROM texts WHERE n > ?1 ORDER BY n LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows =
        statement.query((after.cast_signed(), i64::try_from(limit.min(TEXTS_MAX)).unwrap_or(i64::MAX)))?;
    let mut texts = Vec::new();
    while let Some(row) = rows.next()? {
        let (text, crc) = read_row(row)?;
        texts.push((row.get::<_, i64>(3)?.cast_unsigned(), text, crc));
    }
    Ok(texts)
}

fn exists(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE name = ?1";
    Ok(connection.query_row(sql, [TABLE.0], |row| row.get::<_, i64>(0))? > 0)
}

/// A text and its CRC; `query`, `body` and `crc` are the row's first columns.
fn read_row(row: &Row<'_>) -> Result<(QueryText, u32), StoreError> {
    let key: [u8; 16] = row.get(0)?;
    let query = QueryId(uuid::Uuid::from_bytes(key));
    let body = row.get_ref(1)?.as_str().unwrap_or_default();
    let crc = crc(query, body);
    let damaged = |what: String| StoreError::damaged(format!("the text of query {query}"), what);
    if row.get::<_, i64>(2)? != i64::from(crc) {
        return Err(damaged("its checksum does not fit".to_owned()));
    }
    let text = serde_json::from_str(body);
    Ok((text.map_err(|error| damaged(error.to_string()))?, crc))
}

fn crc(query: QueryId, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"texts");
    hasher.update(query.0.as_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize()
}

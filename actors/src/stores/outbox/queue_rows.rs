//! Rows of the queue: what waits.

use evenkeel_core::{
    journal::{QueueChange, Queued},
    units::ids::ExecutionId,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};

use super::{error::StoreError, head::QueueSum};

/// A change that the rows do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Illegal {
    pub execution: ExecutionId,
    pub what: &'static str,
}

/// Changes the rows, with its statements prepared once for all of a commit.
pub(super) struct Changer<'a> {
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    select: CachedStatement<'a>,
    delete: CachedStatement<'a>,
}

impl<'a> Changer<'a> {
    pub(super) fn new(connection: &'a Connection) -> Result<Self, StoreError> {
        let insert = "INSERT INTO waiting VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        Ok(Self {
            insert: connection.prepare_cached(insert)?,
            update: connection
                .prepare_cached("UPDATE waiting SET body = ?2, crc = ?3 WHERE execution = ?1")?,
            select: connection.prepare_cached("SELECT body, crc FROM waiting WHERE execution = ?1")?,
            delete: connection.prepare_cached("DELETE FROM waiting WHERE execution = ?1")?,
        })
    }

    /// Changes the rows, and `sum` with them.
    pub(super) fn apply(
        &mut self,
        sum: &mut QueueSum,
        change: &QueueChange,
    ) -> Result<Result<(), Illegal>, StoreError> {
        match change {
            QueueChange::Put(queued) => self.put(sum, queued),
            QueueChange::Remove(execution) => self.remove(sum, *execution),
        }
    }

    fn put(&mut self, sum: &mut QueueSum, queued: &Queued) -> Result<Result<(), Illegal>, StoreError> {
        let execution = queued.execution;
        let body = serde_json::to_string(queued)
            .map_err(|error| StoreError::damaged(name(execution), error.to_string()))?;
        let crc = crc(execution, &body);
        let row = (execution.0.as_bytes(), &body, crc);
        if self.insert.execute(row)? == 0 {
            let (before, crc_before) =
                self.select.query_row([execution.0.as_bytes()], |row| Ok(read_row(execution, row)))??;
            if (before.query, before.queued_tick) != (queued.query, queued.queued_tick) {
                let what = "it is there with another query or another queued tick";
                return Ok(Err(Illegal { execution, what }));
            }
            sum.subtract(crc_before);
            self.update.execute(row)?;
        }
        sum.add(crc);
        Ok(Ok(()))
    }

    /// Two statements: one with `RETURNING` makes a temporary table each time.
    fn remove(
        &mut self,
        sum: &mut QueueSum,
        execution: ExecutionId,
    ) -> Result<Result<(), Illegal>, StoreError> {
        let found = self.select.query_row([execution.0.as_bytes()], |row| Ok(whole(execution, row)));
        let Some(crc) = found.optional()? else {
            return Ok(Err(Illegal { execution, what: "there is none to remove" }));
        };
        self.delete.execute([execution.0.as_bytes()])?;
        sum.subtract(crc?);
        Ok(Ok(()))
    }
}

/// All rows, in the order of their ids; they must add up to `sum`.
pub(super) fn read_all(connection: &Connection, sum: QueueSum) -> Result<Vec<Queued>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT body, crc, execution FROM waiting ORDER BY execution")?;
    let mut rows = statement.query([])?;
    let mut found = QueueSum::default();
    let mut queue = Vec::new();
    while let Some(row) = rows.next()? {
        let key: [u8; 16] = row.get(2)?;
        let (queued, crc) = read_row(ExecutionId(uuid::Uuid::from_bytes(key)), row)?;
        queue.push(queued);
        found.add(crc);
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

/// Removes every row.
pub(super) fn remove_all(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM waiting", [])?;
    Ok(())
}

/// The row, and its CRC; `body` and `crc` are its first columns.
fn read_row(execution: ExecutionId, row: &Row<'_>) -> Result<(Queued, u32), StoreError> {
    let crc = whole(execution, row)?;
    let queued = serde_json::from_str(row.get_ref(0)?.as_str().unwrap_or_default());
    Ok((queued.map_err(|error| StoreError::damaged(name(execution), error.to_string()))?, crc))
}

/// The CRC of the row, which must be that of its body; `body` and `crc` are its first columns.
fn whole(execution: ExecutionId, row: &Row<'_>) -> Result<u32, StoreError> {
    let crc = crc(execution, row.get_ref(0)?.as_str().unwrap_or_default());
    if row.get::<_, i64>(1)? == i64::from(crc) {
        Ok(crc)
    } else {
        Err(StoreError::damaged(name(execution), "its checksum does not fit"))
    }
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

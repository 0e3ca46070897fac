//! The state rows: what the journal is, and where it stands.

use evenkeel_core::{
    journal::{EntryId, Numbering, PerStream, ServerState, same_parameters},
    units::{lengths::Lengths, tick::Tick},
};
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::error::StoreError;

/// Begins the names of rows that hold a file.
const FILE_PREFIX: &str = "file ";

/// What a data directory belongs to: another one is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Short, for people: `scenario seed, seed 1`.
    pub label: String,
    /// Everything that must be the same, as text: see [`same_parameters`](evenkeel_core::journal::same_parameters).
    pub text: String,
    /// The lengths among it.
    #[serde(default)]
    pub lengths: Lengths,
    /// The values of what a text of an earlier evenkeel does not name; not kept.
    #[serde(skip)]
    pub defaults: String,
}

impl Identity {
    /// Whether a journal with the identity `stored` is the one that is meant.
    pub(super) fn is(&self, stored: &Self) -> bool {
        same_parameters(&stored.text, &self.text, &self.defaults)
    }
}

/// What the journal is. Changes only when it is opened for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Names the journal for ever.
    pub journal: Uuid,
    /// Counts its writers from 1: a lower one has been replaced.
    pub writer_epoch: u64,
    /// What it belongs to.
    pub identity: Identity,
    /// When it was created, Unix ms.
    pub created_at_ms: u64,
    /// The database's name. None in a directory from before names were kept, and until one is given: the first one is
    /// taken, because that version shipped under any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ids up to this one, in ms, were made under a clock of which somebody has said since that it was wrong: the right one
    /// may be behind them by any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_was_wrong_ms: Option<u64>,
}

/// Where the journal stands: written with every commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HeadRow {
    pub revision: u64,
    pub at_ms: u64,
    pub numbering: Numbering,
    /// Bytes of all bodies ever recorded.
    pub bytes: PerStream<u64>,
    /// The first execution of the last tick, so that what ran in it is found again.
    pub batch_first_seq: u64,
    pub queue: QueueSum,
    /// Nothing, and not written, in a database whose outcomes are certain.
    #[serde(default, skip_serializing_if = "QueueSum::is_nothing")]
    pub released: QueueSum,
    /// Nothing, and not written, where queries have no texts.
    #[serde(default, skip_serializing_if = "QueueSum::is_nothing")]
    pub texts: QueueSum,
    pub state: ServerState,
}

/// What the queue's rows add up to: a row that is lost or comes back shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueSum {
    pub rows: u64,
    /// Sum of the rows' CRCs, modulo 2⁶⁴.
    pub crcs: u64,
}

impl QueueSum {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, crc: u32) {
        self.rows += 1;
        self.crcs = self.crcs.wrapping_add(crc.into());
    }

    /// A row that leaves. The sum is only compared, so a wrong one shows there.
    pub(super) fn subtract(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_sub(1);
        self.crcs = self.crcs.wrapping_sub(crc.into());
    }
}

/// How much of each stream is left, and what has been shipped. Changes with retention and shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRow {
    pub first_seq: PerStream<u64>,
    pub shipped: PerStream<Mark>,
}

impl Default for KeptRow {
    fn default() -> Self {
        Self { first_seq: PerStream { executions: 1, queue: 1, windows: 1 }, shipped: PerStream::default() }
    }
}

/// A position in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub id: EntryId,
    pub seq: u64,
    /// Bytes of all bodies up to and with it.
    pub bytes: u64,
}

/// This is a copy of a journal: what ran since it was made is not in it. Gone once somebody has decided how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopyRow {
    /// When it was made, Unix ms.
    pub made_at_ms: u64,
}

/// Here the journal went on after having been put back from a copy: the last such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GapRow {
    /// The last tick that the copy told of; none when it told of none.
    pub after: Option<Tick>,
    /// The first tick after the gap.
    pub begins: Tick,
    /// The first entries after it.
    pub first_seq: PerStream<u64>,
    /// Executions that waited in the copy: whether they ran is not known, so they never do from here.
    pub given_up: u64,
    /// When that was decided, Unix ms.
    pub adopted_at_ms: u64,
}

/// A value that has one row of its own.
pub(super) trait StateRow: Serialize + DeserializeOwned {
    const NAME: &'static str;
}

impl StateRow for Meta {
    const NAME: &'static str = "meta";
}

impl StateRow for HeadRow {
    const NAME: &'static str = "head";
}

impl StateRow for KeptRow {
    const NAME: &'static str = "kept";
}

impl StateRow for CopyRow {
    const NAME: &'static str = "copy";
}

impl StateRow for GapRow {
    const NAME: &'static str = "gap";
}

/// Reads a row, which must be there.
pub(super) fn read<T: StateRow>(connection: &Connection) -> Result<T, StoreError> {
    find(connection)?.ok_or_else(|| damaged(T::NAME, "it is missing"))
}

/// Reads a row that may be there.
pub(super) fn find<T: StateRow>(connection: &Connection) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT body, crc FROM state WHERE name = ?1")?;
    let row = statement.query_row([T::NAME], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let Some((body, stored)) = row.optional()? else { return Ok(None) };
    if stored != i64::from(crc(T::NAME, body.as_bytes())) {
        return Err(damaged(T::NAME, "its checksum does not fit"));
    }
    serde_json::from_str(&body).map(Some).map_err(|error| damaged(T::NAME, error.to_string()))
}

fn damaged(name: &str, what: impl Into<String>) -> StoreError {
    StoreError::damaged(format!("the state row `{name}`"), what)
}

/// Writes a row.
pub(super) fn write<T: StateRow>(connection: &Connection, row: &T) -> Result<(), StoreError> {
    let body = serde_json::to_string(row).expect("state rows are made of texts, numbers and lists");
    connection.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3)")?.execute((
        T::NAME,
        &body,
        crc(T::NAME, body.as_bytes()),
    ))?;
    Ok(())
}

/// Writes what a file beside the journal holds, in a copy of both.
pub(super) fn write_file(connection: &Connection, file: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let name = format!("{FILE_PREFIX}{file}");
    let crc = crc(&name, bytes);
    connection.execute("INSERT OR REPLACE INTO state VALUES (?1, ?2, ?3)", (&name, bytes, crc))?;
    Ok(())
}

/// What [`write_file`] wrote, if it did.
pub(super) fn find_file(connection: &Connection, file: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let name = format!("{FILE_PREFIX}{file}");
    let mut statement = connection.prepare("SELECT body, crc FROM state WHERE name = ?1")?;
    let row = statement.query_row([&name], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)));
    match row.optional()? {
        None => Ok(None),
        Some((bytes, stored)) if stored == i64::from(crc(&name, &bytes)) => Ok(Some(bytes)),
        Some(_) => Err(damaged(&name, "its checksum does not fit")),
    }
}

/// Removes what says that this is a copy, and what came along with it.
pub(super) fn is_no_copy_any_more(connection: &Connection) -> Result<(), StoreError> {
    let beside = format!("{FILE_PREFIX}*");
    connection.execute("DELETE FROM state WHERE name = ?1 OR name GLOB ?2", (CopyRow::NAME, beside))?;
    Ok(())
}

fn crc(name: &str, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"state");
    hasher.update(name.as_bytes());
    hasher.update(body);
    hasher.finalize()
}

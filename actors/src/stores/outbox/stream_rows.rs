//! Rows of the streams: an entry, its bytes, and the CRC over all of it.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Stream},
    units::tick::Tick,
};
use rusqlite::{CachedStatement, Connection, Row};
use serde::{Deserialize, Serializer as _, de, ser::SerializeMap as _};

use super::{error::StoreError, schema::table};

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub entry: Entry,
    /// Bytes of all bodies before it.
    pub bytes_before: u64,
    /// Bytes of all bodies up to and with it.
    pub bytes: u64,
}

/// The flat fields as one JSON object, in their order.
fn encode(entry: &Entry) -> String {
    let mut body = Vec::with_capacity(400);
    let mut json = serde_json::Serializer::new(&mut body);
    let written = json.serialize_map(None).and_then(|mut map| {
        let mut written = Ok(());
        entry.each_field(|name, value| {
            if written.is_ok() {
                written = map.serialize_entry(name, value);
            }
        });
        written.and_then(|()| map.end())
    });
    written.expect("texts are JSON, and memory takes them");
    String::from_utf8(body).expect("JSON is UTF-8")
}

pub(super) fn decode(stream: Stream, id: EntryId, body: &str) -> Result<Entry, String> {
    let Fields(fields) = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let fields = fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    Entry::decode(stream, id, fields).map_err(|error| error.to_string())
}

/// Writes rows, with its statements prepared once for all of a commit.
pub(super) struct Appender<'a>(PerStream<CachedStatement<'a>>);

impl<'a> Appender<'a> {
    pub(super) fn new(connection: &'a Connection) -> Result<Self, StoreError> {
        let prepared = PerStream::try_from_fn(|stream| {
            connection.prepare_cached(match stream {
                Stream::Executions => "INSERT INTO executions VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                Stream::Queue => "INSERT INTO queue VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                Stream::Windows => "INSERT INTO windows VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            })
        });
        Ok(Self(prepared?))
    }

    /// Writes the successor of the stream's last row; the bytes of all bodies up to and with it.
    pub(super) fn append(&mut self, entry: &Entry, bytes_before: u64) -> Result<u64, StoreError> {
        let stream = entry.record.stream();
        let body = encode(entry);
        let bytes = bytes_before + body.len() as u64;
        self.0[stream].execute((
            entry.seq.cast_signed(),
            entry.id.ms.cast_signed(),
            entry.id.n.cast_signed(),
            bytes.cast_signed(),
            &body,
            crc(stream, entry.seq, entry.id, bytes, &body),
        ))?;
        Ok(bytes)
    }
}

/// Exactly the rows `seqs`: one that is missing is damage.
pub(super) fn read(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
) -> Result<Vec<Stored>, StoreError> {
    let (first, last) = (*seqs.start(), *seqs.end());
    if first > last {
        return Ok(Vec::new());
    }
    let sql = match stream {
        Stream::Executions => "SELECT * FROM executions WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
        Stream::Queue => "SELECT * FROM queue WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
        Stream::Windows => "SELECT * FROM windows WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((first.cast_signed(), last.cast_signed()))?;
    let mut found: Vec<Stored> = Vec::with_capacity((last - first + 1).min(100_000) as usize);
    let mut expected = first;
    while let Some(row) = rows.next()? {
        let stored = read_row(row, stream, expected)?;
        if let Some(before) = found.last()
            && (before.entry.id >= stored.entry.id || before.bytes != stored.bytes_before)
        {
            return Err(StoreError::damaged(
                name(stream, expected),
                "it does not continue the entry before it",
            ));
        }
        found.push(stored);
        expected += 1;
    }
    if expected <= last {
        return Err(StoreError::damaged(name(stream, expected), "it is missing"));
    }
    Ok(found)
}

/// Copies the rows `seqs` as they are into another database.
pub(super) fn copy(
    source: &Connection,
    target: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
) -> Result<(), StoreError> {
    let table = table(stream);
    let select = format!("SELECT seq, ms, n, bytes, body, crc FROM {table} WHERE seq BETWEEN ?1 AND ?2");
    let insert = format!("INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let mut select = source.prepare_cached(&select)?;
    let mut insert = target.prepare_cached(&insert)?;
    let mut rows = select.query((seqs.start().cast_signed(), seqs.end().cast_signed()))?;
    while let Some(row) = rows.next()? {
        let [seq, ms, n, bytes, crc] = [0, 1, 2, 3, 5].map(|column| row.get::<_, i64>(column));
        insert.execute((seq?, ms?, n?, bytes?, row.get::<_, String>(4)?, crc?))?;
    }
    Ok(())
}

/// Removes every row of the stream.
pub(super) fn remove_all(connection: &Connection, stream: Stream) -> Result<(), StoreError> {
    connection.execute(&format!("DELETE FROM {}", table(stream)), [])?;
    Ok(())
}

/// One row, which must be there.
pub(super) fn read_one(connection: &Connection, stream: Stream, seq: u64) -> Result<Stored, StoreError> {
    let mut rows = read(connection, stream, seq..=seq)?;
    rows.pop().ok_or_else(|| StoreError::damaged(name(stream, seq), "it is missing"))
}

/// The first of `seqs` whose id is greater than `id`; the one after the last when none is.
pub(super) fn seek(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
    id: EntryId,
) -> Result<u64, StoreError> {
    first_that(connection, stream, seqs, |entry| entry.id > id)
}

/// The first of `seqs` that tells of `tick` or of a later one; the one after the last when none does.
pub(super) fn seek_tick(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
    tick: Tick,
) -> Result<u64, StoreError> {
    first_that(connection, stream, seqs, |entry| entry.record.tick() >= tick)
}

/// The first of `seqs` of which `holds` is true, as it is of all that follow it.
fn first_that(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
    holds: impl Fn(&Entry) -> bool,
) -> Result<u64, StoreError> {
    let (mut low, mut high) = (*seqs.start(), seqs.end() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(&read_one(connection, stream, middle)?.entry) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// Removes the rows `seqs`, all of which must be there.
pub(super) fn remove(
    connection: &Connection,
    stream: Stream,
    seqs: RangeInclusive<u64>,
) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM {} WHERE seq BETWEEN ?1 AND ?2", table(stream));
    let (first, last) = (*seqs.start(), *seqs.end());
    let removed = connection.prepare_cached(&sql)?.execute((first.cast_signed(), last.cast_signed()))?;
    if removed as u64 == last - first + 1 {
        Ok(())
    } else {
        let record = format!("{stream} entries {first} to {last}");
        Err(StoreError::damaged(record, format!("only {removed} of them are there")))
    }
}

/// As a person would call it.
pub(super) fn name(stream: Stream, seq: u64) -> String {
    format!("{stream} entry {seq}")
}

fn read_row(row: &Row<'_>, stream: Stream, expected: u64) -> Result<Stored, StoreError> {
    let damaged = |what: String| StoreError::damaged(name(stream, expected), what);
    let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let typed = |error: rusqlite::Error| damaged(error.to_string());
    let seq = number(0).map_err(typed)?;
    if seq != expected {
        return Err(damaged(format!("it is missing, entry {seq} follows")));
    }
    let id = EntryId { ms: number(1).map_err(typed)?, n: number(2).map_err(typed)? };
    let bytes = number(3).map_err(typed)?;
    let body = row.get_ref(4)?.as_str().map_err(|error| damaged(error.to_string()))?;
    let stored: i64 = row.get(5).map_err(typed)?;
    if stored != i64::from(crc(stream, seq, id, bytes, body)) {
        return Err(damaged("its checksum does not fit".to_owned()));
    }
    let entry = decode(stream, id, body).map_err(damaged)?;
    if entry.seq != seq {
        return Err(damaged(format!("its body belongs to entry {}", entry.seq)));
    }
    let bytes_before = bytes.checked_sub(body.len() as u64);
    let bytes_before = bytes_before.ok_or_else(|| damaged("its byte count is too small".to_owned()))?;
    Ok(Stored { entry, bytes_before, bytes })
}

fn crc(stream: Stream, seq: u64, id: EntryId, bytes: u64, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(stream.name().as_bytes());
    for number in [seq, id.ms, id.n, bytes] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(body.as_bytes());
    hasher.finalize()
}

/// Pairs of a JSON object, borrowed where nothing is escaped.
struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> de::Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(16);
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Fields(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"v":"1","seq":"7","event":"queued","execution":"01a1fee0-cda3-74de-869e-ea810930f872","query":"d9ab596e-a8b9-56c7-9985-f4d20b7022dc","tick":"5","due_tick":"6","added_ticks":"0"}"#;

    proptest! {
        #[test]
        fn any_body_is_an_entry_or_a_reason(body in "\\PC{0,60}", at in 0..BODY.len(), piece in "[ -~]{0,4}") {
            let id = EntryId { ms: 1, n: 0 };
            for stream in Stream::ALL {
                prop_assert!(decode(stream, id, &body).is_err());
            }
            let spoilt = format!("{}{piece}{}", &BODY[..at], &BODY[(at + 3).min(BODY.len())..]);
            match decode(Stream::Queue, id, &spoilt) {
                Ok(entry) => prop_assert_eq!(decode(Stream::Queue, id, &encode(&entry)), Ok(entry)),
                Err(reason) => prop_assert!(!reason.is_empty()),
            }
        }
    }
}

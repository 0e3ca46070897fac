//! Entries as Redis takes and gives them.

use evenkeel_core::journal::{DecodeError, Entry, EntryId, NewerFormat, Stream};
#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use redis::{Cmd, Value};

use super::{FORMAT_VERSION, link::RedisFault};

/// Arguments of an `XADD`, and their bytes: what an entry needs, so that packing it grows nothing.
const XADD: (usize, usize) = (34, 512);

/// `XADD` under the entry's own id, to a stream that must be there.
pub(super) fn xadd(key: &str, entry: &Entry) -> Cmd {
    let (arguments, bytes) = XADD;
    let mut xadd = Cmd::with_capacity(arguments, bytes);
    xadd.arg("XADD").arg(key).arg("NOMKSTREAM");
    let id = entry.id.to_string();
    #[cfg(feature = "mutants")]
    let id = if mutant::is(Mutant::ChosenIds) { "*".to_owned() } else { id };
    xadd.arg(id);
    entry.each_field(|name, value| {
        xadd.arg(name).arg(value);
    });
    xadd
}

/// An entry as it stands in a stream: whole, deleted meanwhile, or not one of ours.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stored {
    Entry(Entry),
    /// Its id is pending and nothing stands behind it.
    Deleted(EntryId),
    Undecodable(EntryId, String),
    /// A later evenkeel wrote it, in this format.
    Newer(EntryId, u64),
}

impl Stored {
    pub(super) fn id(&self) -> EntryId {
        match self {
            Self::Entry(entry) => entry.id,
            Self::Deleted(id) | Self::Undecodable(id, _) | Self::Newer(id, _) => *id,
        }
    }
}

/// The entries of an `XRANGE`.
pub(super) fn stored(stream: Stream, value: Value) -> Result<Vec<Stored>, RedisFault> {
    array(value)?.into_iter().map(|item| stored_one(stream, item)).collect()
}

fn stored_one(stream: Stream, item: Value) -> Result<Stored, RedisFault> {
    let [id, fields] = pair(item)?;
    let id: EntryId = parsed(id)?;
    if fields == Value::Nil {
        return Ok(Stored::Deleted(id));
    }
    let fields: Vec<String> = match array(fields)?.into_iter().map(text).collect() {
        Ok(fields) => fields,
        Err(RedisFault::Unexpected(what)) => return Ok(Stored::Undecodable(id, what)),
        Err(fault) => return Err(fault),
    };
    let pairs = fields.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
    Ok(match Entry::decode(stream, id, pairs) {
        Ok(entry) => Stored::Entry(entry),
        Err(DecodeError::Version(version)) => Stored::Newer(id, version),
        Err(error) => Stored::Undecodable(id, error.to_string()),
    })
}

/// What `meta format` says, unless this evenkeel knows it.
pub(super) fn newer_meta(format: Option<String>) -> Result<(), RedisFault> {
    let Some(format) = format else { return Ok(()) };
    let theirs = parsed(Value::BulkString(format.into_bytes()))?;
    if theirs <= FORMAT_VERSION {
        return Ok(());
    }
    Err(NewerFormat { what: "the journal in Redis".to_owned(), theirs, ours: FORMAT_VERSION }.into())
}

/// An entry that a later evenkeel wrote.
pub(super) fn newer_entry(stream: Stream, id: EntryId, theirs: u64) -> NewerFormat {
    NewerFormat { what: format!("entry {id} of {stream} in Redis"), theirs, ours: FORMAT_VERSION }
}

pub(super) fn array(value: Value) -> Result<Vec<Value>, RedisFault> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        other => Err(unexpected("a list", &other)),
    }
}

pub(super) fn pair(value: Value) -> Result<[Value; 2], RedisFault> {
    <[Value; 2]>::try_from(array(value)?)
        .map_err(|items| RedisFault::Unexpected(format!("{} values instead of two", items.len())))
}

pub(super) fn text(value: Value) -> Result<String, RedisFault> {
    match value {
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map_err(|error| RedisFault::Unexpected(error.to_string()))
        }
        Value::SimpleString(text) => Ok(text),
        Value::Int(number) => Ok(number.to_string()),
        Value::Okay => Ok("OK".to_owned()),
        other => Err(unexpected("a text", &other)),
    }
}

/// A text that is perhaps not there.
pub(super) fn optional(value: Value) -> Result<Option<String>, RedisFault> {
    if value == Value::Nil { Ok(None) } else { text(value).map(Some) }
}

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(value: Value) -> Result<T, RedisFault> {
    let text = text(value)?;
    text.parse().map_err(|error| RedisFault::Unexpected(format!("`{text}`: {error}")))
}

/// A list `name value name value …`, as `XINFO` and `HGETALL` answer.
pub(super) fn pairs(value: Value) -> Result<Vec<(String, Value)>, RedisFault> {
    let mut items = match value {
        Value::Map(items) => {
            return items.into_iter().map(|(name, value)| Ok((text(name)?, value))).collect();
        }
        other => array(other)?.into_iter(),
    };
    let mut pairs = Vec::new();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        pairs.push((text(name)?, value));
    }
    Ok(pairs)
}

/// The value of `name`, which must be there.
pub(super) fn take(pairs: &mut Vec<(String, Value)>, name: &str) -> Result<Value, RedisFault> {
    let at = pairs.iter().position(|(found, _)| found == name);
    let at = at.ok_or_else(|| RedisFault::Unexpected(format!("an answer without `{name}`")))?;
    Ok(pairs.swap_remove(at).1)
}

fn unexpected(expected: &str, found: &Value) -> RedisFault {
    if let Value::ServerError(error) = found {
        return RedisFault::from(redis::RedisError::from(error.clone()));
    }
    RedisFault::Unexpected(format!("{found:?} instead of {expected}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Anything that a Redis, or whoever pretends to be one, may answer.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            Just(Value::Okay),
            any::<i64>().prop_map(Value::Int),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::BulkString),
            "[0-9]{1,20}-[0-9]{1,20}".prop_map(|id| Value::BulkString(id.into_bytes())),
            prop_oneof!["v", "seq", "event", "tick", "queued", "1"].prop_map(Value::SimpleString),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| prop::collection::vec(inner, 0..8).prop_map(Value::Array))
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_entry_or_an_error_and_no_panic(value in anything()) {
            for stream in Stream::ALL {
                let _ = stored(stream, value.clone());
            }
            let _ = (pairs(value.clone()), pair(value.clone()), optional(value.clone()), text(value));
        }

        #[test]
        fn an_entry_with_one_field_spoilt_is_named_and_not_read_as_another(
            field in 0..8_usize,
            text in "[^0-9a-f-]{1,12}",
        ) {
            let whole = [
                ("v", "1"), ("seq", "7"), ("event", "queued"),
                ("execution", "01a1fee0-cda3-74de-869e-ea810930f872"),
                ("query", "d9ab596e-a8b9-56c7-9985-f4d20b7022dc"),
                ("tick", "5"), ("due_tick", "6"), ("added_ticks", "0"),
            ];
            let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let item = |spoilt: Option<usize>| {
                let fields = whole.iter().enumerate().flat_map(|(n, (name, value))| {
                    [bulk(name), bulk(if spoilt == Some(n) { &text } else { value })]
                });
                Value::Array(vec![Value::Array(vec![bulk("1800000000000-3"), Value::Array(fields.collect())])])
            };
            let good = stored(Stream::Queue, item(None)).unwrap();
            prop_assert!(matches!(&good[..], [Stored::Entry(entry)] if entry.seq == 7));
            let spoilt = stored(Stream::Queue, item(Some(field))).unwrap();
            let named = match &spoilt[..] {
                [Stored::Undecodable(_, what)] => what.contains(whole[field].0) || what.contains("version"),
                _ => false,
            };
            prop_assert!(named, "{:?}", spoilt);
        }
    }
}

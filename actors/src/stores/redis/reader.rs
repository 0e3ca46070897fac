//! Reading the streams beside whoever writes and reads them: nothing is changed, no group is touched.

use std::collections::BTreeMap;

use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    units::{lengths::Lengths, tick::Tick},
};
use redis::{Value, cmd, pipe};

use super::{
    fields::{Stored, array, newer_entry, newer_meta, pairs, parsed, stored, take, text},
    keys::Keys,
    link::{Link, RedisFault},
    target::Target,
};
use crate::ports::state_store::DeadLetter;

/// A stream at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamState {
    /// Entries.
    pub length: u64,
    /// The first one, if there is one that can be read.
    pub first: Option<Entry>,
    /// The last one, if there is one that can be read.
    pub last: Option<Entry>,
    /// The id of the last one, readable or not; 0-0 when there is none.
    pub last_id: EntryId,
    /// The group's last delivered id, and entries that it has not acknowledged.
    pub group: Option<(EntryId, u64)>,
}

/// What `meta` says, the known fields by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisMeta(BTreeMap<String, String>);

impl RedisMeta {
    /// A field; none when it is not there.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// The last tick that the streams tell about.
    pub fn tick(&self) -> Option<Tick> {
        self.get("tick").and_then(|tick| tick.parse().ok()).map(Tick)
    }

    /// How long its ticks and windows are; what it does not tell is as it was before that was told.
    pub fn lengths(&self) -> Lengths {
        let told = ["tick_ms", "window_ticks", "default_delay_ticks"]
            .map(|field| self.get(field).and_then(|value| value.parse().ok()));
        Lengths::told(told).unwrap_or_default()
    }

    /// The first tick that the streams do not tell about.
    pub fn next_tick(&self) -> Tick {
        self.tick().map(Tick::next).unwrap_or_default()
    }

    /// Ranges that Redis has lost, as `stream:first-last`.
    pub fn lost(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|field| field.strip_prefix("lost:"))
    }

    /// Where another journal's entries end and this one's begin: the first tick of each continuation.
    pub fn gaps(&self) -> impl Iterator<Item = Tick> {
        let gaps = self.0.keys().filter_map(|field| field.strip_prefix("gap:"));
        gaps.filter_map(|tick| tick.parse().ok()).map(Tick)
    }
}

/// The streams, open for reading. Blocking.
#[derive(Debug)]
pub struct RedisReader {
    keys: Keys,
    link: Link,
}

impl RedisReader {
    /// Opens the streams under `keys`.
    ///
    /// # Errors
    /// [`RedisFault`]; [`RedisFault::Gone`] when there are none.
    pub fn open(target: &Target, keys: Keys) -> Result<Self, RedisFault> {
        let mut reader = Self { keys, link: Link::open(target)? };
        let meta = reader.meta()?;
        newer_meta(meta.get("format").map(str::to_owned))?;
        if meta.get("journal").is_none() {
            return Err(RedisFault::Gone(format!(
                "{target} holds no journal under {}: `evenkeel server --redis …` creates one",
                reader.keys
            )));
        }
        Ok(reader)
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn call(&mut self, command: &redis::Cmd) -> Result<Value, RedisFault> {
        self.link.call(command)
    }

    /// Whose streams these are.
    ///
    /// # Errors
    /// [`RedisFault`], as for all of these.
    pub fn meta(&mut self) -> Result<RedisMeta, RedisFault> {
        let found = pairs(self.link.call(cmd("HGETALL").arg(self.keys.meta()))?)?;
        found
            .into_iter()
            .map(|(name, value)| Ok((name, text(value)?)))
            .collect::<Result<_, _>>()
            .map(RedisMeta)
    }

    /// All streams and `meta` at one moment.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn moment(&mut self) -> Result<(RedisMeta, PerStream<StreamState>), RedisFault> {
        let mut moment = pipe();
        moment.cmd("HGETALL").arg(self.keys.meta());
        for stream in Stream::ALL {
            moment.cmd("XINFO").arg("STREAM").arg(self.keys.stream(stream));
            moment.cmd("XINFO").arg("GROUPS").arg(self.keys.stream(stream));
        }
        let mut answers = self.link.transaction(&mut moment)?.unwrap_or_default().into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let meta = pairs(next())?;
        let meta =
            meta.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect::<Result<_, RedisFault>>();
        let streams = PerStream::try_from_fn(|stream| state(stream, next(), next()))?;
        Ok((RedisMeta(meta?), streams))
    }

    /// The first entries after `id`, at most `limit`, and those that cannot be read as such.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn after(
        &mut self,
        stream: Stream,
        id: EntryId,
        limit: usize,
    ) -> Result<Vec<Result<Entry, DeadLetter>>, RedisFault> {
        let mut range = cmd("XRANGE");
        range.arg(self.keys.stream(stream)).arg(format!("({id}")).arg("+").arg("COUNT").arg(limit);
        Ok(stored(stream, self.link.call(&range)?)?.into_iter().map(|one| readable(stream, one)).collect())
    }

    /// The last `limit` entries, in id order.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn tail(
        &mut self,
        stream: Stream,
        limit: usize,
    ) -> Result<Vec<Result<Entry, DeadLetter>>, RedisFault> {
        self.last(stream, "+", limit)
    }

    /// The last `limit` entries up to `end`, in id order.
    pub(super) fn last(
        &mut self,
        stream: Stream,
        end: &str,
        limit: usize,
    ) -> Result<Vec<Result<Entry, DeadLetter>>, RedisFault> {
        let mut range = cmd("XREVRANGE");
        range.arg(self.keys.stream(stream)).arg(end).arg("-").arg("COUNT").arg(limit);
        let mut found = stored(stream, self.link.call(&range)?)?;
        found.reverse();
        Ok(found.into_iter().map(|one| readable(stream, one)).collect())
    }

    /// What clients set aside.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, RedisFault> {
        let found = pairs(self.link.call(cmd("HGETALL").arg(self.keys.dead()))?)?;
        let letter = |(name, reason): (String, Value)| {
            let (stream, id) = name.split_once(':')?;
            Some(DeadLetter {
                stream: stream.parse().ok()?,
                id: id.parse().ok()?,
                reason: text(reason).ok()?,
            })
        };
        Ok(found.into_iter().filter_map(letter).collect())
    }

    /// The client's hash: its applied positions.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn applied(&mut self) -> Result<Positions, RedisFault> {
        let mut positions = Positions::default();
        for (name, value) in pairs(self.link.call(cmd("HGETALL").arg(self.keys.client()))?)? {
            if let Ok(stream) = name.parse() {
                positions.advance(stream, parsed(value)?);
            }
        }
        Ok(positions)
    }
}

fn readable(stream: Stream, one: Stored) -> Result<Entry, DeadLetter> {
    match one {
        Stored::Entry(entry) => Ok(entry),
        Stored::Deleted(id) => Err(DeadLetter { stream, id, reason: "it was deleted".to_owned() }),
        Stored::Undecodable(id, reason) => Err(DeadLetter { stream, id, reason }),
        Stored::Newer(id, version) => {
            Err(DeadLetter { stream, id, reason: newer_entry(stream, id, version).to_string() })
        }
    }
}

fn state(stream: Stream, info: Value, groups: Value) -> Result<StreamState, RedisFault> {
    // An error is the answer for a stream that is not there yet.
    let Ok(mut info) = pairs(info) else { return Ok(StreamState::default()) };
    let mut end = |name: &str| -> Result<Option<Stored>, RedisFault> {
        let entry = take(&mut info, name)?;
        if entry == Value::Nil {
            return Ok(None);
        }
        Ok(stored(stream, Value::Array(vec![entry]))?.pop())
    };
    let (first, last) = (end("first-entry")?, end("last-entry")?);
    let last_id = last.as_ref().map_or_else(EntryId::default, Stored::id);
    let readable = |one: Option<Stored>| match one {
        Some(Stored::Entry(entry)) => Some(entry),
        _ => None,
    };
    let (first, last) = (readable(first), readable(last));
    let length = parsed(take(&mut info, "length")?)?;
    let mut group = None;
    for found in array(groups)? {
        let mut found = pairs(found)?;
        if text(take(&mut found, "name")?)? == super::GROUP {
            let delivered = parsed(take(&mut found, "last-delivered-id")?)?;
            group = Some((delivered, parsed(take(&mut found, "pending")?)?));
        }
    }
    Ok(StreamState { length, first, last, last_id, group })
}

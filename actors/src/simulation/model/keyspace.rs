//! What a Redis holds, and the commands on it that evenkeel and its operators use.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use evenkeel_core::journal::EntryId;
use redis::Value;

/// Words of a command.
pub(in super::super) type Words = Vec<Vec<u8>>;

/// An error as Redis words it, code first.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Refusal(pub(in super::super) String);

type Answer = Result<Value, Refusal>;

pub(super) const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Keyspace {
    pub(in super::super) streams: BTreeMap<String, StreamKey>,
    pub(in super::super) hashes: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    pub(in super::super) strings: BTreeMap<String, Vec<u8>>,
    /// Counts changes of each key, for WATCH.
    pub(super) changes: BTreeMap<String, u64>,
    /// Changes of all keys, for the append-only file.
    pub(super) dirty: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct StreamKey {
    pub(in super::super) entries: BTreeMap<EntryId, Arc<Words>>,
    pub(in super::super) last: EntryId,
    pub(in super::super) groups: BTreeMap<String, Group>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Group {
    pub(in super::super) delivered: EntryId,
    /// By whom each pending entry was taken.
    pub(in super::super) pending: BTreeMap<EntryId, String>,
}

pub(super) fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(text.into()))
}

pub(in super::super) fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

pub(super) fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::BulkString(text.as_ref().to_vec())
}

pub(super) fn int(number: usize) -> Value {
    Value::Int(number.cast_signed() as i64)
}

fn id(word: &[u8]) -> Result<EntryId, Refusal> {
    let whole = text(word);
    let whole = if whole.contains('-') { whole } else { format!("{whole}-0") };
    whole.parse().or_else(|_| refuse("ERR Invalid stream ID specified as stream command argument"))
}

fn entry(id: EntryId, fields: Option<&Arc<Words>>) -> Value {
    let fields = fields.map_or(Value::Nil, |fields| Value::Array(fields.iter().map(bulk).collect()));
    Value::Array(vec![bulk(id.to_string()), fields])
}

impl StreamKey {
    fn range(&self, from: Bound<EntryId>, to: Bound<EntryId>, count: usize) -> Vec<Value> {
        // An empty or backward range is none; BTreeMap would panic.
        let low = match from {
            Bound::Excluded(id) | Bound::Included(id) => id,
            Bound::Unbounded => EntryId::default(),
        };
        if matches!(to, Bound::Included(high) if high < low || (high == low && matches!(from, Bound::Excluded(_))))
        {
            return Vec::new();
        }
        self.entries.range((from, to)).take(count).map(|(id, fields)| entry(*id, Some(fields))).collect()
    }

    /// Removes the first entries while `goes` says so; how many went.
    pub(super) fn trim(&mut self, most: usize, goes: impl Fn(EntryId, usize) -> bool) -> Vec<EntryId> {
        let mut gone = Vec::new();
        while let Some((&first, _)) = self.entries.first_key_value()
            && gone.len() < most
            && goes(first, self.entries.len())
        {
            self.entries.pop_first();
            gone.push(first);
        }
        gone
    }
}

impl Keyspace {
    pub(super) fn touch(&mut self, key: &str) {
        *self.changes.entry(key.to_owned()).or_default() += 1;
        self.dirty += 1;
    }

    fn exists(&self, key: &str) -> bool {
        self.streams.contains_key(key) || self.hashes.contains_key(key) || self.strings.contains_key(key)
    }

    pub(super) fn get(&self, key: &str, field: &str) -> Option<&Vec<u8>> {
        self.hashes.get(key)?.get(field)
    }

    pub(super) fn set(&mut self, key: &str, field: &str, value: &[u8]) -> bool {
        self.touch(key);
        let hash = self.hashes.entry(key.to_owned()).or_default();
        hash.insert(field.to_owned(), value.to_vec()).is_none()
    }

    /// Runs one command that belongs to no transaction and no script.
    pub(super) fn run(&mut self, words: &Words, now_ms: u64) -> Answer {
        let name = text(&words[0]).to_uppercase();
        let at = |index: usize| words.get(index).map(Vec::as_slice).unwrap_or_default();
        let key = text(at(1));
        match name.as_str() {
            "PING" => Ok(Value::SimpleString("PONG".to_owned())),
            "HSET" => {
                Ok(int(words[2..].chunks(2).filter(|pair| self.set(&key, &text(&pair[0]), &pair[1])).count()))
            }
            "HSETNX" => Ok(int(usize::from(
                self.get(&key, &text(at(2))).is_none() && self.set(&key, &text(at(2)), at(3)),
            ))),
            "HGET" => Ok(self.get(&key, &text(at(2))).map_or(Value::Nil, bulk)),
            "HMGET" => Ok(Value::Array(
                words[2..].iter().map(|f| self.get(&key, &text(f)).map_or(Value::Nil, bulk)).collect(),
            )),
            "SET" => {
                self.strings.insert(key.clone(), at(2).to_vec());
                self.touch(&key);
                Ok(Value::Okay)
            }
            "MGET" => {
                let found =
                    words[1..].iter().map(|key| self.strings.get(&text(key)).map_or(Value::Nil, bulk));
                Ok(Value::Array(found.collect()))
            }
            "DEL" => Ok(int(words[1..].iter().filter(|key| self.delete(&text(key))).count())),
            "FLUSHALL" => {
                let keys = self.streams.keys().chain(self.hashes.keys()).chain(self.strings.keys());
                for key in keys.cloned().collect::<Vec<_>>() {
                    self.delete(&key);
                }
                Ok(Value::Okay)
            }
            "INFO" => Ok(bulk("maxmemory_policy:noeviction\r\nloading:0\r\naof_enabled:1\r\n")),
            "XADD" => self.xadd(&key, words, now_ms),
            "XRANGE" => self.xrange(&key, words),
            "XREAD" => self.xread(words),
            "XREADGROUP" => self.xreadgroup(words),
            "XACK" => self.xack(&key, &text(at(2)), &words[3..]),
            "XDEL" => self.xdel(&key, &words[2..]),
            "XTRIM" => self.xtrim(&key, words),
            "XINFO" => self.xinfo(&text(at(1)).to_uppercase(), &text(at(2))),
            "XGROUP" => self.xgroup(&text(at(1)).to_uppercase(), &text(at(2)), &text(at(3)), at(4)),
            _ => panic!("the model knows no {name}"),
        }
    }

    fn delete(&mut self, key: &str) -> bool {
        let there = self.exists(key);
        if there {
            self.streams.remove(key);
            self.hashes.remove(key);
            self.strings.remove(key);
            self.touch(key);
        }
        there
    }

    fn xadd(&mut self, key: &str, words: &Words, now_ms: u64) -> Answer {
        let must_exist = text(&words[2]).eq_ignore_ascii_case("NOMKSTREAM");
        let at = if must_exist { 3 } else { 2 };
        let chosen = if words[at] == b"*" { None } else { Some(id(&words[at])?) };
        if chosen == Some(EntryId::default()) {
            return refuse("ERR The ID specified in XADD must be greater than 0-0");
        }
        if must_exist && !self.streams.contains_key(key) {
            return Ok(Value::Nil);
        }
        let last = self.streams.get(key).map(|stream| stream.last).unwrap_or_default();
        let new = chosen.unwrap_or(if now_ms > last.ms {
            EntryId { ms: now_ms, n: 0 }
        } else {
            EntryId { ms: last.ms, n: last.n + 1 }
        });
        if new <= last {
            return refuse(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item",
            );
        }
        let stream = self.streams.entry(key.to_owned()).or_default();
        stream.entries.insert(new, Arc::new(words[at + 1..].to_vec()));
        stream.last = new;
        self.touch(key);
        Ok(bulk(new.to_string()))
    }

    fn xrange(&self, key: &str, words: &Words) -> Answer {
        let bound = |word: &[u8]| match word {
            b"-" | b"+" => Ok(Bound::Unbounded),
            [b'(', rest @ ..] => Ok(Bound::Excluded(id(rest)?)),
            word => Ok(Bound::Included(id(word)?)),
        };
        let count = words.get(5).map_or(usize::MAX, |count| text(count).parse().unwrap_or(0));
        let (from, to) = (bound(&words[2])?, bound(&words[3])?);
        let found = self.streams.get(key).map(|stream| stream.range(from, to, count));
        Ok(Value::Array(found.unwrap_or_default()))
    }

    fn xread(&self, words: &Words) -> Answer {
        let count: usize = text(&words[2]).parse().unwrap_or(0);
        let streams = &words[6..];
        let (keys, after) = streams.split_at(streams.len() / 2);
        let mut found = Vec::new();
        for (key, after) in keys.iter().zip(after) {
            let after = Bound::Excluded(id(after)?);
            let entries = self.streams.get(&text(key)).map(|s| s.range(after, Bound::Unbounded, count));
            if let Some(entries) = entries.filter(|entries| !entries.is_empty()) {
                found.push(Value::Array(vec![bulk(key), Value::Array(entries)]));
            }
        }
        Ok(if found.is_empty() { Value::Nil } else { Value::Array(found) })
    }

    /// `XREADGROUP GROUP g c COUNT n STREAMS …`
    pub(super) fn xreadgroup(&mut self, words: &Words) -> Answer {
        let (group, consumer) = (text(&words[2]), text(&words[3]));
        let count: usize = text(&words[5]).parse().unwrap_or(0);
        let streams = &words[7..];
        let (keys, after) = streams.split_at(streams.len() / 2);
        for key in keys.iter().map(|key| text(key)) {
            if self.streams.get(&key).is_none_or(|stream| !stream.groups.contains_key(&group)) {
                return refuse(format!(
                    "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"
                ));
            }
        }
        let mut found = Vec::new();
        for (key, after) in keys.iter().zip(after) {
            let key = text(key);
            let new = after == b">";
            let after = if new { EntryId::default() } else { id(after)? };
            let Some(stream) = self.streams.get_mut(&key) else { continue };
            let Some(of) = stream.groups.get_mut(&group) else { continue };
            let mut entries = Vec::new();
            if new {
                let next =
                    stream.entries.range((Bound::Excluded(of.delivered), Bound::Unbounded)).take(count);
                for (id, fields) in next {
                    entries.push(entry(*id, Some(fields)));
                    of.pending.insert(*id, consumer.clone());
                    of.delivered = *id;
                }
            } else {
                let own = of.pending.range((Bound::Excluded(after), Bound::Unbounded));
                let own = own.filter(|(_, by)| **by == consumer).take(count);
                entries.extend(own.map(|(id, _)| entry(*id, stream.entries.get(id))));
            }
            if new && entries.is_empty() {
                continue;
            }
            self.touch(&key);
            found.push(Value::Array(vec![bulk(key), Value::Array(entries)]));
        }
        Ok(if found.is_empty() { Value::Nil } else { Value::Array(found) })
    }

    pub(super) fn acknowledge(&mut self, key: &str, group: &str, ids: &[EntryId]) -> usize {
        let group = self.streams.get_mut(key).and_then(|stream| stream.groups.get_mut(group));
        let acknowledged =
            group.map_or(0, |group| ids.iter().filter(|id| group.pending.remove(id).is_some()).count());
        if acknowledged > 0 {
            self.touch(key);
        }
        acknowledged
    }

    fn xack(&mut self, key: &str, group: &str, ids: &[Vec<u8>]) -> Answer {
        let ids = ids.iter().map(|word| id(word)).collect::<Result<Vec<_>, _>>()?;
        Ok(int(self.acknowledge(key, group, &ids)))
    }

    fn xdel(&mut self, key: &str, ids: &[Vec<u8>]) -> Answer {
        let ids = ids.iter().map(|word| id(word)).collect::<Result<BTreeSet<_>, _>>()?;
        let Some(stream) = self.streams.get_mut(key) else { return Ok(int(0)) };
        let gone = ids.iter().filter(|id| stream.entries.remove(id).is_some()).count();
        if gone > 0 {
            self.touch(key);
        }
        Ok(int(gone))
    }

    fn xtrim(&mut self, key: &str, words: &Words) -> Answer {
        let (kind, limit) = (text(&words[2]).to_uppercase(), text(&words[words.len() - 1]));
        let Some(stream) = self.streams.get_mut(key) else { return Ok(int(0)) };
        let gone = if kind == "MAXLEN" {
            let keep: usize = limit.parse().unwrap_or(0);
            stream.trim(usize::MAX, |_, length| length > keep)
        } else {
            let keep = id(limit.as_bytes())?;
            stream.trim(usize::MAX, |id, _| id < keep)
        };
        if !gone.is_empty() {
            self.touch(key);
        }
        Ok(int(gone.len()))
    }

    fn xinfo(&self, what: &str, key: &str) -> Answer {
        let Some(stream) = self.streams.get(key) else { return refuse("ERR no such key") };
        let end = |found: Option<(&EntryId, &Arc<Words>)>| {
            found.map_or(Value::Nil, |(id, fields)| entry(*id, Some(fields)))
        };
        if what == "STREAM" {
            return Ok(Value::Array(vec![
                bulk("length"),
                int(stream.entries.len()),
                bulk("last-generated-id"),
                bulk(stream.last.to_string()),
                bulk("groups"),
                int(stream.groups.len()),
                bulk("first-entry"),
                end(stream.entries.first_key_value()),
                bulk("last-entry"),
                end(stream.entries.last_key_value()),
            ]));
        }
        let groups = stream.groups.iter().map(|(name, group)| {
            Value::Array(vec![
                bulk("name"),
                bulk(name),
                bulk("pending"),
                int(group.pending.len()),
                bulk("last-delivered-id"),
                bulk(group.delivered.to_string()),
            ])
        });
        Ok(Value::Array(groups.collect()))
    }

    fn xgroup(&mut self, what: &str, key: &str, group: &str, argument: &[u8]) -> Answer {
        if what == "CREATE" {
            // Always with MKSTREAM.
            if self.streams.get(key).is_some_and(|stream| stream.groups.contains_key(group)) {
                return refuse("BUSYGROUP Consumer Group name already exists");
            }
            let stream = self.streams.entry(key.to_owned()).or_default();
            let delivered = if argument == b"$" { stream.last } else { id(argument)? };
            stream.groups.insert(group.to_owned(), Group { delivered, ..Group::default() });
            self.touch(key);
            return Ok(Value::Okay);
        }
        let Some(stream) = self.streams.get_mut(key) else {
            return refuse("ERR The XGROUP subcommand requires the key to exist.");
        };
        if what == "DESTROY" {
            let gone = stream.groups.remove(group).is_some();
            self.touch(key);
            return Ok(int(usize::from(gone)));
        }
        let last = stream.last;
        let Some(group_found) = stream.groups.get_mut(group) else {
            return refuse(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"));
        };
        let answer = if what == "SETID" {
            group_found.delivered = if argument == b"$" { last } else { id(argument)? };
            Value::Okay
        } else {
            let consumer = text(argument);
            let before = group_found.pending.len();
            group_found.pending.retain(|_, by| *by != consumer);
            int(before - group_found.pending.len())
        };
        self.touch(key);
        Ok(answer)
    }
}

/// Whether a Redis that is out of memory refuses it.
pub(super) fn needs_memory(words: &Words) -> bool {
    let name = text(&words[0]).to_uppercase();
    let creates = name == "XGROUP" && text(&words[1]).eq_ignore_ascii_case("CREATE");
    creates || ["XADD", "HSET", "HSETNX", "SET"].contains(&name.as_str())
}

/// Whether it changes something.
pub(super) fn writes(words: &Words) -> bool {
    let name = text(&words[0]).to_uppercase();
    needs_memory(words)
        || ["DEL", "FLUSHALL", "XACK", "XDEL", "XTRIM", "XGROUP", "XREADGROUP", "EVALSHA"]
            .contains(&name.as_str())
}

//! The scripts as functions: what each of `redis/scripts/*.lua` does, in one step.

use std::sync::Arc;

use evenkeel_core::journal::EntryId;
use redis::Value;

use super::keyspace::{Keyspace, OOM, Refusal, StreamKey, Words, bulk, int, refuse, text};
use crate::stores::redis::scripts::Scripts;

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Named {
    Claim,
    Trim,
    Acquire,
    Release,
    Read,
    Save,
}

/// Their hashes.
pub(super) fn hashes() -> Vec<(String, Named)> {
    let Scripts { claim, trim, acquire, release, read, save } = Scripts::new();
    let all = [
        (claim, Named::Claim),
        (trim, Named::Trim),
        (acquire, Named::Acquire),
        (release, Named::Release),
        (read, Named::Read),
        (save, Named::Save),
    ];
    all.into_iter().map(|(script, named)| (script.get_hash().to_owned(), named)).collect()
}

/// Removed by trimming, for whoever wants to know.
pub(in super::super) type Trimmed = Vec<(String, EntryId)>;

fn number(word: &[u8]) -> u64 {
    text(word).parse().unwrap_or(0)
}

fn parsed(word: &[u8]) -> EntryId {
    text(word).parse().unwrap_or_default()
}

/// After the last entry that tells of a tick before `oldest`. One that tells no tick counts as the one after it.
fn first_of_tick(stream: &StreamKey, oldest: u64) -> EntryId {
    let too_old = |fields: &Arc<Words>| {
        let named = |name: &[u8]| fields.chunks_exact(2).find(|pair| pair[0] == name);
        let told = named(b"finished_tick").or_else(|| named(b"last_tick")).or_else(|| named(b"tick"));
        told.is_some_and(|told| number(&told[1]) < oldest)
    };
    let last = stream.entries.iter().rev().find(|(_, fields)| too_old(fields));
    last.map_or_else(EntryId::default, |(id, _)| EntryId { ms: id.ms, n: id.n + 1 })
}

pub(super) struct Call<'a> {
    pub(super) keyspace: &'a mut Keyspace,
    pub(super) keys: Vec<String>,
    pub(super) arguments: &'a [Vec<u8>],
    /// Whether Redis was out of memory when the script began: what needs memory is refused then.
    pub(super) full: bool,
    pub(super) trimmed: &'a mut Trimmed,
}

impl Call<'_> {
    pub(super) fn run(&mut self, named: Named) -> Result<Value, Refusal> {
        match named {
            Named::Claim => self.claim(),
            Named::Trim => self.trim().map(int),
            Named::Acquire => self.acquire(),
            Named::Release => self.release(),
            Named::Read => self.read(),
            Named::Save => self.save(),
        }
    }

    fn field(&self, key: usize, field: &str) -> Option<Vec<u8>> {
        self.keyspace.get(&self.keys[key], field).cloned()
    }

    fn set(&mut self, key: usize, field: &str, value: impl AsRef<[u8]>) -> Result<(), Refusal> {
        if self.full {
            return refuse(OOM);
        }
        let key = self.keys[key].clone();
        self.keyspace.set(&key, field, value.as_ref());
        Ok(())
    }

    fn claim(&mut self) -> Result<Value, Refusal> {
        let found = ["journal", "writer_epoch", "label", "writer", "format"].map(|name| self.field(0, name));
        let [journal, epoch, label, writer, format] = found;
        let arguments = self.arguments;
        if let Some(theirs) = journal.as_ref().filter(|journal| **journal != arguments[0]) {
            return Ok(Value::Array(vec![bulk("other"), bulk(theirs), bulk(label.unwrap_or_default())]));
        }
        if let Some(tick) = self.field(0, "tick").filter(|tick| number(tick) >= number(&arguments[6]))
            && journal.is_some()
        {
            return Ok(Value::Array(vec![bulk("older"), bulk(tick)]));
        }
        let (theirs, ours) = (epoch.as_deref().map_or(0, number), number(&arguments[1]));
        if theirs > ours || (theirs == ours && writer.as_ref() != Some(&arguments[5])) {
            return Ok(Value::Array(vec![bulk("replaced"), bulk(epoch.unwrap_or_default())]));
        }
        let stands = format.as_deref().map_or(number(&arguments[2]), number);
        let wanted = number(&arguments[2]);
        if stands > wanted || (stands..wanted).any(|from| from != 1) {
            let which = if stands > wanted { "newer" } else { "outdated" };
            return Ok(Value::Array(vec![bulk(which), bulk(format.unwrap_or_default())]));
        }
        let names = ["journal", "writer_epoch", "format", "tick_ms", "label", "writer"];
        let lengths = ["window_ticks", "default_delay_ticks"].into_iter().zip(&arguments[7..]);
        for (name, value) in names.into_iter().zip(arguments).chain(lengths) {
            self.set(0, name, value)?;
        }
        Ok(Value::Array(vec![bulk(if journal.is_some() { "known" } else { "new" })]))
    }

    fn acquire(&mut self) -> Result<Value, Refusal> {
        let [epoch, beat, holder] = ["epoch", "beat", "holder"].map(|name| self.field(0, name));
        let (beat, holder) = (beat.unwrap_or_else(|| b"0".to_vec()), holder.unwrap_or_default());
        let arguments = self.arguments;
        if let Some(epoch) = &epoch
            && !holder.is_empty()
            && holder != arguments[0]
            && (*epoch != arguments[1] || beat != arguments[2])
        {
            return Ok(Value::Array(vec![bulk("held"), bulk(epoch), bulk(beat), bulk(holder)]));
        }
        let before = epoch.as_deref().map_or(0, number);
        let before = if before < number(&arguments[4]) { before } else { 0 };
        let mine = before.max(number(&arguments[3])) + 1;
        self.set(0, "epoch", mine.to_string())?;
        self.set(0, "beat", "0")?;
        self.set(0, "holder", &arguments[0])?;
        self.set(0, "reads", format!("{mine} {}", text(&arguments[5])))?;
        Ok(Value::Array(vec![bulk("yours"), bulk(mine.to_string())]))
    }

    fn release(&mut self) -> Result<Value, Refusal> {
        if self.field(0, "epoch").as_ref() == Some(&self.arguments[0]) {
            self.set(0, "holder", "")?;
        }
        Ok(Value::Int(1))
    }

    fn beat(&mut self) -> Result<(), Refusal> {
        let beat = self.field(0, "beat").as_deref().map_or(0, number) + 1;
        self.set(0, "beat", beat.to_string())
    }

    fn read(&mut self) -> Result<Value, Refusal> {
        let arguments = self.arguments;
        if self.field(0, "epoch").as_ref() != Some(&arguments[0]) {
            return Ok(Value::Array(vec![bulk("fenced")]));
        }
        if let Some(format) = self.field(1, "format").filter(|format| number(format) > number(&arguments[5]))
        {
            return Ok(Value::Array(vec![bulk("newer"), bulk(format)]));
        }
        if arguments[4] == b"1" {
            self.beat()?;
        }
        let mut words: Words = vec![b"XREADGROUP".to_vec(), b"GROUP".to_vec()];
        words.extend([arguments[1].clone(), arguments[2].clone(), b"COUNT".to_vec(), arguments[3].clone()]);
        words.push(b"STREAMS".to_vec());
        words.extend(self.keys[2..].iter().map(|key| key.clone().into_bytes()));
        words.extend(arguments[6..].iter().cloned());
        let read = match self.keyspace.xreadgroup(&words)? {
            Value::Nil => Value::Array(Vec::new()),
            read => read,
        };
        let names = ["journal", "tick", "tick_ms", "window_ticks", "default_delay_ticks"];
        let meta = names.map(|name| bulk(self.field(1, name).unwrap_or_default()));
        Ok(Value::Array([bulk("read")].into_iter().chain(meta).chain([read]).collect()))
    }

    fn save(&mut self) -> Result<Value, Refusal> {
        let arguments = self.arguments;
        if self.field(0, "epoch").as_ref() != Some(&arguments[0]) {
            return Ok(Value::Array(vec![bulk("fenced")]));
        }
        let applied: Vec<_> =
            arguments[4..].chunks(2).map(|pair| (text(&pair[0]), pair[1].clone())).collect();
        for (name, id) in &applied {
            if self.field(3, name).is_some_and(|before| parsed(id) < parsed(&before)) {
                return Ok(Value::Array(vec![bulk("older")]));
            }
        }
        self.beat()?;
        let (newest, previous) = (self.keys[1].clone(), self.keys[2].clone());
        if let Some(before) = self.keyspace.strings.remove(&newest) {
            self.keyspace.strings.insert(previous.clone(), before);
            self.keyspace.touch(&previous);
        }
        self.keyspace.strings.insert(newest.clone(), arguments[1].clone());
        self.keyspace.touch(&newest);
        let group = text(&arguments[2]);
        let mut acknowledged = 0;
        for (index, (name, id)) in applied.iter().enumerate() {
            let before = self.field(3, name).unwrap_or_else(|| id.clone());
            self.set(3, name, id)?;
            self.set(3, &format!("previous_{name}"), before)?;
            let key = self.keys[4 + index].clone();
            let pending = self.keyspace.streams.get(&key).and_then(|stream| stream.groups.get(&group));
            let pending: Vec<_> = pending
                .map(|group| group.pending.range(..=parsed(id)).map(|(id, _)| *id).collect())
                .unwrap_or_default();
            acknowledged += self.keyspace.acknowledge(&key, &group, &pending);
        }
        self.set(3, "epoch", &arguments[0])?;
        self.set(3, "journal", &arguments[3])?;
        Ok(Value::Array(vec![bulk("saved"), int(acknowledged)]))
    }

    fn trim(&mut self) -> Result<usize, Refusal> {
        let arguments = self.arguments;
        let key = self.keys[0].clone();
        let behind = self.field(1, &format!("previous_{}", text(&arguments[3])));
        let Some(stream) = self.keyspace.streams.get_mut(&key) else { return Ok(0) };
        let needed = stream
            .groups
            .values()
            .map(|group| group.pending.first_key_value().map_or(group.delivered, |(id, _)| *id));
        let (Some(needed), Some(behind)) = (needed.min(), behind) else { return Ok(0) };
        let needed = needed.min(parsed(&behind));
        let mut old = first_of_tick(stream, number(&arguments[0]));
        let (most, at_once) = (number(&arguments[1]), number(&arguments[2]));
        let excess = (stream.entries.len() as u64).saturating_sub(most);
        if excess > 0 {
            let keep = stream.entries.keys().take(excess.min(at_once) as usize + 1).next_back();
            old = old.max(keep.copied().unwrap_or_default());
        }
        let keep = needed.min(old);
        let left = stream.entries.range(keep..).next();
        let Some((first, left)) =
            stream.entries.iter().next().zip(left).filter(|(first, left)| first.0 < left.0)
        else {
            return Ok(0);
        };
        let seq = |(_, fields): (_, &Arc<Vec<Vec<u8>>>)| {
            fields.chunks_exact(2).find(|pair| pair[0] == b"seq").map(|pair| pair[1].clone())
        };
        let (begins, left) = (seq(first), seq(left));
        let field = format!("first:{}", text(&arguments[3]));
        let noted = self.field(2, &field);
        if noted.zip(begins).is_some_and(|(noted, begins)| number(&begins) > number(&noted)) {
            return Ok(0);
        }
        if let Some(left) = left {
            self.set(2, &field, left)?;
        }
        let Some(stream) = self.keyspace.streams.get_mut(&key) else { return Ok(0) };
        let gone = stream.trim(at_once as usize, |id, _| id < keep);
        if !gone.is_empty() {
            self.keyspace.touch(&key);
        }
        let count = gone.len();
        self.trimmed.extend(gone.into_iter().map(|id| (key.clone(), id)));
        Ok(count)
    }
}

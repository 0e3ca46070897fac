//! The client's state and lease in Redis.
//!
//! Who levels is decided by a lease whose holder keeps counting its `beat`. Somebody who stands by watches that
//! counter with a clock of its own: when it has stood still for [`SILENCE`], while Redis answered, the lease is
//! taken under the next epoch. Every later step of the old holder names its old epoch and changes
//! nothing. No clocks are compared, so none has to be right.

use std::time::Duration;

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    journal::{NewerFormat, Stream},
    leveller::ClientState,
    server::control::EPOCH_MAX,
};
use redis::cmd;
use tokio::time::Instant;

use super::{
    FORMAT_VERSION, GROUP,
    fields::{array, newer_meta, optional, pair, text},
    keys::Keys,
    link::{Link, RedisFault},
    scripts::Scripts,
    target::Target,
};
use crate::{
    ports::{
        lease::LeaseEpoch,
        state_store::{DeadLetter, StateError, StateStore},
    },
    stores::file::{
        snapshot::{ParseError, SNAPSHOT_BYTES_MAX, SNAPSHOT_FORMAT, Snapshot},
        state::{decode, encode},
    },
};

/// A holder beats every 200 ms; five missed beats, and a taker still levels within 2 s.
const SILENCE: Duration = Duration::from_secs(1);
/// Looks at a beat that stands still before it counts as silence: a Redis that was away shows none.
const LOOKS_MIN: u32 = 3;

/// Who holds the lease, as last seen.
struct Seen {
    epoch: String,
    beat: String,
    since: Instant,
    looks: u32,
}

/// Whether a state stands in Redis.
enum Saved {
    Now,
    /// A later one has been saved before: what that acknowledged is not given again.
    Before,
}

/// See the module. Blocking.
pub struct RedisStateStore {
    target: Target,
    keys: Keys,
    /// This process, among all that ever were.
    holder: String,
    epoch: LeaseEpoch,
    scripts: Scripts,
    link: Option<Link>,
    seen: Option<Seen>,
    /// The last state that was loaded or stored, with its journal: a Redis that was emptied gets it back.
    last: Option<(String, Vec<u8>)>,
    generation: u64,
}

impl RedisStateStore {
    /// A store for a client that calls itself `holder`, which must be unique.
    pub fn new(target: Target, keys: Keys, holder: String, epoch: LeaseEpoch) -> Self {
        let scripts = Scripts::new();
        Self { target, keys, holder, epoch, scripts, link: None, seen: None, last: None, generation: 0 }
    }

    fn with_link<T>(
        &mut self,
        call: impl FnOnce(&mut Self, &mut Link) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.target).map_err(|fault| unavailable(&fault))?,
        };
        let called = call(self, &mut link);
        if matches!(called, Err(StateError::Unavailable(_))) {
            // Silence is only what was seen while Redis answered.
            self.seen = None;
        } else {
            self.link = Some(link);
        }
        called
    }

    /// Takes the lease, or says who has it.
    fn acquire(&mut self, link: &mut Link) -> Result<(), StateError> {
        let silent =
            self.seen.as_ref().filter(|seen| seen.looks >= LOOKS_MIN && seen.since.elapsed() >= SILENCE);
        let (epoch, beat) =
            silent.map_or((String::new(), String::new()), |seen| (seen.epoch.clone(), seen.beat.clone()));
        let (floor, end) = (self.epoch.floor().to_string(), EPOCH_MAX.to_string());
        let format = FORMAT_VERSION.to_string();
        let arguments = [&self.holder, &epoch, &beat, &floor, &end, &format].map(String::as_bytes);
        let answer = link.script(&self.scripts.acquire, &[self.keys.lease()], &arguments);
        let answer: Vec<String> = array(answer.map_err(|fault| unavailable(&fault))?)
            .and_then(|items| items.into_iter().map(text).collect())
            .map_err(|fault| unavailable(&fault))?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["yours", epoch] => {
                let epoch = epoch.parse().map_err(|_| unexpected(&answer))?;
                self.epoch.hold(epoch);
                self.seen = None;
                tracing::info!(epoch, "this client levels");
                Ok(())
            }
            ["held", epoch, beat, holder] => {
                match &mut self.seen {
                    Some(seen) if seen.epoch == epoch && seen.beat == beat => seen.looks += 1,
                    seen => {
                        let since = Instant::now();
                        *seen =
                            Some(Seen { epoch: epoch.to_owned(), beat: beat.to_owned(), since, looks: 1 });
                    }
                }
                Err(StateError::StandingBy { holder: holder.to_owned() })
            }
            _ => Err(unexpected(&answer)),
        }
    }

    /// The newest whole generation of this journal's state.
    fn read(&mut self, link: &mut Link, journal: &str) -> Result<Option<Vec<u8>>, StateError> {
        let stored = link.call(cmd("MGET").arg(self.keys.snapshot()).arg(self.keys.previous_snapshot()));
        let mut newest: Option<Snapshot> = None;
        for (value, which) in array(stored.map_err(|fault| unavailable(&fault))?)
            .map_err(|fault| unavailable(&fault))?
            .into_iter()
            .zip(["", "previous "])
        {
            let redis::Value::BulkString(bytes) = value else { continue };
            match Snapshot::parse(bytes) {
                Ok(snapshot) if snapshot.journal != journal => {
                    tracing::warn!(
                        "the {which}snapshot in Redis is of journal {}: not used",
                        snapshot.journal
                    );
                }
                Ok(snapshot) => {
                    if newest.as_ref().is_none_or(|newest| snapshot.generation > newest.generation) {
                        newest = Some(snapshot);
                    }
                }
                Err(ParseError::Newer(theirs)) => {
                    let what = format!("the {which}snapshot in Redis");
                    return Err(NewerFormat { what, theirs, ours: SNAPSHOT_FORMAT }.into());
                }
                Err(ParseError::Damaged(what)) => {
                    tracing::warn!("the {which}snapshot in Redis is damaged: {what}");
                }
            }
        }
        Ok(newest.map(|snapshot| {
            self.generation = self.generation.max(snapshot.generation);
            snapshot.bytes
        }))
    }

    fn save(
        &mut self,
        link: &mut Link,
        journal: &str,
        state: &ClientState,
        bytes: &[u8],
    ) -> Result<Saved, StateError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(StateError::Unavailable(format!(
                "a state of {} bytes is too large: at most {SNAPSHOT_BYTES_MAX}",
                bytes.len()
            )));
        }
        self.generation += 1;
        let value = Snapshot::write(self.generation, journal, bytes);
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::SplitSnapshot) {
            self.save_with_old_positions(link, journal, state)?;
        }
        let keys =
            [self.keys.lease(), self.keys.snapshot(), self.keys.previous_snapshot(), self.keys.client()];
        let keys: Vec<_> = keys.into_iter().chain(self.keys.streams()).collect();
        let epoch = self.epoch.held().to_string();
        let mut arguments = vec![epoch.into_bytes(), value, GROUP.into(), journal.into()];
        for stream in Stream::ALL {
            arguments.push(stream.name().into());
            arguments.push(state.positions.get(stream).to_string().into_bytes());
        }
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        let answer =
            link.script(&self.scripts.save, &keys, &arguments).map_err(|fault| unavailable(&fault))?;
        match array(answer).map_err(|fault| unavailable(&fault))?.into_iter().next().map(text) {
            Some(Ok(saved)) if saved == "saved" => Ok(Saved::Now),
            Some(Ok(fenced)) if fenced == "fenced" => Err(StateError::Fenced),
            Some(Ok(older)) if older == "older" => Ok(Saved::Before),
            answer => Err(StateError::Unavailable(format!("{answer:?} to a save"))),
        }
    }

    /// What [`Mutant::SplitSnapshot`] does.
    #[cfg(feature = "mutants")]
    fn save_with_old_positions(
        &self,
        link: &mut Link,
        journal: &str,
        state: &ClientState,
    ) -> Result<(), StateError> {
        let before = self.last.as_ref().map(|(_, bytes)| decode(bytes).positions).unwrap_or_default();
        let bytes = encode(&ClientState { positions: before, ..state.clone() })?;
        let value = Snapshot::write(self.generation, journal, &bytes);
        link.call(cmd("SET").arg(self.keys.snapshot()).arg(value))
            .map(drop)
            .map_err(|fault| unavailable(&fault))
    }

    fn give_back(&self, link: &mut Link) -> Result<(), StateError> {
        let epoch = self.epoch.held().to_string();
        let released = link.script(&self.scripts.release, &[self.keys.lease()], &[epoch.as_bytes()]);
        released.map(drop).map_err(|fault| unavailable(&fault))
    }

    fn journal(&self, link: &mut Link) -> Result<String, StateError> {
        let found = link.call(cmd("HMGET").arg(self.keys.meta()).arg("journal").arg("format"));
        let [journal, format] = found.and_then(pair).map_err(|fault| unavailable(&fault))?;
        optional(format).and_then(newer_meta).map_err(|fault| unavailable(&fault))?;
        optional(journal).map_err(|fault| unavailable(&fault))?.ok_or_else(|| {
            StateError::Unavailable(format!(
                "no server has written {} in {} yet: `evenkeel server --redis …` does",
                self.keys, self.target
            ))
        })
    }
}

impl StateStore for RedisStateStore {
    fn load(&mut self) -> Result<ClientState, StateError> {
        self.with_link(|store, link| {
            let journal = store.journal(link)?;
            store.acquire(link)?;
            let read = store.read(link, &journal);
            if matches!(read, Err(StateError::Newer(_))) {
                // Who can read it takes the lease.
                store.give_back(link)?;
            }
            if let Some(bytes) = read? {
                let state = decode(&bytes);
                store.last = Some((journal, bytes));
                return Ok(state);
            }
            match store.last.clone() {
                Some((of, bytes)) if of == journal => {
                    tracing::warn!("Redis has lost the client's state: it gets it back");
                    let state = decode(&bytes);
                    // Redis may have taken a later one whose answer was lost, and then lost that: this one is saved when it
                    // has read on beyond that.
                    store.save(link, &journal, &state, &bytes)?;
                    Ok(state)
                }
                _ => {
                    tracing::info!(
                        "Redis holds no state of a client: it is folded from the streams' beginnings"
                    );
                    Ok(ClientState::default())
                }
            }
        })
    }

    fn store(&mut self, state: &ClientState) -> Result<(), StateError> {
        let bytes = encode(state)?;
        self.with_link(|store, link| {
            let journal = store.journal(link)?;
            match store.save(link, &journal, state, &bytes)? {
                Saved::Before => {
                    Err(StateError::Unavailable("a later state has been saved meanwhile".to_owned()))
                }
                Saved::Now => {
                    store.last = Some((journal, bytes));
                    Ok(())
                }
            }
        })
    }

    fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError> {
        let bury = bury(&self.keys, dead);
        self.with_link(|_, link| link.call(&bury).map(drop).map_err(|fault| unavailable(&fault)))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn release(&mut self) {
        // Where Redis does not answer, the lease ends by silence.
        let _ = self.with_link(|store, link| store.give_back(link));
    }
}

/// Notes an entry among the dead letters; again changes nothing.
pub(super) fn bury(keys: &Keys, dead: &DeadLetter) -> redis::Cmd {
    let mut bury = cmd("HSETNX");
    bury.arg(keys.dead()).arg(format!("{}:{}", dead.stream, dead.id)).arg(&dead.reason);
    bury
}

fn unavailable(fault: &RedisFault) -> StateError {
    if let RedisFault::Newer(newer) = fault {
        return newer.clone().into();
    }
    StateError::Unavailable(fault.to_string())
}

fn unexpected(answer: &[String]) -> StateError {
    StateError::Unavailable(format!("Redis answered {answer:?} to a lease"))
}

//! The client's state in Redis, saved under its lease.

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    journal::{NewerFormat, Stream},
    leveller::ClientState,
};
use redis::cmd;

use super::{
    GROUP,
    fields::{array, newer_meta, optional, pair, text},
    keys::Keys,
    lease::{Lease, Standing},
    link::{Link, RedisFault},
    scripts::Scripts,
    target::Target,
};
use crate::{
    ports::{
        lease::{LeaseEpoch, LeaseError, LeaseStore},
        state_store::{DeadLetter, StateError, StateStore},
    },
    stores::file::{
        snapshot::{ParseError, SNAPSHOT_BYTES_MAX, SNAPSHOT_FORMAT, Snapshot},
        state::{decode, encode},
    },
};

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
    lease: Lease,
    scripts: Scripts,
    link: Option<Link>,
    /// The journal for which the lease was taken, until its state is loaded.
    taken_for: Option<String>,
    /// The last state that was loaded or stored, with its journal: a Redis that was emptied gets it back.
    last: Option<(String, Vec<u8>)>,
    generation: u64,
}

impl RedisStateStore {
    /// A store for a client that calls itself `holder`, which must be unique.
    pub fn new(target: Target, keys: Keys, holder: String, epoch: LeaseEpoch) -> Self {
        let (lease, scripts) = (Lease::new(holder, epoch), Scripts::new());
        Self { target, keys, lease, scripts, link: None, taken_for: None, last: None, generation: 0 }
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
            self.lease.saw_nothing();
        } else {
            self.link = Some(link);
        }
        called
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
        let mut arguments = vec![self.lease.epoch().into_bytes(), value, GROUP.into(), journal.into()];
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
            let journal = store.taken_for.take().map_or_else(|| store.journal(link), Ok)?;
            if let Some(bytes) = store.read(link, &journal)? {
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
}

impl LeaseStore for RedisStateStore {
    fn acquire(&mut self) -> Result<(), LeaseError> {
        let standing = self.with_link(|store, link| {
            let journal = store.journal(link)?;
            let standing = store.lease.acquire(link, &store.keys, &store.scripts);
            let standing = standing.map_err(|fault| unavailable(&fault))?;
            store.taken_for = matches!(standing, Standing::Levels).then_some(journal);
            Ok(standing)
        });
        match standing {
            Ok(Standing::Levels) => Ok(()),
            Ok(Standing::By { holder }) => Err(LeaseError::Held { holder }),
            Err(StateError::Newer(newer)) => Err(newer.into()),
            Err(cause) => Err(LeaseError::Unavailable(cause.to_string())),
        }
    }

    fn release(&mut self) {
        // Where Redis does not answer, the lease ends by silence.
        let _ = self.with_link(|store, link| {
            let released = store.lease.give_back(link, &store.keys, &store.scripts);
            released.map_err(|fault| unavailable(&fault))
        });
    }

    fn is_shared(&self) -> bool {
        true
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

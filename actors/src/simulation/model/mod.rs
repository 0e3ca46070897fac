//! A model of Redis: commands, transactions, scripts; and what of it survives a crash or a failover.
//!
//! Every step that changes something is one unit of the append-only file. A crash keeps the units up to the last fsync and
//! as many after it as chance will have; a stale replica has units up to where it got.

mod keyspace;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};

use redis::{Script, Value};

pub(super) use self::keyspace::{Keyspace, Words, text};
use self::{
    keyspace::{OOM, Refusal, bulk, needs_memory, writes},
    scripts::{Call, Named, Trimmed},
};

/// Units kept beyond what is surely on disk.
const UNITS_MAX: usize = 400;

/// How it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Condition {
    #[default]
    Well,
    /// Nobody listens.
    Down,
    /// It reads its file.
    Loading,
    /// It has become a replica.
    ReadOnly,
    /// No room: refused whenever it is asked for more.
    Full,
    /// At the brim: one command finds room, the next one does not.
    Brim,
}

/// One connection's state.
#[derive(Clone, Debug, Default)]
struct Session {
    queued: Option<Vec<Words>>,
    aborted: bool,
    watched: BTreeMap<String, u64>,
}

/// What happened in one step, to be done again.
struct Unit {
    commands: Vec<Words>,
    now_ms: u64,
    /// Whether there was no memory left: a script then stops half-way.
    full: bool,
}

pub(super) struct Model {
    now: Keyspace,
    pub(super) condition: Condition,
    sessions: BTreeMap<u64, Session>,
    loaded: BTreeSet<String>,
    named: Vec<(String, Named)>,
    /// Whether every unit is on disk before it is answered.
    pub(super) always: bool,
    /// What is surely there after any crash or failover.
    base: Keyspace,
    units: Vec<Unit>,
    synced: usize,
    replicated: usize,
    /// What evenkeel's own trimming removed.
    pub(super) trimmed: Trimmed,
    /// What commands at the brim take turns with.
    turn: u64,
}

impl Model {
    pub(super) fn new(always: bool) -> Self {
        Self {
            now: Keyspace::default(),
            condition: Condition::Well,
            sessions: BTreeMap::new(),
            loaded: BTreeSet::new(),
            named: scripts::hashes(),
            always,
            base: Keyspace::default(),
            units: Vec::new(),
            synced: 0,
            replicated: 0,
            trimmed: Trimmed::new(),
            turn: 0,
        }
    }

    /// As if every script had been used already.
    pub(super) fn load_all(&mut self) {
        self.loaded = self.named.iter().map(|(hash, _)| hash.clone()).collect();
    }

    pub(super) fn keyspace(&self) -> &Keyspace {
        &self.now
    }

    pub(super) fn connect(&mut self, connection: u64) {
        self.sessions.insert(connection, Session::default());
    }

    pub(super) fn is_connected(&self, connection: u64) -> bool {
        self.sessions.contains_key(&connection)
    }

    /// What `connection`'s next command is answered with.
    pub(super) fn ask(&mut self, connection: u64, words: &Words, now_ms: u64) -> Value {
        let mut session = self.sessions.remove(&connection).unwrap_or_default();
        let answer = self.answer(&mut session, words, now_ms);
        self.sessions.insert(connection, session);
        answer.unwrap_or_else(|Refusal(text)| refusal(&text))
    }

    fn answer(&mut self, session: &mut Session, words: &Words, now_ms: u64) -> Result<Value, Refusal> {
        if self.condition == Condition::Loading {
            return keyspace::refuse("LOADING Redis is loading the dataset in memory");
        }
        let name = text(&words[0]).to_uppercase();
        match (name.as_str(), session.queued.is_some()) {
            ("MULTI", false) => {
                session.queued = Some(Vec::new());
                session.aborted = false;
                Ok(Value::Okay)
            }
            ("MULTI", true) if self.condition != Condition::Full => {
                keyspace::refuse("ERR MULTI calls can not be nested")
            }
            ("EXEC", true) => self.execute(session, now_ms),
            ("EXEC", false) => keyspace::refuse("ERR EXEC without MULTI"),
            ("WATCH", false) => {
                for key in &words[1..] {
                    let key = text(key);
                    session.watched.entry(key.clone()).or_insert(self.changes(&key));
                }
                Ok(Value::Okay)
            }
            ("WATCH", true) if self.condition != Condition::Full => {
                keyspace::refuse("ERR WATCH inside MULTI is not allowed")
            }
            ("UNWATCH", false) => {
                session.watched.clear();
                Ok(Value::Okay)
            }
            (_, in_transaction) => {
                let allowed = self.allows(words, in_transaction);
                let Some(queued) = &mut session.queued else {
                    allowed?;
                    return self.unit(std::slice::from_ref(words), now_ms).remove(0);
                };
                if let Err(refused) = allowed {
                    session.aborted = true;
                    return Err(refused);
                }
                queued.push(words.clone());
                Ok(Value::SimpleString("QUEUED".to_owned()))
            }
        }
    }

    fn execute(&mut self, session: &mut Session, now_ms: u64) -> Result<Value, Refusal> {
        let queued = session.queued.take().unwrap_or_default();
        let watched = std::mem::take(&mut session.watched);
        let full = self.condition == Condition::Full && queued.iter().any(needs_memory);
        let read_only = self.condition == Condition::ReadOnly && queued.iter().any(writes);
        if session.aborted || full || read_only {
            return keyspace::refuse("EXECABORT Transaction discarded because of previous errors.");
        }
        if watched.iter().any(|(key, changes)| self.changes(key) != *changes) {
            return Ok(Value::Nil);
        }
        let answers = self.unit(&queued, now_ms).into_iter();
        Ok(Value::Array(
            answers.map(|answer| answer.unwrap_or_else(|Refusal(text)| refusal(&text))).collect(),
        ))
    }

    fn changes(&self, key: &str) -> u64 {
        self.now.changes.get(key).copied().unwrap_or_default()
    }

    fn allows(&mut self, words: &Words, in_transaction: bool) -> Result<(), Refusal> {
        match self.condition {
            Condition::ReadOnly if writes(words) => {
                keyspace::refuse("READONLY You can't write against a read only replica.")
            }
            // What a transaction queues needs memory, too.
            Condition::Full if in_transaction || needs_memory(words) => keyspace::refuse(OOM),
            Condition::Brim if needs_memory(words) => {
                self.turn = self.turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if self.turn >> 63 == 0 { Ok(()) } else { keyspace::refuse(OOM) }
            }
            _ => Ok(()),
        }
    }

    /// Runs commands in one step, and notes what changed something.
    fn unit(&mut self, commands: &[Words], now_ms: u64) -> Vec<Result<Value, Refusal>> {
        let before = self.now.dirty;
        let answers: Vec<_> = commands.iter().map(|words| self.run(words, now_ms)).collect();
        if self.now.dirty > before {
            let full = self.condition == Condition::Full;
            self.units.push(Unit { commands: commands.to_vec(), now_ms, full });
            if self.always {
                self.synced = self.units.len();
            }
            self.forget();
        }
        answers
    }

    fn run(&mut self, words: &Words, now_ms: u64) -> Result<Value, Refusal> {
        match text(&words[0]).to_uppercase().as_str() {
            "UNWATCH" => Ok(Value::Okay),
            "SCRIPT" => {
                let script = Script::new(&text(&words[2]));
                self.loaded.insert(script.get_hash().to_owned());
                Ok(bulk(script.get_hash()))
            }
            "EVALSHA" => {
                let hash = text(&words[1]);
                if !self.loaded.contains(&hash) {
                    return keyspace::refuse("NOSCRIPT No matching script. Please use EVAL.");
                }
                let full = matches!(self.condition, Condition::Full);
                self.script(&hash, words, full)
            }
            _ => self.now.run(words, now_ms),
        }
    }

    fn script(&mut self, hash: &str, words: &Words, full: bool) -> Result<Value, Refusal> {
        let named = self.named.iter().find(|(known, _)| known == hash).map(|(_, named)| *named);
        let count: usize = text(&words[2]).parse().unwrap_or(0);
        let keys = words[3..3 + count].iter().map(|key| text(key)).collect();
        let arguments = &words[3 + count..];
        let mut call = Call { keyspace: &mut self.now, keys, arguments, full, trimmed: &mut self.trimmed };
        call.run(named.unwrap_or_else(|| panic!("the model knows no script {hash}")))
    }

    /// The base moves on when everybody has what comes before.
    fn forget(&mut self) {
        if self.units.len() > UNITS_MAX {
            let sure = self.synced.min(self.replicated).max(self.units.len() - UNITS_MAX);
            self.base = self.after(sure);
            self.units.drain(..sure);
            self.synced = self.synced.saturating_sub(sure);
            self.replicated = self.replicated.saturating_sub(sure);
        }
    }

    /// What there is when only the first `units` have happened.
    fn after(&self, units: usize) -> Keyspace {
        let mut again = Self::new(true);
        again.now = self.base.clone();
        // A unit that used a script had it, though a crash may have taken it since.
        again.load_all();
        for Unit { commands, now_ms, full } in &self.units[..units] {
            again.condition = if *full { Condition::Full } else { Condition::Well };
            for words in commands {
                let _ = again.run(words, *now_ms);
            }
        }
        again.now
    }

    /// An fsync.
    pub(super) fn sync(&mut self) {
        self.synced = self.units.len();
    }

    /// A replica catches up.
    pub(super) fn replicate(&mut self) {
        self.replicated = self.units.len();
    }

    /// kill -9 and a start over what is on disk; of what is not surely there, chance keeps some.
    pub(super) fn crash(&mut self, chance: impl FnOnce(u64) -> u64) {
        let unsure = self.units.len() - self.synced;
        let left = self.synced + chance(unsure as u64 + 1) as usize;
        self.become_as_after(left);
    }

    /// The replica takes over, with what it has.
    pub(super) fn fail_over(&mut self) {
        self.become_as_after(self.replicated);
    }

    fn become_as_after(&mut self, units: usize) {
        if units < self.units.len() {
            self.now = self.after(units);
            self.units.truncate(units);
        }
        self.synced = self.units.len();
        self.replicated = self.replicated.min(self.units.len());
        self.sessions.clear();
        self.loaded.clear();
    }
}

/// An error as it comes over the wire.
fn refusal(text: &str) -> Value {
    redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap_or(Value::Nil)
}

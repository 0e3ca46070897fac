//! What has been recorded, read by those who look for it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use evenkeel_core::{
    invariants::{Report, TruthRow},
    journal::{Entry, EntryId, Executed, PerStream, QueryText, Record, Stream},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};

use super::{over::Over, state_store::DeadLetter};

/// Entries read at a time by whoever looks for something: some MB.
const CHUNK: usize = 5_000;
/// Most entries that are looked through for one execution: two minutes, the longest hold, at 2,500 executions a second.
const FIND_MAX: usize = 300_000;

/// Reads a journal, or a copy of it, beside whoever writes it. Its calls block.
pub trait History: Send {
    /// Where it stands, at one moment.
    ///
    /// # Errors
    /// [`ReadError`], as for all of these.
    fn head(&mut self) -> Result<Head, ReadError>;

    /// The first tick of which nothing is recorded here yet.
    ///
    /// # Errors
    /// [`ReadError`].
    fn next_tick(&mut self) -> Result<Tick, ReadError> {
        Ok(self.head()?.next_tick)
    }

    /// How much of `stream` there is.
    ///
    /// # Errors
    /// [`ReadError`].
    fn info(&mut self, stream: Stream) -> Result<StreamInfo, ReadError> {
        Ok(self.head()?.streams[stream])
    }

    /// The texts of all queries that have one; none where the database is a simulated one.
    ///
    /// # Errors
    /// [`ReadError`].
    fn texts(&mut self) -> Result<Vec<QueryText>, ReadError>;

    /// The text of one query, if it has one.
    ///
    /// # Errors
    /// [`ReadError`].
    fn text(&mut self, query: QueryId) -> Result<Option<QueryText>, ReadError>;

    /// What clients set aside.
    ///
    /// # Errors
    /// [`ReadError`].
    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ReadError>;

    /// Checks that it says everything, once, and nothing else: all entries as they stood at one moment, against `truth`
    /// too when it is given. What a store has beside the entries is its own to check, and part of the verdict: checksums
    /// and pages, the rows of what waits, what it knows to have lost. `progress` is told how many of how many entries have
    /// been read, now and then.
    ///
    /// # Errors
    /// [`ReadError`], except for damage, which is a verdict.
    fn verify(
        &mut self,
        truth: Option<Vec<TruthRow>>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verdict, ReadError>;

    /// The first `limit` entries after `id`, in id order. What has been trimmed is passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    fn after(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError>;

    /// The last `limit` entries before `id`, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    fn before(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError>;

    /// The last `limit` entries, in id order.
    ///
    /// # Errors
    /// [`ReadError`].
    fn tail(&mut self, stream: Stream, limit: usize) -> Result<Page, ReadError>;

    /// The place in `stream` after which `tick` begins.
    ///
    /// # Errors
    /// [`ReadError`].
    fn before_tick(&mut self, stream: Stream, tick: Tick) -> Result<EntryId, ReadError> {
        bisect(self, stream, tick)
    }

    /// An execution that has run, while it is kept. Its id says when it was queued: it ran after that.
    ///
    /// # Errors
    /// [`ReadError`].
    fn find(&mut self, execution: ExecutionId) -> Result<Option<Executed>, ReadError> {
        if execution.0.get_version_num() != 7 {
            return Ok(None);
        }
        let queued_ms = (execution.0.as_u128() >> 80) as u64;
        let mut position = EntryId { ms: queued_ms, n: 0 };
        let mut looked_at = 0;
        while looked_at < FIND_MAX {
            let page = self.after(Stream::Executions, position, CHUNK)?;
            let Some(last) = page.last_id() else { break };
            (position, looked_at) = (last, looked_at + page.len());
            let ran = page.entries.into_iter().find_map(|entry| match entry.record {
                Record::Executed(executed) if executed.execution == execution => Some(executed),
                _ => None,
            });
            if ran.is_some() {
                return Ok(ran);
            }
        }
        Ok(None)
    }
}

/// Opens a history: each reader has a connection of its own.
pub type OpenHistory = Arc<dyn Fn() -> Result<Box<dyn History>, ReadError> + Send + Sync>;

/// Where a journal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Names the journal for ever.
    pub journal: String,
    /// What it belongs to, for people.
    pub label: Option<String>,
    /// How long its ticks and windows are.
    pub lengths: Lengths,
    /// Counts its writers.
    pub writer_epoch: Option<u64>,
    /// The first tick of which nothing is recorded here yet.
    pub next_tick: Tick,
    /// How much of each stream there is.
    pub streams: PerStream<StreamInfo>,
}

/// What came out of a check.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What was proved, up to the damage if there is any.
    pub report: Report,
    /// What cannot be read, or could not be applied, in sentences.
    pub wrong: Vec<String>,
    /// What a reader should know of the proof, in sentences.
    pub notes: Vec<String>,
}

impl Verdict {
    /// Whether nothing was found.
    pub fn holds(&self) -> bool {
        self.wrong.is_empty() && self.report.findings.count() == 0
    }
}

/// A stretch of a stream, in id order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What can be read.
    pub entries: Vec<Entry>,
    /// What stands there and cannot be decoded.
    pub unreadable: Vec<DeadLetter>,
}

impl From<Vec<Entry>> for Page {
    fn from(entries: Vec<Entry>) -> Self {
        Self { entries, unreadable: Vec::new() }
    }
}

impl Page {
    /// How many places of the stream it covers.
    pub fn len(&self) -> usize {
        self.entries.len() + self.unreadable.len()
    }

    /// Whether nothing was there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first place, readable or not.
    pub fn first_id(&self) -> Option<EntryId> {
        let unreadable = self.unreadable.first().map(|dead| dead.id);
        self.entries.first().map(|entry| entry.id).into_iter().chain(unreadable).min()
    }

    /// The last place, readable or not.
    pub fn last_id(&self) -> Option<EntryId> {
        let unreadable = self.unreadable.last().map(|dead| dead.id);
        self.entries.last().map(|entry| entry.id).max(unreadable)
    }
}

/// Ticks grow with ids, and ids with time: the last millisecond whose first entry lies before `tick` is found in some 40
/// looks, and what is left is read through.
fn bisect(history: &mut (impl History + ?Sized), stream: Stream, tick: Tick) -> Result<EntryId, ReadError> {
    let StreamInfo { first, last, .. } = history.info(stream)?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(EntryId::default()) };
    let (mut early, mut late) = (first.id.ms, last.id.ms.saturating_add(1));
    while early + 1 < late {
        let middle = early + (late - early) / 2;
        let just_before = EntryId { ms: middle, n: 0 }.predecessor().unwrap_or_default();
        let page = history.after(stream, just_before, 1)?;
        match page.entries.first() {
            Some(entry) if entry.record.tick() < tick => early = middle,
            _ => late = middle,
        }
    }
    let mut place = EntryId { ms: early, n: 0 }.predecessor().unwrap_or_default();
    loop {
        let page = history.after(stream, place, CHUNK)?;
        if let Some(at) = page.entries.iter().find(|entry| entry.record.tick() >= tick) {
            return Ok(at.id.predecessor().unwrap_or_default());
        }
        match page.last_id() {
            Some(last) => place = last,
            None => return Ok(place),
        }
    }
}

/// How much of a stream there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// Entries.
    pub length: u64,
    /// The first, if there is one.
    pub first: Option<End>,
    /// The last, if there is one.
    pub last: Option<End>,
    /// Bytes of their bodies; none where they are not counted.
    pub bytes: Option<u64>,
}

/// An entry at the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its sequence number.
    pub seq: u64,
    /// Its id.
    pub id: EntryId,
    /// The tick that it speaks of.
    pub tick: Tick,
}

impl From<&Entry> for End {
    fn from(entry: &Entry) -> Self {
        Self { seq: entry.seq, id: entry.id, tick: entry.record.tick() }
    }
}

/// A journal cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no journal.
    #[error("{} holds no journal: `evenkeel run --data-dir` creates one", dir.display())]
    Missing {
        /// The data directory.
        dir: PathBuf,
    },
    /// There is one and it cannot be opened or read.
    #[error("{} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The database.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Written by a later evenkeel.
    #[error("{} has format version {found}; this evenkeel reads version {known}", file.display())]
    Version {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// A part is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The copy does not answer, or not as it should.
    #[error("the journal cannot be read: {0}")]
    Away(String),
    /// Retention has removed entries that were asked for.
    #[error("{stream} now begins at entry {first_seq}: retention removed what lies before it, ask again")]
    Trimmed {
        /// Which stream.
        stream: Stream,
        /// The first sequence number that is left.
        first_seq: u64,
    },
    /// The writer's queue is full.
    #[error("the journal's writer is behind by {limit} requests: wait for answers before sending more")]
    Busy {
        /// How many it takes.
        limit: usize,
    },
    /// The writer that was asked has ended.
    #[error("the journal's writer has stopped")]
    Stopped,
    /// The writer that was asked has been replaced, or its files have: what is there now is not its own.
    #[error(transparent)]
    Over(#[from] Over),
}

/// A part of the journal that is not what was written. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file} is damaged at {record}: {what}; restore the data directory from a backup, or keep it for \
     inspection and start with an empty one (`evenkeel journal verify` prints what can still be proved)",
    file = file.display()
)]
pub struct Damage {
    /// Which file.
    pub file: PathBuf,
    /// Which record of it, as a person would call it: `executions entry 17`.
    pub record: String,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(file: &Path, record: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), record: record.into(), what: what.into() }
    }
}

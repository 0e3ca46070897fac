//! The streams as a [`Source`]: first what the group was given before, then what comes.
//!
//! What was given and not acknowledged is pending; where somebody moved the group or deleted its consumer, it may be
//! neither pending nor new. So a start reads the streams themselves from the last applied entry to the group's last
//! delivered one, and so does a reader that notices a gap in the sequence numbers. Saving the state
//! acknowledges all of it.
//!
//! A plain `XREAD` waits for news and takes nothing; what is taken, a script takes that checks the epoch
//! first. So a client that was replaced while it waited, or was stopped and woke up, takes nothing away from the
//! one that levels. The script also says up to which tick the streams tell: the server sets that with the
//! entries of the tick, so ticks in which nothing happened are noticed too.

use std::time::Duration;

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    units::{lengths::Lengths, tick::Tick},
};
use redis::{Value, cmd};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    CONSUMER, FORMAT_VERSION, GROUP,
    fields::{Stored, array, newer_entry, newer_meta, pair, pairs, parsed, stored, take, text},
    keys::Keys,
    link::{Link, RedisFault},
    scripts::Scripts,
    state::bury,
    target::Target,
};
use crate::{
    ports::{
        lease::LeaseEpoch,
        source::{Read, Source, SourceError},
        state_store::DeadLetter,
    },
    stores::outbox::source::in_order,
};

/// Entries of a stream in one read: some ms of Redis' time.
const READ_MAX: usize = 2_000;
/// Reads that wait for the consumer: the next one is read while one is applied.
const READS_AHEAD: usize = 2;
/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for news: a tick in which nothing happened is noticed a quarter of a tick late.
const BLOCK_MAX: Duration = Duration::from_millis(100);

/// Reads the streams for the one who holds the lease.
pub struct RedisSource {
    target: Target,
    keys: Keys,
    epoch: LeaseEpoch,
}

impl RedisSource {
    /// A source under the lease of `epoch`.
    pub fn new(target: Target, keys: Keys, epoch: LeaseEpoch) -> Self {
        Self { target, keys, epoch }
    }
}

impl Source for RedisSource {
    fn follow(&self, after: Positions) -> mpsc::Receiver<Result<Read, SourceError>> {
        let (reads, receiver) = mpsc::channel(READS_AHEAD);
        let (target, keys, epoch) = (self.target.clone(), self.keys.clone(), self.epoch.clone());
        actix::spawn(async move {
            let reader = Follower::new(target, keys, epoch, after);
            if let Err(cause) = follow(reader, &reads).await {
                // A consumer that is gone needs no cause.
                let _ = reads.send(Err(cause)).await;
            }
        });
        receiver
    }
}

async fn follow(
    mut reader: Follower,
    reads: &mpsc::Sender<Result<Read, SourceError>>,
) -> Result<(), SourceError> {
    loop {
        let (returned, read) = blocking(move || {
            let read = reader.next();
            (reader, read)
        })
        .await?;
        reader = returned;
        let Some(read) = read.map_err(ended)? else {
            if reads.is_closed() {
                return Ok(());
            }
            continue;
        };
        // A consumer that is busy still holds the lease.
        let room = loop {
            match timeout(RENEW_EVERY, reads.reserve()).await {
                Ok(Ok(room)) => break room,
                Ok(Err(_gone)) => return Ok(()),
                Err(_busy) => {
                    let (returned, renewed) = blocking(move || {
                        let renewed = reader.renew();
                        (reader, renewed)
                    })
                    .await?;
                    reader = returned;
                    renewed.map_err(ended)?;
                }
            }
        };
        room.send(Ok(read));
    }
}

/// Runs on a thread that may block.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(call).await.map_err(|error| SourceError::Failed(error.to_string()))
}

fn ended(fault: FollowFault) -> SourceError {
    match fault {
        FollowFault::Redis(RedisFault::Newer(newer)) => newer.into(),
        fault => SourceError::Failed(fault.to_string()),
    }
}

/// Why reading ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowFault {
    #[error(transparent)]
    Redis(#[from] RedisFault),
    #[error("another client has taken over, or Redis has forgotten who levels")]
    Fenced,
    #[error("the streams now belong to journal {0}")]
    OtherJournal(String),
}

/// One reader's way through the streams. Blocking.
pub(crate) struct Follower {
    target: Target,
    keys: Keys,
    epoch: LeaseEpoch,
    /// The one under which reading began: when this client takes the lease again, this reader ends.
    held: u64,
    scripts: Scripts,
    link: Option<Link>,
    /// The last id that was given on of each stream: what comes again after a loss is passed over.
    applied: Positions,
    /// Its sequence number, once known.
    applied_seq: PerStream<Option<u64>>,
    /// The last id that was met, whether or not something could be made of it: nobody waits for what is before.
    met: Positions,
    phase: Phase,
    renewed: Option<Instant>,
    journal: Option<String>,
    told: Option<Tick>,
    lengths: Option<Lengths>,
    read_max: usize,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The group has not been asked yet.
    Starting,
    /// Reading what it was given before, up to and with these.
    CatchingUp(Positions),
    /// Taking what is new; `true` when the last read left nothing behind.
    Taking(bool),
}

impl Follower {
    pub(crate) fn new(target: Target, keys: Keys, epoch: LeaseEpoch, after: Positions) -> Self {
        Self {
            target,
            keys,
            held: epoch.held(),
            epoch,
            scripts: Scripts::new(),
            link: None,
            applied: after,
            applied_seq: PerStream::default(),
            met: after,
            phase: Phase::Starting,
            renewed: None,
            journal: None,
            told: None,
            lengths: None,
            read_max: READ_MAX,
        }
    }

    /// The same with smaller reads, so that a few entries are several.
    #[cfg(test)]
    pub(crate) fn with_reads_of(mut self, entries: usize) -> Self {
        self.read_max = entries;
        self
    }

    /// What is next; none when nothing came for a while.
    pub(crate) fn next(&mut self) -> Result<Option<Read>, FollowFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open_for(&self.target, BLOCK_MAX)?,
        };
        let read = match self.phase {
            Phase::Starting => {
                self.start(&mut link)?;
                None
            }
            Phase::CatchingUp(until) => self.catch_up(&mut link, &until)?,
            Phase::Taking(drained) => {
                if drained {
                    self.wait(&mut link)?;
                }
                self.read(&mut link)?
            }
        };
        self.link = Some(link);
        Ok(read)
    }

    /// Asks how far the group has been given entries, and which sequence number comes next.
    fn start(&mut self, link: &mut Link) -> Result<(), FollowFault> {
        #[cfg(feature = "mutants")]
        if takes_only_what_is_new() {
            self.phase = Phase::Taking(false);
            return Ok(());
        }
        let mut until = Positions::default();
        for stream in Stream::ALL {
            let key = self.keys.stream(stream);
            for group in array(link.call(cmd("XINFO").arg("GROUPS").arg(&key))?)? {
                let mut group = pairs(group)?;
                if text(take(&mut group, "name")?)? == GROUP {
                    until.advance(stream, parsed(take(&mut group, "last-delivered-id")?)?);
                }
            }
            let applied = self.applied.get(stream);
            let first = if applied == EntryId::default() { "-".to_owned() } else { applied.to_string() };
            // The last applied entry, or the first one where that has been trimmed, or where there is none yet.
            let found = link.call(cmd("XRANGE").arg(&key).arg(first).arg("+").arg("COUNT").arg(1))?;
            let before = match stored(stream, found)?.pop() {
                Some(Stored::Entry(entry)) if entry.id == applied => Some(entry.seq),
                Some(Stored::Entry(entry)) => Some(entry.seq.saturating_sub(1)),
                // A stream that has not begun begins with number 1, wherever the group may be moved until then.
                _ if applied == EntryId::default() => Some(0),
                _ => None,
            };
            self.applied_seq[stream] = self.applied_seq[stream].or(before);
        }
        self.phase = Phase::CatchingUp(until);
        Ok(())
    }

    /// A page of what the group was given before.
    fn catch_up(&mut self, link: &mut Link, until: &Positions) -> Result<Option<Read>, FollowFault> {
        let mut entries = PerStream::<Vec<Entry>>::default();
        let mut more = false;
        for stream in Stream::ALL {
            let mut range = cmd("XRANGE");
            // What cannot be read is met once and not applied: reading goes on behind it.
            let after = self.applied.get(stream).max(self.met.get(stream).min(until.get(stream)));
            range.arg(self.keys.stream(stream)).arg(format!("({after}")).arg(until.get(stream).to_string());
            let found = stored(stream, link.call(range.arg("COUNT").arg(self.read_max))?)?;
            more |= found.len() == self.read_max;
            for one in found {
                if let Some(entry) = self.accept(link, stream, one)? {
                    self.apply(stream, &entry);
                    entries[stream].push(entry);
                }
            }
        }
        if !more {
            self.phase = Phase::Taking(false);
        }
        self.renew_if_due(link)?;
        Ok(self.read_of(entries, None))
    }

    fn read_of(&self, entries: PerStream<Vec<Entry>>, caught_up: Option<Tick>) -> Option<Read> {
        let entries = in_order(entries);
        let is_news = caught_up.is_some() || !entries.is_empty();
        is_news.then_some(Read { entries, observed: None, lengths: self.lengths, caught_up })
    }

    /// Waits until a stream has something after what was read, taking nothing.
    fn wait(&self, link: &mut Link) -> Result<(), RedisFault> {
        let block = Duration::from_millis(self.lengths.unwrap_or_default().tick_ms / 4)
            .clamp(Duration::from_millis(1), BLOCK_MAX);
        let mut wait = cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(block.as_millis() as u64).arg("STREAMS");
        wait.arg(&self.keys.streams()[..]);
        for stream in Stream::ALL {
            wait.arg(self.met.get(stream).to_string());
        }
        link.call(&wait).map(drop)
    }

    /// Takes what is new.
    fn read(&mut self, link: &mut Link) -> Result<Option<Read>, FollowFault> {
        let renew = self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
        let new = [">", ">", ">"].map(str::to_owned);
        let Taken { journal, tick, lengths, streams } = self.take(link, self.read_max, renew, &new)?;
        if self.journal.get_or_insert_with(|| journal.clone()) != &journal {
            return Err(FollowFault::OtherJournal(journal));
        }
        self.lengths = lengths.or(self.lengths);
        let mut entries = PerStream::<Vec<Entry>>::default();
        let mut more = false;
        for (stream, found) in streams {
            more |= found.len() == self.read_max;
            for one in found {
                #[cfg(feature = "mutants")]
                if mutant::is(Mutant::AcknowledgeFirst) {
                    let mut acknowledge = cmd("XACK");
                    acknowledge.arg(self.keys.stream(stream)).arg(GROUP).arg(one.id().to_string());
                    link.call(&acknowledge)?;
                }
                let Some(entry) = self.accept(link, stream, one)? else { continue };
                let before = self.applied_seq[stream];
                let unknown = before.is_none();
                #[cfg(feature = "mutants")]
                let unknown = unknown && !takes_only_what_is_new();
                if unknown || before.is_some_and(|before| before.saturating_add(1) < entry.seq) {
                    // What comes before it stands in the stream perhaps, given to nobody: that is read first. With Redis as
                    // it was when reading began, its number may not be known.
                    if let Some(before) = before {
                        let found = entry.seq;
                        tracing::warn!(%stream, before, found, "sequence numbers have a gap: the streams are read from the last applied entries on");
                    }
                    return Ok(self.go_back(entries));
                }
                self.apply(stream, &entry);
                entries[stream].push(entry);
            }
        }
        self.phase = Phase::Taking(!more);
        let told = tick.filter(|_| !more);
        let news = told.filter(|_| told != self.told);
        self.told = told.or(self.told);
        Ok(self.read_of(entries, news))
    }

    /// After a gap: what was read before it counts, the rest is read again from the streams themselves.
    fn go_back(&mut self, entries: PerStream<Vec<Entry>>) -> Option<Read> {
        self.met = self.applied;
        self.phase = Phase::Starting;
        self.read_of(entries, None)
    }

    fn apply(&mut self, stream: Stream, entry: &Entry) {
        let before = self.applied_seq[stream].replace(entry.seq);
        if let Some(before) = before.filter(|before| before.saturating_add(1) < entry.seq) {
            let (first, last) = (before + 1, entry.seq - 1);
            tracing::error!(%stream, first, last, "entries are missing from Redis: the client goes on without them");
        }
        self.applied.advance(stream, entry.id);
    }

    /// An entry to be applied; none when it has been already, or cannot be.
    fn accept(&mut self, link: &mut Link, stream: Stream, one: Stored) -> Result<Option<Entry>, RedisFault> {
        let id = one.id();
        self.met.advance(stream, id);
        // Published again after a loss, or rebuilt: applied before.
        if id <= self.applied.get(stream) {
            return Ok(None);
        }
        let reason = match one {
            Stored::Entry(entry) => return Ok(Some(entry)),
            Stored::Deleted(_) => "it was deleted before it was read".to_owned(),
            Stored::Undecodable(_, what) => what,
            // It stays where it is, for the one who can read it.
            Stored::Newer(_, version) => return Err(newer_entry(stream, id, version).into()),
        };
        let dead = DeadLetter { stream, id, reason };
        tracing::error!(%dead, "the client goes on without it");
        link.call(&bury(&self.keys, &dead))?;
        // No state will ever hold it.
        link.call(cmd("XACK").arg(self.keys.stream(stream)).arg(GROUP).arg(id.to_string()))?;
        Ok(None)
    }

    fn renew_if_due(&mut self, link: &mut Link) -> Result<(), FollowFault> {
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW_EVERY) {
            return Ok(());
        }
        // Nothing is pending after this id, so nothing is read. The very last id would not do: Redis takes it for `>`.
        let none = EntryId { ms: u64::MAX, n: 0 }.to_string();
        self.take(link, 1, true, &[none.clone(), none.clone(), none]).map(drop)
    }

    fn renew(&mut self) -> Result<(), FollowFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open_for(&self.target, BLOCK_MAX)?,
        };
        self.renew_if_due(&mut link)?;
        self.link = Some(link);
        Ok(())
    }

    fn take(
        &mut self,
        link: &mut Link,
        count: usize,
        renew: bool,
        from: &[String; 3],
    ) -> Result<Taken, FollowFault> {
        if self.epoch.is_outdated() {
            return Err(FollowFault::Fenced);
        }
        let keys: Vec<_> =
            [self.keys.lease(), self.keys.meta()].into_iter().chain(self.keys.streams()).collect();
        let (epoch, count, format) = (self.held.to_string(), count.to_string(), FORMAT_VERSION.to_string());
        let mut arguments = vec![epoch.as_bytes(), GROUP.as_bytes(), CONSUMER.as_bytes(), count.as_bytes()];
        arguments.push(if renew { b"1" } else { b"0" });
        arguments.push(format.as_bytes());
        arguments.extend(from.iter().map(String::as_bytes));
        let answer = array(link.script(&self.scripts.read, &keys, &arguments)?)?;
        let (journal, tick, lengths, streams) = match <[Value; 7]>::try_from(answer) {
            Ok([_, journal, tick, tick_ms, window, delay, streams]) => {
                (journal, tick, [tick_ms, window, delay], streams)
            }
            Err(mut answer) => {
                if answer.len() == 2 {
                    newer_meta(answer.pop().map(text).transpose()?)?;
                }
                return Err(FollowFault::Fenced);
            }
        };
        if renew {
            self.renewed = Some(Instant::now());
        }
        let mut taken = Taken {
            journal: text(journal)?,
            tick: text(tick)?.parse().ok().map(Tick),
            lengths: told(lengths)?,
            streams: Vec::new(),
        };
        for item in array(streams)? {
            let [key, found] = pair(item)?;
            let key = text(key)?;
            let stream = self.keys.stream_of(&key);
            let stream = stream.ok_or_else(|| RedisFault::Unexpected(format!("entries of `{key}`")))?;
            taken.streams.push((stream, stored(stream, found)?));
        }
        Ok(taken)
    }
}

/// Two known faults do.
#[cfg(feature = "mutants")]
fn takes_only_what_is_new() -> bool {
    mutant::is(Mutant::PendingNotRead) || mutant::is(Mutant::AcknowledgeFirst)
}

/// What `meta` says of ticks, windows and the default delay: the latter two only since format 2. None before a writer
/// has claimed the streams.
fn told(meta: [Value; 3]) -> Result<Option<Lengths>, RedisFault> {
    let [tick_ms, window, delay] = meta.map(|value| text(value).map(|value| value.parse().ok()));
    let told = [tick_ms?, window?, delay?];
    Ok(Lengths::told(told).filter(|_| told[0].is_some()))
}

/// What the script gave.
struct Taken {
    journal: String,
    tick: Option<Tick>,
    lengths: Option<Lengths>,
    streams: Vec<(Stream, Vec<Stored>)>,
}

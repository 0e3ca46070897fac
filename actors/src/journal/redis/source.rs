//! The streams as a [`Source`]: the group's own pending entries first, then what comes.
//!
//! A plain `XREAD` waits for news and takes nothing; what is taken, a script takes that checks the epoch
//! first. So a client that was replaced while it waited, or was stopped and woke up, takes nothing away from the
//! one that levels. The script also says up to which tick the streams tell: the server sets that with the
//! entries of the tick, so ticks in which nothing happened are noticed too.

use std::time::Duration;

use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    tick::Tick,
};
use redis::{Value, cmd};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    CONSUMER, GROUP,
    fields::{Stored, array, pair, stored, text},
    keys::Keys,
    link::{Link, RedisFault, Target},
    scripts::Scripts,
    state::{LeaseEpoch, bury},
};
use crate::{
    consumer::{Read, Source, SourceError},
    journal::{source::in_order, state::DeadLetter},
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
                let _ = reads.send(Err(SourceError(cause))).await;
            }
        });
        receiver
    }
}

async fn follow(mut reader: Follower, reads: &mpsc::Sender<Result<Read, SourceError>>) -> Result<(), String> {
    loop {
        let (returned, read) = blocking(move || {
            let read = reader.next();
            (reader, read)
        })
        .await?;
        reader = returned;
        let Some(read) = read.map_err(|fault| fault.to_string())? else {
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
                    renewed.map_err(|fault| fault.to_string())?;
                }
            }
        };
        room.send(Ok(read));
    }
}

/// Runs on a thread that may block.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(call).await.map_err(|error| error.to_string())
}

/// Why reading ends.
#[derive(Debug, thiserror::Error)]
enum FollowFault {
    #[error(transparent)]
    Redis(#[from] RedisFault),
    #[error("another client has taken over, or Redis has forgotten the lease")]
    Fenced,
    #[error("the streams now belong to journal {0}")]
    OtherJournal(String),
}

/// One reader's way through the streams. Blocking.
struct Follower {
    target: Target,
    keys: Keys,
    epoch: LeaseEpoch,
    /// The one under which reading began: when this client takes the lease again, this reader ends.
    held: u64,
    scripts: Scripts,
    link: Option<Link>,
    /// The last id that was given on of each stream: what comes again after a loss is passed over.
    applied: Positions,
    /// The last id that was read, whether or not something could be made of it.
    last: Positions,
    /// Its sequence number, once known.
    last_seq: PerStream<Option<u64>>,
    /// Whether one's own pending entries have all been read.
    pending_read: bool,
    /// Whether the last read left nothing behind.
    drained: bool,
    renewed: Option<Instant>,
    journal: Option<String>,
    told: Option<Tick>,
    tick_ms: u64,
}

impl Follower {
    fn new(target: Target, keys: Keys, epoch: LeaseEpoch, after: Positions) -> Self {
        Self {
            target,
            keys,
            held: epoch.held(),
            epoch,
            scripts: Scripts::new(),
            link: None,
            applied: after,
            last: after,
            last_seq: PerStream::default(),
            pending_read: false,
            drained: false,
            renewed: None,
            journal: None,
            told: None,
            tick_ms: 100,
        }
    }

    /// What is next; none when nothing came for a while.
    fn next(&mut self) -> Result<Option<Read>, FollowFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open_for(&self.target, BLOCK_MAX)?,
        };
        if self.drained {
            self.wait(&mut link)?;
        }
        let read = self.read(&mut link)?;
        self.link = Some(link);
        Ok(read)
    }

    /// Waits until a stream has something after what was read, taking nothing.
    fn wait(&self, link: &mut Link) -> Result<(), RedisFault> {
        let block = Duration::from_millis(self.tick_ms / 4).clamp(Duration::from_millis(1), BLOCK_MAX);
        let mut wait = cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(block.as_millis() as u64).arg("STREAMS");
        wait.arg(&self.keys.streams()[..]);
        for stream in Stream::ALL {
            wait.arg(self.last.get(stream).to_string());
        }
        link.call(&wait).map(drop)
    }

    fn read(&mut self, link: &mut Link) -> Result<Option<Read>, FollowFault> {
        if self.epoch.is_outdated() {
            return Err(FollowFault::Fenced);
        }
        let renew = self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
        let from = Stream::ALL
            .map(|stream| if self.pending_read { ">".to_owned() } else { self.last.get(stream).to_string() });
        let Taken { journal, tick, tick_ms, streams } = self.take(link, READ_MAX, renew, &from)?;
        if self.journal.get_or_insert_with(|| journal.clone()) != &journal {
            return Err(FollowFault::OtherJournal(journal));
        }
        self.tick_ms = tick_ms.unwrap_or(self.tick_ms);
        let mut entries = PerStream::<Vec<Entry>>::default();
        let (mut some, mut more) = (false, false);
        for (stream, found) in streams {
            some |= !found.is_empty();
            more |= found.len() == READ_MAX;
            for one in found {
                entries[stream].extend(self.accept(link, stream, one)?);
            }
        }
        if !self.pending_read {
            // A page of them; the next one begins after it.
            self.pending_read = !some;
            return Ok(read_of(entries, None));
        }
        self.drained = !more;
        let told = tick.filter(|_| self.drained);
        let news = told.filter(|_| told != self.told);
        self.told = told.or(self.told);
        Ok(read_of(entries, news))
    }

    /// An entry to be applied; none when it has been already, or cannot be.
    fn accept(&mut self, link: &mut Link, stream: Stream, one: Stored) -> Result<Option<Entry>, RedisFault> {
        let id = one.id();
        self.last.advance(stream, id);
        // Published again after a loss, or rebuilt: applied before.
        if id <= self.applied.get(stream) {
            return Ok(None);
        }
        let reason = match one {
            Stored::Entry(entry) => {
                self.applied.advance(stream, id);
                let before = self.last_seq[stream].replace(entry.seq);
                if let Some(before) = before.filter(|before| before + 1 != entry.seq) {
                    let (first, last) = (before + 1, entry.seq.saturating_sub(1));
                    tracing::error!(%stream, first, last, "entries are missing from Redis: the client goes on without them");
                }
                return Ok(Some(entry));
            }
            Stored::Deleted(_) => "it was deleted before it was read".to_owned(),
            Stored::Undecodable(_, what) => what,
        };
        let dead = DeadLetter { stream, id, reason };
        tracing::error!(%dead, "the client goes on without it");
        self.last_seq[stream] = None;
        link.call(&bury(&self.keys, &dead))?;
        Ok(None)
    }

    fn renew(&mut self) -> Result<(), FollowFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open_for(&self.target, BLOCK_MAX)?,
        };
        // The latest id: nothing of one's own is pending after it, so nothing is read.
        let none = EntryId { ms: u64::MAX, n: u64::MAX }.to_string();
        self.take(&mut link, 1, true, &[none.clone(), none.clone(), none])?;
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
        let keys: Vec<_> =
            [self.keys.lease(), self.keys.meta()].into_iter().chain(self.keys.streams()).collect();
        let (epoch, count) = (self.held.to_string(), count.to_string());
        let mut arguments = vec![epoch.as_bytes(), GROUP.as_bytes(), CONSUMER.as_bytes(), count.as_bytes()];
        arguments.push(if renew { b"1" } else { b"0" });
        arguments.extend(from.iter().map(String::as_bytes));
        let answer = array(link.script(&self.scripts.read, &keys, &arguments)?)?;
        let Ok([_, journal, tick, tick_ms, streams]) = <[Value; 5]>::try_from(answer) else {
            return Err(FollowFault::Fenced);
        };
        if renew {
            self.renewed = Some(Instant::now());
        }
        let mut taken = Taken {
            journal: text(journal)?,
            tick: text(tick)?.parse().ok().map(Tick),
            tick_ms: text(tick_ms)?.parse().ok(),
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

fn read_of(entries: PerStream<Vec<Entry>>, caught_up: Option<Tick>) -> Option<Read> {
    let entries = in_order(entries);
    (!entries.is_empty() || caught_up.is_some()).then_some(Read { entries, caught_up })
}

/// What the script gave.
struct Taken {
    journal: String,
    tick: Option<Tick>,
    tick_ms: Option<u64>,
    streams: Vec<(Stream, Vec<Stored>)>,
}

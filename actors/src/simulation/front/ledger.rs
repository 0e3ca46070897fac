//! The journal's writer: requests wait for the modelled disk, become durable together, are answered later or refused.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use evenkeel_core::{
    chance::Dice,
    journal::{
        Commit, EntryId, Mode, PerStream, Positions, QueueEvent, QueueRecord, Record, Recovered, ServerState,
        Statement, Stream,
    },
    units::{ids::ExecutionId, tick::Tick},
};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    super::{dice::Draws as _, disk::Disk},
    texts::Key,
    world,
};
use crate::ports::{
    history::ReadError,
    ledger::{Answer, CommitError, Committed, Ledger, Pressure, Published},
};

type Tell<T, E> = oneshot::Sender<Result<T, E>>;

#[derive(Debug)]
enum Request {
    Commit(Box<Commit>, Tell<Committed, CommitError>),
    Recover(Tell<Recovered, ReadError>),
}

/// A process' end, and since when it could record anything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    pub(super) at: Instant,
    pub(super) ready: Option<Instant>,
}

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Full,
    Fails,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) disk: Disk,
    recovery: u64,
    /// With when they came.
    requests: VecDeque<(Instant, Request)>,
    /// When this process' first tick was durable.
    ready: Option<Instant>,
    /// The longest that one has waited.
    pub(super) waited_max: Duration,
    /// What is known to the disk and not yet to who asked.
    answers: VecDeque<(Tell<Committed, CommitError>, Committed)>,
    pub(super) trouble: Option<Trouble>,
    published: watch::Sender<Published>,
    /// Statements that are durable as released.
    durable: BTreeSet<Key>,
    seen: usize,
}

impl Writer {
    pub(super) fn new(mode: Mode) -> Self {
        let mut disk = Disk::default();
        disk.head.state = ServerState { mode, ..ServerState::default() };
        disk.sync();
        Self {
            disk,
            recovery: 0,
            requests: VecDeque::new(),
            ready: None,
            waited_max: Duration::ZERO,
            answers: VecDeque::new(),
            trouble: None,
            published: watch::Sender::new(Published::default()),
            durable: BTreeSet::new(),
            seen: 0,
        }
    }

    /// The process is gone, and with it what was not synced.
    pub(super) fn process_died(&mut self) -> Kill {
        let killed = Kill { at: Instant::now(), ready: self.ready.take() };
        self.requests.clear();
        self.answers.clear();
        self.published = watch::Sender::new(Published::default());
        self.disk.power_cut();
        self.seen = 0;
        self.durable.clear();
        self.note();
        killed
    }

    /// Whether the statement is durable as released.
    pub(super) fn has(&self, key: Key) -> bool {
        self.durable.contains(&key)
    }

    /// Whether somebody waits.
    pub(super) fn is_asked(&self) -> bool {
        !self.requests.is_empty() || !self.answers.is_empty()
    }

    /// Some of the requests, and answers to some of those that are durable.
    pub(super) fn act(&mut self, dice: &mut Dice) -> Vec<String> {
        let before = self.lengths();
        let count = dice.roll(self.requests.len() as u64 + 1) as usize;
        for (asked, request) in self.requests.drain(..count).collect::<Vec<_>>() {
            self.waited_max = self.waited_max.max(asked.elapsed());
            match request {
                Request::Commit(commit, tell) => match self.commit(*commit) {
                    Ok(committed) => self.answers.push_back((tell, committed)),
                    Err(error) => drop(tell.send(Err(error))),
                },
                Request::Recover(tell) => {
                    // Answers come in the order of the requests.
                    self.answer(usize::MAX);
                    self.recovery += 1;
                    let found = Recovered { recovery: self.recovery, ..self.disk.recover() };
                    drop(tell.send(Ok(found)));
                }
            }
        }
        let count = if dice.hits(700) { usize::MAX } else { dice.roll(3) as usize };
        self.answer(count);
        let new = |stream| self.disk.entries[stream][before[stream]..].iter();
        Stream::ALL.into_iter().flat_map(new).map(|entry| described(&entry.record)).collect()
    }

    fn lengths(&self) -> PerStream<usize> {
        PerStream::from_fn(|stream| self.disk.entries[stream].len())
    }

    fn answer(&mut self, count: usize) {
        let count = count.min(self.answers.len());
        for (tell, committed) in self.answers.drain(..count) {
            // Who asked may be gone.
            drop(tell.send(Ok(committed)));
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Committed, CommitError> {
        let (revision, at) = (commit.revision, self.disk.head.revision);
        match self.trouble {
            Some(Trouble::Full) => return Err(CommitError::Full("the modelled disk".to_owned())),
            Some(Trouble::Fails) => return Err(CommitError::Io("the modelled disk".to_owned())),
            None => {}
        }
        if commit.recovery != self.recovery {
            return Err(CommitError::Superseded { revision });
        }
        let before = self.lengths();
        if !self.disk.commit(commit) {
            return Err(CommitError::OutOfOrder { at, got: revision });
        }
        self.note();
        if self.disk.head.state.next_tick > Tick(0) {
            self.ready.get_or_insert_with(Instant::now);
        }
        let entries = Stream::ALL.into_iter().flat_map(|stream| &self.disk.entries[stream][before[stream]..]);
        Ok(Committed { revision, entries: entries.cloned().collect() })
    }

    fn note(&mut self) {
        let entries = &self.disk.entries[Stream::Queue];
        for entry in &entries[self.seen..] {
            if let Record::Queue(QueueRecord { event: QueueEvent::Released, statement, .. }) = &entry.record {
                let tag = statement.as_ref().and_then(|statement| statement.tag.as_ref()?.parse().ok());
                self.durable.extend::<Option<Key>>(tag);
            }
        }
        self.seen = entries.len();
    }

    /// Whether nothing waits, runs, or is asked for.
    pub(super) fn is_at_rest(&self) -> bool {
        let head = &self.disk.head;
        head.queue.is_empty() && head.released.is_empty()
    }

    /// Tells those who read it how full the disk is.
    pub(super) fn publish(&self) {
        let pressure = if self.trouble == Some(Trouble::Full) { Pressure::Full } else { Pressure::None };
        self.published
            .send_if_modified(|published| std::mem::replace(&mut published.pressure, pressure) != pressure);
    }

    /// What was given up, or is recorded as not sent.
    pub(super) fn never_sent(&self) -> Vec<(ExecutionId, Key)> {
        let tagged = |execution, tag: Option<&String>| Some((execution, tag?.parse().ok()?));
        let dropped = self.disk.entries[Stream::Queue].iter().filter_map(|entry| match &entry.record {
            Record::Queue(event) if event.event == QueueEvent::Dropped => {
                tagged(event.execution, event.statement.as_ref()?.tag.as_ref())
            }
            _ => None,
        });
        let not_sent = self.disk.entries[Stream::Executions].iter().filter_map(|entry| match &entry.record {
            Record::Executed(executed) => {
                let note = executed.answer.as_ref().and_then(|answer| answer.note.as_deref())?;
                let tag = executed.statement.as_ref()?.tag.as_ref();
                note.starts_with("not sent").then(|| tagged(executed.execution, tag)).flatten()
            }
            _ => None,
        });
        dropped.chain(not_sent).collect()
    }
}

/// For the story.
fn described(record: &Record) -> String {
    let tag = |statement: &Option<Arc<Statement>>| {
        statement.as_ref().and_then(|statement| statement.tag.clone()).unwrap_or_default()
    };
    match record {
        Record::Queue(event) => format!("{:?} {}", event.event, tag(&event.statement)),
        Record::Executed(one) => format!("{:?} {} {:?}", one.outcome, tag(&one.statement), one.answer),
        Record::Window(_) => "a window".to_owned(),
    }
}

/// The way to this thread's writer.
#[derive(Debug)]
pub(super) struct WorldsLedger;

fn ask<T: Send + 'static, E: Send + 'static>(
    request: impl FnOnce(Tell<T, E>) -> Request,
    stopped: fn() -> E,
) -> Answer<T, E> {
    let (tell, answer) = oneshot::channel();
    world::with(|world| world.around.writer.requests.push_back((Instant::now(), request(tell))));
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })
}

impl Ledger for WorldsLedger {
    fn commit(&self, commit: Commit) -> Answer<Committed, CommitError> {
        ask(|tell| Request::Commit(Box::new(commit), tell), || CommitError::Stopped)
    }

    fn recover(&self) -> Answer<Recovered, ReadError> {
        ask(Request::Recover, || ReadError::Missing { dir: "modelled".into() })
    }

    fn mark_shipped(&self, _: PerStream<Option<EntryId>>) -> Answer<(), CommitError> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn trim(&self, _: Positions) -> Answer<(), CommitError> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn published(&self) -> watch::Receiver<Published> {
        world::with(|world| world.around.writer.published.subscribe())
    }
}

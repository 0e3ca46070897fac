//! The writer's thread: commits in order, several at once when several wait.

use std::{io, sync::Arc, thread, time::Duration};

use evenkeel_core::journal::{Commit, EntryId, PerStream, Positions, Recovered};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{
    head::Meta,
    retention::{Trim, Trimmed},
    store::Outbox,
};
use crate::ports::{
    history::ReadError,
    ledger::{self, CommitError, Committed, Ledger, Published},
};

/// Requests that wait for the writer: a commit takes some milliseconds and a tick makes one, so this
/// many mean that the disk has stood still for minutes.
pub const COMMITS_QUEUED_MAX: usize = 1_024;
/// Commits in one transaction: with 100 the fsync is already shared so widely that it hardly counts.
const GROUP_MAX: usize = 256;
/// How long a commit that nobody waits for waits for others: its fsync, which costs some milliseconds, would keep those
/// waiting that somebody waits for.
const PATIENCE: Duration = Duration::from_millis(10);
/// How often a writer looks whether it still is the one, also when it has nothing to write. One that was replaced ends
/// within 10 s: that leaves two looks that fail, and a second for the way to the end.
const LOOK_EVERY: Duration = Duration::from_secs(3);

type Answer<T, E> = oneshot::Sender<Result<T, E>>;

enum Request {
    Commit(Box<Commit>, Answer<Committed, CommitError>),
    Recover(Answer<Recovered, ReadError>),
    Trim(Trim, Answer<Trimmed, CommitError>),
    MarkShipped(PerStream<Option<EntryId>>, Answer<(), CommitError>),
    Shutdown(oneshot::Sender<()>),
    #[cfg(test)]
    Panic,
}

/// Starts the writer's thread.
#[derive(Debug)]
pub struct OutboxWriter;

impl OutboxWriter {
    /// Gives `outbox` to a thread of its own.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn spawn(outbox: Outbox) -> io::Result<OutboxHandle> {
        let (requests, queue) = mpsc::channel(COMMITS_QUEUED_MAX);
        let meta = Arc::new(outbox.meta().clone());
        let (publish, published) = watch::channel(state_of(&outbox, None));
        thread::Builder::new()
            .name("outbox-writer".to_owned())
            .spawn(move || run(outbox, queue, &publish))?;
        Ok(OutboxHandle { requests, published, meta })
    }
}

/// The way to the writer's thread.
///
/// Requests take effect in the order of the calls, whenever their futures are awaited and even when
/// those are dropped. When the last handle is dropped the thread finishes what waits and ends.
#[derive(Clone, Debug)]
pub struct OutboxHandle {
    requests: mpsc::Sender<Request>,
    published: watch::Receiver<Published>,
    meta: Arc<Meta>,
}

/// What a request fails with when it does not reach the writer.
trait Unanswered {
    fn busy() -> Self;
    fn stopped() -> Self;
}

impl Unanswered for CommitError {
    fn busy() -> Self {
        Self::Busy { limit: COMMITS_QUEUED_MAX }
    }

    fn stopped() -> Self {
        Self::Stopped
    }
}

impl Unanswered for ReadError {
    fn busy() -> Self {
        Self::Busy { limit: COMMITS_QUEUED_MAX }
    }

    fn stopped() -> Self {
        Self::Stopped
    }
}

impl OutboxHandle {
    /// Makes `commit` durable.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send + use<> {
        self.ask(|answer| Request::Commit(Box::new(commit), answer)).answer()
    }

    /// What a start would find, after the commits sent before. Commits that were decided before are refused from then on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recover(&self) -> impl Future<Output = Result<Recovered, ReadError>> + Send + use<> {
        self.ask(Request::Recover).answer()
    }

    /// See [`Outbox::trim`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn trim(&self, trim: Trim) -> impl Future<Output = Result<Trimmed, CommitError>> + Send + use<> {
        self.ask(|answer| Request::Trim(trim, answer)).answer()
    }

    /// Trims until nothing is left to be removed. Commits that come meanwhile wait for one step at most.
    ///
    /// # Errors
    /// [`CommitError`]; what was removed before it stays removed.
    pub fn trim_all(&self, trim: Trim) -> impl Future<Output = Result<(), CommitError>> + Send + use<> {
        let outbox = self.clone();
        async move {
            while outbox.trim(trim).await?.more {}
            Ok(())
        }
    }

    /// See [`Outbox::mark_shipped`].
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn mark_shipped(
        &self,
        up_to: PerStream<Option<EntryId>>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + use<> {
        self.ask(|answer| Request::MarkShipped(up_to, answer)).answer()
    }

    /// What is published after every request that changes something.
    pub fn published(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// What the journal is.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Finishes what waits, closes the outbox and ends the thread. Later requests fail with `Stopped`.
    pub fn shutdown(&self) -> impl Future<Output = ()> + Send + use<> {
        let requests = self.requests.clone();
        async move {
            let (answer, ended) = oneshot::channel();
            // Waits for room: a full queue is a reason to be patient, not to leave it behind.
            if requests.send(Request::Shutdown(answer)).await.is_ok() {
                let _ = ended.await;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn panic_for_test(&self) {
        self.requests.try_send(Request::Panic).expect("there is room");
    }

    fn ask<T, E: Unanswered>(&self, request: impl FnOnce(Answer<T, E>) -> Request) -> Asked<T, E> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.try_send(request(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => E::busy(),
            mpsc::error::TrySendError::Closed(_) => E::stopped(),
        });
        Asked { sent, answered }
    }
}

impl Ledger for OutboxHandle {
    fn commit(&self, commit: Commit) -> ledger::Answer<Committed, CommitError> {
        Box::pin(self.commit(commit))
    }

    fn recover(&self) -> ledger::Answer<Recovered, ReadError> {
        Box::pin(self.recover())
    }

    fn mark_shipped(&self, up_to: PerStream<Option<EntryId>>) -> ledger::Answer<(), CommitError> {
        Box::pin(self.mark_shipped(up_to))
    }

    fn trim(&self, applied: Positions) -> ledger::Answer<(), CommitError> {
        Box::pin(self.trim_all(Trim { applied }))
    }

    fn published(&self) -> watch::Receiver<Published> {
        self.published()
    }
}

/// A request that has been sent, or could not be.
struct Asked<T, E> {
    sent: Result<(), E>,
    answered: oneshot::Receiver<Result<T, E>>,
}

impl<T, E: Unanswered> Asked<T, E> {
    async fn answer(self) -> Result<T, E> {
        self.sent?;
        // The writer drops the answer only when it ends or panics.
        self.answered.await.unwrap_or_else(|_| Err(E::stopped()))
    }
}

fn run(mut outbox: Outbox, mut queue: mpsc::Receiver<Request>, publish: &watch::Sender<Published>) {
    // For the timeouts of this thread, which has no other runtime.
    let clock =
        Builder::new_current_thread().enable_time().build().expect("timers need nothing of the system");
    let (mut next, mut looked_at) = (None, Instant::now());
    loop {
        if looked_at.elapsed() >= LOOK_EVERY {
            look(&mut outbox, publish);
            looked_at = Instant::now();
        }
        let waited = match next.take() {
            Some(request) => Ok(Some(request)),
            None => clock.block_on(async { timeout(LOOK_EVERY, queue.recv()).await }),
        };
        let Ok(request) = waited else { continue };
        let Some(request) = request else { return };
        match request {
            Request::Commit(commit, answer) => {
                let (commits, answers) = group(&clock, &mut queue, *commit, answer, &mut next);
                let results = outbox.commit(commits);
                let trouble = results.iter().find_map(|result| result.as_ref().err().cloned());
                // Before the answers, so that whoever is answered sees it.
                publish.send_replace(state_of(&outbox, trouble));
                for (answer, result) in answers.into_iter().zip(results) {
                    let _ = answer.send(result);
                }
            }
            Request::Recover(answer) => drop(answer.send(outbox.begin_anew())),
            Request::Trim(trim, answer) => drop(answer.send(outbox.trim(&trim))),
            Request::MarkShipped(up_to, answer) => {
                let marked = outbox.mark_shipped(up_to);
                publish.send_modify(|published| published.pressure = outbox.pressure());
                let _ = answer.send(marked);
            }
            Request::Shutdown(answer) => {
                // Closed before the answer: then the lock is free and the directory can be opened again.
                drop(queue);
                drop(outbox);
                let _ = answer.send(());
                return;
            }
            #[cfg(test)]
            Request::Panic => panic!("as the test asked"),
        }
    }
}

/// Says when it is over, so that the process ends though nobody commits.
fn look(outbox: &mut Outbox, publish: &watch::Sender<Published>) {
    if let Err(over) = outbox.look() {
        publish.send_if_modified(|published| {
            let trouble = Some(CommitError::Over(over));
            let news = published.trouble != trouble;
            published.trouble = trouble;
            news
        });
    }
}

/// All commits that wait next to each other; what follows them goes to `next`. While nobody waits for any of them, others
/// are waited for.
fn group(
    clock: &Runtime,
    queue: &mut mpsc::Receiver<Request>,
    commit: Commit,
    answer: Answer<Committed, CommitError>,
    next: &mut Option<Request>,
) -> (Vec<Commit>, Vec<Answer<Committed, CommitError>>) {
    let mut patient = commit.patient;
    let (mut commits, mut answers) = (vec![commit], vec![answer]);
    let latest = Instant::now() + PATIENCE;
    while commits.len() < GROUP_MAX {
        let more = match queue.try_recv() {
            Err(_) if patient => {
                clock.block_on(async { timeout_at(latest, queue.recv()).await }).ok().flatten()
            }
            more => more.ok(),
        };
        match more {
            Some(Request::Commit(commit, answer)) => {
                patient &= commit.patient;
                commits.push(*commit);
                answers.push(answer);
            }
            other => {
                *next = other;
                break;
            }
        }
    }
    (commits, answers)
}

fn state_of(outbox: &Outbox, trouble: Option<CommitError>) -> Published {
    let head = &outbox.head;
    Published {
        revision: head.revision,
        next_tick: head.state.next_tick,
        last: PerStream::from_fn(|stream| head.numbering.last_id(stream)),
        last_seq: PerStream::from_fn(|stream| head.numbering.last_seq(stream)),
        pressure: outbox.pressure(),
        trouble,
        log: outbox.log(),
    }
}

//! Records what sessions are about to send: together, and at once when somebody waits.
//!
//! ```text
//! sessions ─Intent─▶ gathered ─Admit─▶ Queue ─▶ durable ─▶ Tell::Recorded to each session
//!          ─Ended──▶ …                                  └▶ the desk, which tells the daemon
//! ```
//! Invariant: what was submitted first is recorded first, an end never before its beginning, and nothing that was submitted
//! is forgotten: what nobody waits for is tried again until it is recorded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use evenkeel_core::{
    journal::{Answer, Outcome, QueryText},
    postgres::replies::{Refusal, code},
    server::queue::Arrival,
    units::ids::{ExecutionId, QueryId},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    desk::Desk,
    front::{Mailbox, Tell},
};
use crate::{
    clock::unix_ms,
    messages::{Admit, AppendError, NotRecorded},
    ports::ledger::CommitError,
    supervise::{fault, port::Port},
};

/// What nobody waits for is recorded so much later at most.
const LINGER: Duration = Duration::from_millis(20);
/// Statements in one commit.
const TOGETHER_MAX: usize = 4_096;
/// Submissions that have not been recorded: with more of them sessions wait.
pub(super) const BEHIND_MAX: usize = 10_000;
/// A commit that takes longer is late: with what came during the one before it, and what lingered, it comes 50 ms after the
/// first statement in it.
const LATE: Duration = Duration::from_millis(15);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(20);
/// So long a statement waits for a journal that fails.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Texts that are remembered as recorded.
const TEXTS_MAX: usize = 100_000;

/// What is done when the journal has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Statements that have to be recorded are refused.
    #[default]
    Refuse,
    /// They pass, and are counted.
    Pass,
}

/// What a session tells, in its order.
#[derive(Debug)]
pub(super) enum Submission {
    /// A statement is about to be sent.
    Intent(Box<Intent>),
    /// It has ended.
    Ended(ExecutionId, Outcome, Answer),
    /// Somebody waits until all before is recorded.
    Before(oneshot::Sender<()>),
}

/// A statement that is about to be sent.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) arrival: Arrival,
    pub(super) text: QueryText,
    pub(super) ticket: u64,
    pub(super) waited_for: bool,
    pub(super) session: Mailbox,
}

/// How it goes, for metrics.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Submissions that are not recorded yet.
    pub(super) behind: AtomicUsize,
    /// Statements that passed without a record.
    pub(super) gap: AtomicU64,
    /// Whether what is being recorded takes too long, or could not be.
    late: AtomicBool,
}

/// The way to the recorder.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    submissions: mpsc::UnboundedSender<Submission>,
    pub(super) counts: Arc<Counts>,
}

impl Recorder {
    /// A recorder, and the work that it does, to be run by somebody.
    pub(super) fn new(
        queue: Port<Admit>,
        desk: Desk,
        when_full: WhenFull,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (submissions, received) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let work = Work {
            received,
            queue,
            desk,
            when_full,
            counts: Arc::clone(&counts),
            waiting: VecDeque::new(),
            known: BTreeSet::new(),
            failing_since: None,
        };
        (Self { submissions, counts }, work.run())
    }

    pub(super) fn submit(&self, submission: Submission) {
        self.counts.behind.fetch_add(1, Ordering::Relaxed);
        let _ = self.submissions.send(submission);
    }

    /// Waits until all that was submitted before is recorded, or cannot be.
    pub(super) fn before(&self) -> impl Future<Output = ()> + use<> {
        let (answer, recorded) = oneshot::channel();
        self.submit(Submission::Before(answer));
        async move { drop(recorded.await) }
    }

    /// Whether so much waits that sessions should, too.
    pub(super) fn is_behind(&self) -> bool {
        self.counts.behind.load(Ordering::Relaxed) > BEHIND_MAX
    }

    /// Whether the journal takes so long that what nobody waits for would be recorded later than within 50 ms.
    pub(super) fn is_late(&self) -> bool {
        self.counts.late.load(Ordering::Relaxed)
    }
}

struct Work {
    received: mpsc::UnboundedReceiver<Submission>,
    queue: Port<Admit>,
    desk: Desk,
    when_full: WhenFull,
    counts: Arc<Counts>,
    waiting: VecDeque<Submission>,
    /// Texts that are durable.
    known: BTreeSet<QueryId>,
    failing_since: Option<Instant>,
}

impl Work {
    async fn run(mut self) {
        while self.gather().await {
            let count = self.waiting.len().min(TOGETHER_MAX);
            match self.record_and_say_when_late(count).await {
                Ok(()) => {
                    self.failing_since = None;
                    self.recorded(count);
                    self.counts.late.store(false, Ordering::Relaxed);
                }
                Err(cause) => {
                    self.failed(&cause);
                    self.counts.late.store(!self.waiting.is_empty(), Ordering::Relaxed);
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn record_and_say_when_late(&mut self, count: usize) -> Result<(), NotRecorded> {
        let counts = Arc::clone(&self.counts);
        let mut recording = pin!(self.record(count));
        if let Ok(recorded) = timeout(LATE, recording.as_mut()).await {
            return recorded;
        }
        counts.late.store(true, Ordering::Relaxed);
        recording.await
    }

    /// Waits until something has to be recorded; nothing will be when all sessions are gone.
    async fn gather(&mut self) -> bool {
        if self.waiting.is_empty() {
            let Some(first) = self.received.recv().await else { return false };
            self.waiting.push_back(first);
        }
        let latest = Instant::now() + LINGER;
        loop {
            while let Ok(more) = self.received.try_recv() {
                self.waiting.push_back(more);
            }
            let urgent =
                self.waiting.iter().any(Submission::is_waited_for) || self.waiting.len() >= TOGETHER_MAX;
            if urgent || self.failing_since.is_some() {
                return true;
            }
            match timeout_at(latest, self.received.recv()).await {
                Ok(Some(more)) => self.waiting.push_back(more),
                Ok(None) | Err(_) => return true,
            }
        }
    }

    async fn record(&mut self, count: usize) -> Result<(), NotRecorded> {
        let intents: Vec<_> = self.waiting.iter().take(count).filter_map(Submission::intent).collect();
        if intents.is_empty() {
            return Ok(());
        }
        let new = intents.iter().filter(|one| !self.known.contains(&one.text.query));
        let texts: BTreeMap<_, _> = new.map(|one| (one.text.query, one.text.clone())).collect();
        let arrivals = intents.iter().map(|one| one.arrival.clone()).collect();
        let new: Vec<_> = texts.keys().copied().collect();
        let texts = texts.into_values().collect();
        let admit = Admit { at_ms: unix_ms(), arrivals, texts };
        let answer = self.queue.send(admit).await.unwrap_or(Err(NotRecorded::Refused(AppendError::Unknown)));
        answer?;
        fault::point!("after-intent");
        if self.known.len() < TEXTS_MAX {
            self.known.extend(new);
        }
        Ok(())
    }

    fn recorded(&mut self, count: usize) {
        let mut told: Vec<(Mailbox, u64)> = Vec::new();
        for one in self.waiting.drain(..count) {
            match one {
                Submission::Ended(execution, outcome, answer) => {
                    self.desk.finished(execution, outcome, answer);
                }
                Submission::Before(answer) => drop(answer.send(())),
                Submission::Intent(intent) => {
                    let Intent { session, ticket, .. } = *intent;
                    match told.iter_mut().rev().find(|(known, _)| known.same_channel(&session)) {
                        Some((_, last)) => *last = ticket,
                        None => told.push((session, ticket)),
                    }
                }
            }
        }
        self.counts.behind.fetch_sub(count, Ordering::Relaxed);
        for (session, ticket) in told {
            let _ = session.send(Tell::Recorded(ticket));
        }
    }

    /// What is waited for is refused, or passes, when the journal has no room, or fails for too long.
    fn failed(&mut self, cause: &NotRecorded) {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let full = matches!(cause, NotRecorded::Refused(AppendError::Refused(error)) if matches!(**error, CommitError::Full(_)));
        if !full && since.elapsed() < WAIT_MAX {
            return;
        }
        if full && self.when_full == WhenFull::Pass {
            let intents = self.waiting.iter().filter_map(Submission::intent).count();
            self.counts.gap.fetch_add(intents as u64, Ordering::Relaxed);
            return self.recorded(self.waiting.len());
        }
        let refusal = Refusal::new(code::FULL, format!("evenkeel cannot record the statement: {cause}"))
            .hint("the statement was not sent; evenkeel's log says more");
        let waited_for = self.waiting.iter().filter(|one| one.is_waited_for()).filter_map(Submission::intent);
        for one in waited_for {
            let _ = one.session.send(Tell::Refused(refusal.clone()));
        }
        let before = self.waiting.len();
        self.waiting.retain(|one| !one.is_waited_for());
        self.counts.behind.fetch_sub(before - self.waiting.len(), Ordering::Relaxed);
    }
}

impl Submission {
    fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Intent(intent) => Some(intent),
            Self::Ended(..) | Self::Before(_) => None,
        }
    }

    fn is_waited_for(&self) -> bool {
        matches!(self, Self::Before(_)) || self.intent().is_some_and(|intent| intent.waited_for)
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler, ResponseFuture, System};
    use evenkeel_core::journal::Released;
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    use super::*;

    /// A queue that answers as often as it may.
    struct Slow(Arc<Semaphore>);

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<Admit> for Slow {
        type Result = ResponseFuture<Result<Vec<Released>, NotRecorded>>;

        fn handle(&mut self, _: Admit, _context: &mut Self::Context) -> Self::Result {
            let may = Arc::clone(&self.0);
            Box::pin(async move {
                may.acquire().await.expect("nobody closes it").forget();
                Ok(Vec::new())
            })
        }
    }

    async fn wait_until(holds: impl Fn() -> bool) {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    #[test]
    fn a_commit_that_takes_long_is_late_until_it_is_there() {
        System::new().block_on(async {
            let may = Arc::new(Semaphore::new(0));
            let queue = Slow(Arc::clone(&may)).start().recipient().into();
            let (recorder, work) = Recorder::new(queue, Desk::default(), WhenFull::Refuse);
            actix::spawn(work);
            assert!(!recorder.is_late());
            let query = QueryId(Uuid::nil());
            let arrival = Arrival::from((ExecutionId(Uuid::nil()), query));
            let [text, database, kind] = [(); 3].map(|()| String::new());
            let text = QueryText { query, text, database, kind };
            let (session, mut told) = mpsc::unbounded_channel();
            let intent = Intent { arrival, text, ticket: 1, waited_for: false, session };
            recorder.submit(Submission::Intent(Box::new(intent)));
            wait_until(|| recorder.is_late()).await;
            assert!(told.try_recv().is_err(), "nothing is recorded");
            may.add_permits(1);
            wait_until(|| !recorder.is_late()).await;
            assert!(matches!(told.recv().await, Some(Tell::Recorded(1))));
        });
    }
}

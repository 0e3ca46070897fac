//! The desk between the front's sessions and the ticks: what is held waits here for its release, what has ended for its
//! record.
//!
//! In: sessions, on threads of their own. Out: the daemon, as the database and its workload.

use std::{collections::BTreeMap, io, mem, sync::Arc};

use evenkeel_core::{
    journal::{Answer, Executed, Outcome, QueryText, Released, Statement},
    postgres::replies::{Refusal, code},
    server::queue::Finished,
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};

use super::{
    front::{Mailbox, Mutex, Tell},
    own::Running,
    probe::Probe,
};
use crate::ports::database::{Arrived, Database, Resolution, Sending, TickUsed, UsageProbe, Workload};

/// An end whose tick nobody knows: the last one that has begun.
const NOW: Tick = Tick(u64::MAX);

/// See the module. Its clones are the same desk.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    arriving: Vec<Held>,
    texts: Vec<QueryText>,
    waiting: BTreeMap<ExecutionId, Mailbox>,
    finished: Vec<Finished>,
    /// Backends of which somebody asks whether they still are there.
    asked: BTreeMap<Backend, Found>,
}

/// What is known of a backend.
#[derive(Debug, Default)]
struct Found {
    last: Option<Running>,
    /// Whether its statements have been told that it is gone.
    told: bool,
}

/// A backend, and when it began, Unix µs.
pub type Backend = (i32, Option<i64>);

/// A statement that is to wait in the queue.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) execution: ExecutionId,
    pub(super) query: QueryId,
    /// What kind of statement it is, as [`evenkeel_core::postgres::understood::Kind::name`] has it.
    pub(super) kind: &'static str,
    pub(super) statement: Arc<Statement>,
}

impl Inside {
    fn not_sent(&mut self, execution: ExecutionId) {
        let note = Some("not sent: its client was gone".to_owned());
        let answer = Some(Answer { note, ..Answer::default() });
        self.finished.push(Finished { execution, tick: NOW, outcome: Outcome::Failed, answer });
    }
}

impl Desk {
    /// Holds a statement of the session's.
    pub(super) fn hold(&self, held: Held, text: QueryText, session: Mailbox) {
        let mut inside = self.0.lock();
        inside.waiting.insert(held.execution, session);
        inside.arriving.push(held);
        inside.texts.push(text);
    }

    /// It is not brought to the queue, where it has not been yet; whether that is so. Its session goes on waiting.
    pub(super) fn keep_back(&self, execution: ExecutionId) -> bool {
        let mut inside = self.0.lock();
        let before = inside.arriving.len();
        inside.arriving.retain(|held| held.execution != execution);
        inside.arriving.len() < before
    }

    /// Its session is told by somebody else, or does not wait any more; whether it had not been told before.
    pub(super) fn told(&self, execution: ExecutionId) -> bool {
        self.0.lock().waiting.remove(&execution).is_some()
    }

    /// It is released: its session sends it now. Whether there is one that waits.
    pub(super) fn release(&self, execution: ExecutionId) -> bool {
        let session = self.0.lock().waiting.remove(&execution);
        session.is_some_and(|session| session.send(Tell::Released(execution)).is_ok())
    }

    /// It was released, and its session was gone by then.
    pub(super) fn not_sent(&self, execution: ExecutionId) {
        self.0.lock().not_sent(execution);
    }

    /// The backends that are to be asked about.
    pub fn asked(&self) -> Vec<Backend> {
        let mut inside = self.0.lock();
        inside.asked.retain(|_, found| !found.told);
        let open = inside.asked.iter().filter(|(_, found)| found.last != Some(Running::Gone));
        open.map(|(backend, _)| *backend).collect()
    }

    /// What was found of one.
    pub fn found(&self, backend: Backend, running: Running) {
        self.0.lock().asked.insert(backend, Found { last: Some(running), told: false });
    }

    /// A statement has ended.
    pub(super) fn finished(&self, execution: ExecutionId, outcome: Outcome, answer: Answer) {
        self.0.lock().finished.push(Finished { execution, tick: NOW, outcome, answer: Some(answer) });
    }
}

impl Workload for Desk {
    fn arrivals(&mut self, _tick: Tick) -> Vec<Arrived> {
        let arriving = mem::take(&mut self.0.lock().arriving);
        let arrived = |Held { execution, query, statement, .. }| Arrived {
            query,
            execution: Some(execution),
            statement: Some(statement),
        };
        arriving.into_iter().map(arrived).collect()
    }

    fn texts(&mut self) -> Vec<QueryText> {
        mem::take(&mut self.0.lock().texts)
    }

    fn refused(&mut self, executions: &[ExecutionId]) {
        let refusal = Refusal::new(code::FULL, "evenkeel's journal has no room for what is to be held")
            .hint("free space on its disk, or bring its Redis back");
        let mut inside = self.0.lock();
        for execution in executions {
            if let Some(session) = inside.waiting.remove(execution) {
                let _ = session.send(Tell::GiveUp(*execution, refusal.clone()));
            }
        }
    }
}

/// The database as the daemon sees it: releasing is telling the session, which sends.
#[derive(Debug)]
pub struct RealDatabase {
    desk: Desk,
    releases: Releases,
    probe: Option<Probe>,
}

/// Who lets go what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releases {
    /// Each tick, at most so many beside each other.
    Ticks(Option<usize>),
    /// The pacing, between ticks.
    Pacing,
}

impl RealDatabase {
    /// What runs behind `desk`. Without a `probe` nobody knows what it uses.
    pub fn new(desk: Desk, releases: Releases, probe: Option<Probe>) -> Self {
        Self { desk, releases, probe }
    }
}

impl Database for RealDatabase {
    fn sending(&self) -> Sending {
        let at_once = match self.releases {
            Releases::Ticks(at_once) => at_once,
            Releases::Pacing => Some(0),
        };
        Sending::Once { at_once, clients: true }
    }

    fn start(&mut self, tick: Tick, batch: &[Executed]) -> io::Result<()> {
        if let Some(probe) = &mut self.probe {
            probe.begins(tick);
        }
        let mut inside = self.desk.0.lock();
        for executed in batch {
            let execution = executed.execution;
            let told =
                inside.waiting.remove(&execution).map(|session| session.send(Tell::Released(execution)));
            if !matches!(told, Some(Ok(()))) {
                inside.not_sent(execution);
            }
        }
        Ok(())
    }

    fn finished(&mut self) -> io::Result<Vec<Finished>> {
        Ok(mem::take(&mut self.desk.0.lock().finished))
    }

    /// What was released by a process before has ended when its backend has; how is known to nobody.
    fn resolve(&mut self, released: &Released) -> io::Result<Resolution> {
        let Some(statement) = &released.statement else { return Ok(Resolution::Unknown) };
        let backend = (statement.pid, statement.backend_start);
        let mut inside = self.desk.0.lock();
        let found = inside.asked.entry(backend).or_default();
        if found.last == Some(Running::Gone) {
            // All of its statements are resolved together, before anybody asks for what is to be asked about next.
            found.told = true;
            return Ok(Resolution::Unknown);
        }
        Ok(Resolution::Running)
    }
}

impl UsageProbe for RealDatabase {
    fn used(&mut self) -> io::Result<Vec<TickUsed>> {
        self.probe.as_mut().map_or_else(|| Ok(Vec::new()), Probe::used)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn released(n: u128, pid: i32) -> Released {
        let statement = Statement {
            class: String::new(),
            user: String::new(),
            database: String::new(),
            application: String::new(),
            client: String::new(),
            session: Uuid::nil(),
            transaction: None,
            pid,
            backend_start: Some(1),
            tag: None,
        };
        Released {
            execution: ExecutionId(Uuid::from_u128(n)),
            query: QueryId(Uuid::nil()),
            queued_tick: Tick(0),
            due_tick: Tick(0),
            tick: Tick(0),
            at_ms: 0,
            reason: String::new(),
            tenant: None,
            trace: None,
            statement: Some(Arc::new(statement)),
        }
    }

    #[test]
    fn all_statements_of_a_backend_that_is_gone_are_unknown_at_once() {
        let desk = Desk::default();
        let mut database = RealDatabase::new(desk.clone(), Releases::Ticks(None), None);
        let mut resolved =
            || [(1, 7), (2, 7), (3, 8)].map(|(n, pid)| database.resolve(&released(n, pid)).unwrap());
        assert_eq!(resolved(), [Resolution::Running; 3], "nobody has looked");
        assert_eq!(desk.asked(), [(7, Some(1)), (8, Some(1))]);
        desk.found((7, Some(1)), Running::Gone);
        desk.found((8, Some(1)), Running::Same);
        assert_eq!(desk.asked(), [(8, Some(1))], "what is gone is known until it has been told");
        assert_eq!(resolved(), [Resolution::Unknown, Resolution::Unknown, Resolution::Running]);
        assert_eq!(desk.asked(), [(8, Some(1))], "and is forgotten then");
    }
}

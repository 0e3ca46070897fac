//! What an audit knows of statements of a real database: whose each was when it was released, and what a session said of
//! itself before.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use uuid::Uuid;

use super::finding::{Finding, Findings};
use crate::{
    journal::{Executed, QueueEvent, QueueRecord, Statement},
    units::{ids::ExecutionId, tick::Tick},
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    /// Those of what was released and has no outcome.
    released: BTreeMap<ExecutionId, Arc<Statement>>,
    /// Those of outcomes whose release has not been seen: within a tick the streams have no order.
    early: BTreeMap<ExecutionId, (Tick, Arc<Statement>)>,
    sessions: BTreeMap<Uuid, Session>,
    /// Whether a release may stand in an entry that cannot be read.
    blind: bool,
}

/// What a session said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    /// Who it is, from where, on which backend.
    whose: u64,
    /// Its last explicit transaction.
    transaction: Option<u64>,
}

impl Statements {
    /// An entry of the queue cannot be read.
    pub(super) fn unreadable(&mut self) {
        self.blind = true;
    }

    /// An event of the queue.
    pub(super) fn queue_event(&mut self, seq: u64, event: &QueueRecord, findings: &mut Findings) {
        let Some(statement) = &event.statement else { return };
        if event.event == QueueEvent::Released {
            self.session(seq, event, statement, findings);
            match self.early.remove(&event.execution) {
                Some((_, told)) => compare(event.execution, &told, statement, findings),
                None => drop(self.released.insert(event.execution, Arc::clone(statement))),
            }
        }
    }

    /// A session has one client and one backend, and its transactions are counted upwards.
    fn session(&mut self, seq: u64, event: &QueueRecord, statement: &Statement, findings: &mut Findings) {
        let mut hasher = DefaultHasher::new();
        (&statement.user, &statement.database, &statement.client, statement.pid).hash(&mut hasher);
        let now = Session { whose: hasher.finish(), transaction: statement.transaction };
        let before = self.sessions.entry(statement.session).or_insert(now);
        let (execution, session) = (event.execution, statement.session);
        if before.whose != now.whose {
            findings.add(Finding::OtherSession { execution, session });
        }
        if now.transaction.is_some() && now.transaction < before.transaction {
            findings.add(Finding::TransactionOrder { seq, execution, session });
        }
        *before = Session { transaction: now.transaction.max(before.transaction), ..now };
    }

    /// An outcome.
    pub(super) fn executed(&mut self, executed: &Executed, findings: &mut Findings) {
        let released = self.released.remove(&executed.execution);
        match (&executed.statement, released) {
            (Some(told), Some(released)) => compare(executed.execution, told, &released, findings),
            (Some(told), None) => {
                self.early.insert(executed.execution, (executed.tick, Arc::clone(told)));
            }
            (None, Some(_)) => findings.add(Finding::OtherStatement(executed.execution)),
            (None, None) => {}
        }
    }

    /// Nothing follows: what has an outcome was released.
    pub(super) fn finish(self, first_tick: Tick, findings: &mut Findings) {
        let unreleased = self.early.into_iter().filter(|(_, (tick, _))| !self.blind && *tick >= first_tick);
        for (execution, _) in unreleased {
            findings.add(Finding::NeverReleased(execution));
        }
    }
}

fn compare(execution: ExecutionId, told: &Statement, released: &Statement, findings: &mut Findings) {
    if told != released {
        findings.add(Finding::OtherStatement(execution));
    }
}

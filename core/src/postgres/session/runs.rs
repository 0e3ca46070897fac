//! Runs of statements: from being scanned to being settled.
//!
//! Inside of an explicit transaction a run is settled when it is answered. Outside, its commit comes later: with the
//! server's `ReadyForQuery` it is settled, and with an error before that it has failed.

use std::{collections::BTreeMap, sync::Arc};

use super::{Event, Finished, Intent};
use crate::{
    journal::Outcome,
    postgres::understood::Kind,
    units::ids::{ExecutionId, QueryId},
};

/// What is noted of a statement that was to be recorded, and did not leave.
const NOT_SENT: &str = "not sent";

/// A run that is not settled.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) query: QueryId,
    pub(super) text: Arc<str>,
    pub(super) kind: Kind,
    pub(super) class: Arc<str>,
    pub(super) transaction: Option<u64>,
    pub(super) tag: Option<String>,
    pub(super) waits: bool,
    pub(super) exact: bool,
    pub(super) admitted: bool,
    pub(super) sent_us: Option<u64>,
}

/// What the server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    execution: ExecutionId,
    rows: Option<u64>,
    duration_us: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Runs {
    open: BTreeMap<ExecutionId, Run>,
    /// Answered, and not committed as far as is known.
    uncommitted: Vec<Answered>,
    /// Of these, what a BEGIN behind them in the same batch has taken into its block.
    joined: Vec<Answered>,
}

impl Run {
    /// Whether it may commit on its way what ran before it.
    fn may_commit(&self) -> bool {
        !self.exact || matches!(self.kind, Kind::Procedure | Kind::Maintain | Kind::Schema | Kind::Other)
    }

    /// Whether what comes behind it is not certain to be undone with the block.
    fn ends_block(&self) -> bool {
        let ends = matches!(
            self.kind,
            Kind::Commit | Kind::Rollback | Kind::PrepareTransaction | Kind::FinishPrepared
        );
        !self.exact || ends
    }

    pub(super) fn intent(&self, execution: ExecutionId, ticket: u64) -> Intent {
        Intent {
            ticket,
            execution,
            query: self.query,
            text: Arc::clone(&self.text),
            kind: self.kind.name(),
            class: Arc::clone(&self.class),
            transaction: self.transaction,
            tag: self.tag.clone(),
            waited_for: self.waits,
        }
    }
}

impl Runs {
    pub(super) fn begin(&mut self, execution: ExecutionId, run: Run) {
        self.open.insert(execution, run);
    }

    pub(super) fn get(&self, execution: ExecutionId) -> Option<&Run> {
        self.open.get(&execution)
    }

    /// Its record has been asked for; whether it had not been before.
    pub(super) fn admitted(&mut self, execution: ExecutionId) -> bool {
        self.open.get_mut(&execution).is_some_and(|run| !std::mem::replace(&mut run.admitted, true))
    }

    pub(super) fn sent(&mut self, execution: ExecutionId, now_us: u64) {
        if let Some(run) = self.open.get_mut(&execution) {
            run.sent_us.get_or_insert(now_us);
        }
    }

    /// Whether nothing that was sent has yet to end.
    pub(super) fn none_sent(&self) -> bool {
        self.open.values().all(|run| run.sent_us.is_none())
    }

    /// It was never sent, and nobody has been asked to record it.
    pub(super) fn forget(&mut self, execution: ExecutionId) {
        self.open.remove(&execution);
    }

    /// It will not be sent. Where its record has been asked for, that says so.
    pub(super) fn given_up(&mut self, execution: ExecutionId, events: &mut Vec<Event>) {
        if self.open.get(&execution).is_some_and(|run| run.admitted) {
            self.settle(execution, Outcome::Failed, None, Some(NOT_SENT), 0, events);
        } else {
            self.forget(execution);
        }
    }

    /// `CommandComplete`.
    pub(super) fn completed(
        &mut self,
        execution: ExecutionId,
        command: &[u8],
        rows: Option<u64>,
        in_block: bool,
        now_us: u64,
        events: &mut Vec<Event>,
    ) {
        let Some(run) = self.open.get(&execution) else { return };
        let duration_us = duration(run, now_us);
        let ended_by_rollback = run.kind == Kind::Commit && command == b"ROLLBACK";
        let goes_back = run.kind == Kind::RollbackTo;
        let ends = matches!(run.kind, Kind::Commit | Kind::Rollback);
        // What came before in the same batch is ended with the transaction, or becomes a part of the block.
        match command {
            b"BEGIN" | b"START TRANSACTION" => self.joined.append(&mut self.uncommitted),
            b"COMMIT" | b"PREPARE TRANSACTION" => self.committed_with_their_block(events),
            b"ROLLBACK" if !goes_back => self.undone(now_us, events),
            _ => {}
        }
        if ended_by_rollback {
            self.settle(execution, Outcome::Failed, None, Some("ended by ROLLBACK"), now_us, events);
        } else if in_block || ends {
            let answered = Answered { execution, rows, duration_us };
            self.succeeded(&answered, events);
        } else {
            self.uncommitted.push(Answered { execution, rows, duration_us });
        }
    }

    /// The server is ready: what it has answered is committed.
    pub(super) fn committed(&mut self, events: &mut Vec<Event>) {
        for answered in std::mem::take(&mut self.uncommitted) {
            self.succeeded(&answered, events);
        }
    }

    fn committed_with_their_block(&mut self, events: &mut Vec<Event>) {
        for answered in std::mem::take(&mut self.joined) {
            self.succeeded(&answered, events);
        }
        self.committed(events);
    }

    fn undone(&mut self, now_us: u64, events: &mut Vec<Event>) {
        let mut answered = std::mem::take(&mut self.joined);
        answered.append(&mut self.uncommitted);
        self.gone_back(answered, None, "rolled back after it", now_us, events);
    }

    /// An error has come before what was answered was committed.
    pub(super) fn rolled_back(&mut self, sqlstate: &str, now_us: u64, events: &mut Vec<Event>) {
        let answered = std::mem::take(&mut self.uncommitted);
        self.gone_back(answered, Some(sqlstate), "rolled back by an error after it", now_us, events);
    }

    /// What was answered is undone, unless one of them may have committed it on its way.
    fn gone_back(
        &mut self,
        answered: Vec<Answered>,
        sqlstate: Option<&str>,
        note: &'static str,
        now_us: u64,
        events: &mut Vec<Event>,
    ) {
        let unknown = self.may_be_committed(&answered);
        for Answered { execution, .. } in answered {
            let (outcome, note) = if unknown {
                (Outcome::Unknown, "what it was sent with may have committed it before it was rolled back")
            } else {
                (Outcome::Failed, note)
            };
            self.settle(execution, outcome, sqlstate.map(str::to_owned), Some(note), now_us, events);
        }
    }

    fn may_be_committed(&self, answered: &[Answered]) -> bool {
        answered.iter().any(|one| self.open.get(&one.execution).is_some_and(Run::may_commit))
    }

    /// It has failed, or the server never came to it.
    pub(super) fn failed(
        &mut self,
        execution: ExecutionId,
        sqlstate: Option<&str>,
        now_us: u64,
        events: &mut Vec<Event>,
    ) {
        let note = sqlstate.is_none().then_some("not reached");
        self.settle(execution, Outcome::Failed, sqlstate.map(str::to_owned), note, now_us, events);
    }

    /// A portal that was not read to its end.
    pub(super) fn abandoned(&mut self, execution: ExecutionId, now_us: u64, events: &mut Vec<Event>) {
        self.settle(execution, Outcome::Ok, None, Some("not read to its end"), now_us, events);
    }

    /// The connection is gone: of what was sent nobody knows. In an explicit transaction that has not been ended, what
    /// was under way has failed.
    pub(super) fn lost(&mut self, now_us: u64, in_block: bool, events: &mut Vec<Event>) {
        self.uncommitted.clear();
        let joined = std::mem::take(&mut self.joined);
        let doubtful = self.may_be_committed(&joined);
        let ends = self.open.values().any(|run| run.sent_us.is_some() && run.ends_block());
        for (execution, run) in self.open.clone() {
            let (outcome, note) = match run.sent_us {
                None if !run.admitted => {
                    self.forget(execution);
                    continue;
                }
                None => (Outcome::Failed, NOT_SENT),
                Some(_) if doubtful && joined.iter().any(|one| one.execution == execution) => {
                    (Outcome::Unknown, "the connection was lost before its transaction ended")
                }
                Some(_) if in_block && !ends => {
                    (Outcome::Failed, "its transaction was lost with the connection")
                }
                Some(_) => (Outcome::Unknown, "the connection was lost before the answer"),
            };
            self.settle(execution, outcome, None, Some(note), now_us, events);
        }
    }

    fn succeeded(&mut self, answered: &Answered, events: &mut Vec<Event>) {
        if self.open.remove(&answered.execution).is_some() {
            let Answered { execution, rows, duration_us } = *answered;
            let (sqlstate, note) = (None, None);
            let outcome = Outcome::Ok;
            events.push(Event::Finished(Finished { execution, outcome, sqlstate, rows, duration_us, note }));
        }
    }

    fn settle(
        &mut self,
        execution: ExecutionId,
        outcome: Outcome,
        sqlstate: Option<String>,
        note: Option<&'static str>,
        now_us: u64,
        events: &mut Vec<Event>,
    ) {
        if let Some(run) = self.open.remove(&execution) {
            let duration_us = duration(&run, now_us);
            let rows = None;
            events.push(Event::Finished(Finished { execution, outcome, sqlstate, rows, duration_us, note }));
        }
    }
}

fn duration(run: &Run, now_us: u64) -> u64 {
    run.sent_us.map_or(0, |sent_us| now_us.saturating_sub(sent_us))
}

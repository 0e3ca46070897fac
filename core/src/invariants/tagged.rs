//! What is journalled of tagged statements, held against a table that they fill: a comment `truth='ID'` stands in the text
//! of each, and each that has its effect leaves a row with that id.
//!
//! ```text
//! a row  ─▶ its id has one record, and not one that says `failed`
//! `ok`   ─▶ its row is there, unless its transaction has not ended with a COMMIT that was `ok`, or went back to a savepoint
//! ```

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::{
    journal::{Outcome, QueueEvent, Record, Statement},
    units::ids::{ExecutionId, QueryId},
};

/// What a statement does to its transaction, by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Neither of these.
    Nothing,
    /// It makes it durable.
    Commits,
    /// It undoes a part of it.
    GoesBack,
}

impl Ends {
    /// Of a normalised text.
    pub fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        match words.take(3).collect::<Vec<_>>().as_slice() {
            ["commit" | "end", rest @ ..] if rest.first() != Some(&"prepared") => Self::Commits,
            ["rollback", "to", ..] | ["rollback", "work" | "transaction", "to"] => Self::GoesBack,
            _ => Self::Nothing,
        }
    }
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagFinding {
    /// A row of which nothing is journalled.
    #[error("the row `{0}` has no record: a statement had its effect and none is journalled")]
    NoRecord(String),
    /// A tag with several executions.
    #[error("`{tag}` has {records} records: each of these statements has one")]
    Several {
        /// Which one.
        tag: String,
        /// How many.
        records: usize,
    },
    /// A row of what is journalled as failed.
    #[error("the row `{0}` is there, and its statement is journalled as failed")]
    Failed(String),
    /// No row of what is journalled as having succeeded.
    #[error("`{0}` is journalled as ok, and has no row")]
    NoRow(String),
}

/// An explicit transaction of a session.
type Transaction = (Uuid, u64);

#[derive(Clone, Debug)]
struct Told {
    outcome: Option<Outcome>,
    within: Option<Transaction>,
}

/// See the module. Memory: each tag, and each explicit transaction that was committed or went back.
#[derive(Clone, Debug, Default)]
pub struct Tagged {
    tags: BTreeMap<String, BTreeMap<ExecutionId, Told>>,
    committed: BTreeSet<Transaction>,
    went_back: BTreeSet<Transaction>,
}

impl Tagged {
    /// Takes a record, in any order. `ends` says what the query of a statement does to its transaction.
    pub fn record(&mut self, record: &Record, ends: impl Fn(QueryId) -> Ends) {
        match record {
            Record::Queue(event) if event.event == QueueEvent::Released => {
                self.told(event.execution, event.statement.as_deref(), None);
            }
            Record::Executed(executed) => {
                let statement = executed.statement.as_deref();
                self.told(executed.execution, statement, Some(executed.outcome));
                let within = statement.and_then(within);
                match (within, ends(executed.query)) {
                    (Some(within), Ends::Commits) if executed.outcome == Outcome::Ok => {
                        self.committed.insert(within);
                    }
                    (Some(within), Ends::GoesBack) if executed.outcome != Outcome::Failed => {
                        self.went_back.insert(within);
                    }
                    _ => {}
                }
            }
            Record::Queue(_) | Record::Window(_) => {}
        }
    }

    fn told(&mut self, execution: ExecutionId, statement: Option<&Statement>, outcome: Option<Outcome>) {
        let Some((statement, tag)) = statement.and_then(|told| Some((told, told.tag.as_ref()?))) else {
            return;
        };
        let runs = self.tags.entry(tag.clone()).or_default();
        let told = runs.entry(execution).or_insert(Told { outcome: None, within: within(statement) });
        told.outcome = outcome.or(told.outcome);
    }

    /// Tags that were seen.
    pub fn tags(&self) -> usize {
        self.tags.len()
    }

    /// What does not hold, given the ids of the table's rows.
    pub fn compare(&self, rows: &BTreeSet<String>) -> Vec<TagFinding> {
        let missing = rows.iter().filter(|row| !self.tags.contains_key(*row));
        let mut findings: Vec<_> = missing.cloned().map(TagFinding::NoRecord).collect();
        for (tag, runs) in &self.tags {
            let mut told = runs.values();
            let (Some(one), None) = (told.next(), told.next()) else {
                findings.push(TagFinding::Several { tag: tag.clone(), records: runs.len() });
                continue;
            };
            match (rows.contains(tag), one.outcome) {
                (true, Some(Outcome::Failed)) => findings.push(TagFinding::Failed(tag.clone())),
                (false, Some(Outcome::Ok)) if self.lasts(one.within) => {
                    findings.push(TagFinding::NoRow(tag.clone()));
                }
                _ => {}
            }
        }
        findings
    }

    /// Whether what succeeded within it is there for good.
    fn lasts(&self, within: Option<Transaction>) -> bool {
        within.is_none_or(|within| self.committed.contains(&within) && !self.went_back.contains(&within))
    }
}

fn within(statement: &Statement) -> Option<Transaction> {
    Some((statement.session, statement.transaction?))
}

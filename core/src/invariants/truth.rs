//! What the database really ran, by its own record, and how the journal compares.

use std::{fmt, str::FromStr};

use super::finding::{Finding, Findings};
use crate::{
    journal::{Executed, Outcome},
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};

/// One execution that really ran: a line `tick execution query` of the file that `--truth` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TruthRow {
    /// Which run.
    pub execution: ExecutionId,
    /// When.
    pub tick: Tick,
    /// Of which query.
    pub query: QueryId,
}

impl fmt::Display for TruthRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.tick, self.execution, self.query)
    }
}

/// A line that is no row of a truth file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no line of a truth file: expected tick, execution id and query id")]
pub struct ParseTruthRowError(String);

impl FromStr for TruthRow {
    type Err = ParseTruthRowError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let mut words = line.split_whitespace();
        let row = (|| {
            let tick = Tick(words.next()?.parse().ok()?);
            let execution = words.next()?.parse().ok()?;
            let query = words.next()?.parse().ok()?;
            words.next().is_none().then_some(Self { execution, tick, query })
        })();
        row.ok_or_else(|| ParseTruthRowError(line.to_owned()))
    }
}

/// What the database really ran. 48 bytes a row.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// By execution; the flag says whether the journal has it.
    rows: Vec<(TruthRow, bool)>,
    /// Journalled executions that are not among the rows.
    strangers: Vec<(Tick, ExecutionId)>,
}

impl Truth {
    /// The truth of `rows`, and what is wrong with them already.
    pub(super) fn new(rows: impl IntoIterator<Item = TruthRow>, findings: &mut Findings) -> Self {
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row, false)).collect();
        rows.sort_unstable();
        rows.dedup_by(|(later, _), (earlier, _)| {
            let twice = later.execution == earlier.execution;
            if twice {
                findings.add(Finding::RanTwice(later.execution));
            }
            twice
        });
        Self { rows, strangers: Vec::new() }
    }

    pub(super) fn journalled(&mut self, executed: &Executed, findings: &mut Findings) {
        let Ok(at) = self.rows.binary_search_by_key(&executed.execution, |(row, _)| row.execution) else {
            // What nobody knows the outcome of may never have been sent.
            if executed.outcome != Outcome::Unknown {
                self.strangers.push((executed.tick, executed.execution));
            }
            return;
        };
        let (row, seen) = &mut self.rows[at];
        *seen = true;
        let mut compare = |field, journalled: String, really: String| {
            if journalled != really {
                findings.add(Finding::NotTrue { execution: executed.execution, field, journalled, really });
            }
        };
        compare("tick", executed.tick.to_string(), row.tick.to_string());
        compare("query", executed.query.to_string(), row.query.to_string());
    }

    /// It was recorded before it was sent.
    pub(super) fn released(&mut self, execution: ExecutionId) {
        if let Ok(at) = self.rows.binary_search_by_key(&execution, |(row, _)| row.execution) {
            self.rows[at].1 = true;
        }
    }

    /// Compares ticks from `first` to before `next`. The last tick's effect may still be ahead: it is
    /// done again at the next start.
    pub(super) fn finish(self, first: Tick, next: Tick, findings: &mut Findings) {
        for (row, seen) in self.rows {
            if !seen && row.tick >= first && row.tick < next {
                let TruthRow { execution, tick, query } = row;
                findings.add(Finding::NotJournalled { execution, query, tick });
            }
        }
        for (tick, execution) in self.strangers {
            if tick >= first && tick.next() < next {
                findings.add(Finding::NeverRan { execution, tick });
            }
        }
    }
}

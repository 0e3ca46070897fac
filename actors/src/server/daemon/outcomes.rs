//! Outcomes that a database tells late: asked for between ticks, and kept until they are recorded.
//!
//! ```text
//! Database ─finished─▶ told ─Ended─▶ Queue ─▶ durable ─▶ forgotten
//! released before this start, or perhaps never sent ─▶ unresolved ─resolve─▶ told
//! ```

use std::time::Duration;

use evenkeel_core::{journal::Released, server::queue::Finished, units::tick::Tick};
use tokio::time::Instant;

use crate::ports::database::{Measured, Resolution};

/// How often the database is asked: what ends within is recorded in one commit, whose sync costs some milliseconds.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(20);
/// How often it is asked about each of those that nobody tells of.
const RESOLVE_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    told: Vec<Finished>,
    unresolved: Vec<Released>,
    resolved_at: Option<Instant>,
    /// How many of the first that were told are on their way.
    sent: usize,
    failing: bool,
}

impl Outcomes {
    /// What a start has found without an outcome.
    pub(super) fn restored(&mut self, released: Vec<Released>) {
        self.unresolved = released;
        self.resolved_at = None;
    }

    /// Asks what has ended; what is not known at `now` is asked again.
    pub(super) fn ask(&mut self, database: &mut dyn Measured, now: Tick) {
        let asked = database.finished().map(|finished| self.told.extend(finished));
        let asked = asked.and_then(|()| self.resolve(database, now));
        if let Err(cause) = &asked
            && !self.failing
        {
            tracing::warn!(%cause, "the database does not say what has ended: it is asked again");
        }
        self.failing = asked.is_err();
    }

    fn resolve(&mut self, database: &mut dyn Measured, now: Tick) -> std::io::Result<()> {
        if self.resolved_at.is_some_and(|at| at.elapsed() < RESOLVE_EVERY) {
            return Ok(());
        }
        self.resolved_at = Some(Instant::now());
        let mut asked = Ok(());
        let told = &mut self.told;
        self.unresolved.retain(|row| match database.resolve(row) {
            Ok(found) => {
                told.extend(found.finished(row.execution, now));
                found == Resolution::Running
            }
            Err(cause) => {
                asked = Err(cause);
                true
            }
        });
        asked
    }

    /// What is to be recorded now; one group at a time.
    pub(super) fn send(&mut self) -> Option<Vec<Finished>> {
        let next = (self.sent == 0 && !self.told.is_empty()).then(|| self.told.clone());
        self.sent = next.as_ref().map_or(self.sent, Vec::len);
        next
    }

    /// What was sent is recorded, or has to be sent again.
    pub(super) fn answered(&mut self, recorded: bool) {
        let sent = std::mem::take(&mut self.sent);
        if recorded {
            self.told.drain(..sent);
        }
    }
}

//! What works less well than it should before a real database: whether the database answers, and what of its clients'
//! statements was refused or not recorded.

use evenkeel_actors::{
    clock::unix_ms,
    postgres::front::{BEHIND_MAX, Numbers},
};
use tokio::sync::watch;

use super::degraded::{Found, Gatherer, TOLD_FOR_MS};
use crate::http::{Degraded, Kind};

/// What the database answers evenkeel itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Why it does not.
    pub(super) away: Option<String>,
    /// Whether evenkeel's user sees the backends of others whole.
    pub(super) sees_all: bool,
}

impl Default for Health {
    /// Before it was asked nothing is wrong.
    fn default() -> Self {
        Self { away: None, sees_all: true }
    }
}

/// A count that grew, and when it did last, Unix ms.
#[derive(Clone, Copy, Debug, Default)]
struct Grown {
    count: u64,
    at_ms: u64,
}

impl Grown {
    /// Whether it has grown within the time that is told.
    fn lately(&mut self, count: u64, now_ms: u64) -> bool {
        if count > self.count {
            *self = Self { count, at_ms: now_ms };
        }
        count > 0 && now_ms.saturating_sub(self.at_ms) < TOLD_FOR_MS
    }
}

/// See the module.
pub(super) struct Causes {
    upstream: String,
    health: watch::Receiver<Health>,
    gatherer: Gatherer,
    refused: Grown,
    unrecorded: Grown,
}

impl Causes {
    /// Of the front before `upstream`.
    pub(super) fn new(upstream: String, health: watch::Receiver<Health>) -> Self {
        let (refused, unrecorded) = (Grown::default(), Grown::default());
        Self { upstream, health, gatherer: Gatherer::default(), refused, unrecorded }
    }

    /// As of now.
    pub(super) fn now(&mut self, numbers: Numbers) -> Degraded {
        let found = self.found(numbers, unix_ms());
        self.gatherer.gather(found)
    }

    fn found(&mut self, numbers: Numbers, now_ms: u64) -> Found {
        let mut found = Found::new();
        let health = self.health.borrow().clone();
        if let Some(cause) = health.away {
            let at = &self.upstream;
            found.push((
                Kind::Database,
                format!("PostgreSQL at {at} does not answer evenkeel: {cause}; clients that connect are told (08006)"),
            ));
        }
        if !health.sees_all {
            let sentence = "evenkeel's user may not see the backends of others, so that after a restart a statement without \
                outcome is told by its process id alone: GRANT pg_monitor TO that user";
            found.push((Kind::Database, sentence.to_owned()));
        }
        if self.refused.lately(numbers.refused, now_ms) {
            let refused = numbers.refused;
            found.push((
                Kind::Refused,
                format!("{refused} connections were refused, because there were too many"),
            ));
        }
        if self.unrecorded.lately(numbers.unrecorded_full, now_ms) {
            let passed = numbers.unrecorded_full;
            let sentence = format!(
                "{passed} statements passed without a record, because the journal had no room and --when-full is pass"
            );
            found.push((Kind::Unrecorded, sentence));
        }
        if numbers.behind > BEHIND_MAX {
            let behind = numbers.behind;
            let sentence = format!(
                "{behind} statements and outcomes are not recorded yet: sessions wait for the journal"
            );
            found.push((Kind::Behind, sentence));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(causes: &mut Causes, numbers: Numbers, now_ms: u64) -> Vec<(Kind, String)> {
        causes.found(numbers, now_ms)
    }

    #[test]
    fn a_database_that_is_away_or_tells_little_is_said_and_over_when_it_is() {
        let (told, health) = watch::channel(Health::default());
        let mut causes = Causes::new("db:5432".to_owned(), health);
        assert!(said(&mut causes, Numbers::default(), 1).is_empty());
        told.send_replace(Health { away: Some("connection refused".to_owned()), sees_all: true });
        let now = said(&mut causes, Numbers::default(), 1);
        assert!(
            now[0].0 == Kind::Database && now[0].1.contains("db:5432") && now[0].1.contains("refused"),
            "{now:?}"
        );
        told.send_replace(Health { away: None, sees_all: false });
        let now = said(&mut causes, Numbers::default(), 1);
        assert!(now.len() == 1 && now[0].1.contains("pg_monitor"), "{now:?}");
        told.send_replace(Health::default());
        assert!(said(&mut causes, Numbers::default(), 1).is_empty());
    }

    #[test]
    fn what_was_refused_or_not_recorded_is_told_for_an_hour() {
        let mut causes = Causes::new(String::new(), watch::channel(Health::default()).1);
        let numbers = Numbers { refused: 2, unrecorded_full: 3, unrecorded_off: 9, ..Numbers::default() };
        let now = said(&mut causes, numbers, 1_000);
        assert_eq!(now.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [Kind::Refused, Kind::Unrecorded]);
        assert!(now[1].1.starts_with("3 statements"), "what --record off lets pass is no surprise: {now:?}");
        assert!(said(&mut causes, numbers, 1_000 + TOLD_FOR_MS).is_empty());
        let more = Numbers { refused: 3, ..numbers };
        assert_eq!(said(&mut causes, more, 2_000 + TOLD_FOR_MS).len(), 1, "another one");
    }

    #[test]
    fn sessions_that_wait_for_the_journal_are_said() {
        let mut causes = Causes::new(String::new(), watch::channel(Health::default()).1);
        let at = |behind| Numbers { behind, ..Numbers::default() };
        assert!(said(&mut causes, at(BEHIND_MAX), 1).is_empty());
        assert_eq!(said(&mut causes, at(BEHIND_MAX + 1), 1)[0].0, Kind::Behind);
    }
}

//! What works less well than it should: each cause has a kind, for alerts, and a sentence, for people.

use chrono::{DateTime, SecondsFormat};

/// What a cause is about. In the order of urgency: a line that has room for one shows the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The journal cannot be written: nothing runs.
    Disk,
    /// The database does not answer, or does not tell all.
    Database,
    /// Arrivals, or connections, are refused for want of room.
    Refused,
    /// Statements passed without a record.
    Unrecorded,
    /// Redis takes nothing.
    Shipping,
    /// Entries are gone from Redis.
    Lost,
    /// The machine's clock and the journal's ids disagree.
    Clock,
    /// A reader keeps the journal's log from being emptied.
    Reader,
    /// The client's state is not saved.
    Snapshot,
    /// The journal, or whoever reads it, is far behind.
    Behind,
    /// Nobody levels.
    Levelling,
    /// Who may ask is not known afresh.
    Access,
    /// Redis is set up so that it may lose something.
    Redis,
    /// What this process prints does not get out.
    Output,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 14] = [
        Self::Disk,
        Self::Database,
        Self::Refused,
        Self::Unrecorded,
        Self::Shipping,
        Self::Lost,
        Self::Clock,
        Self::Reader,
        Self::Snapshot,
        Self::Behind,
        Self::Levelling,
        Self::Access,
        Self::Redis,
        Self::Output,
    ];

    /// As it stands in answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Database => "database",
            Self::Refused => "refused",
            Self::Unrecorded => "unrecorded",
            Self::Shipping => "shipping",
            Self::Lost => "lost",
            Self::Clock => "clock",
            Self::Reader => "reader",
            Self::Snapshot => "snapshot",
            Self::Behind => "behind",
            Self::Levelling => "levelling",
            Self::Access => "access",
            Self::Redis => "redis",
            Self::Output => "output",
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What it is about.
    pub kind: Kind,
    /// What is wrong, and the remedy where there is one.
    pub sentence: String,
    /// Since when, Unix ms.
    pub since_ms: u64,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = i64::try_from(self.since_ms).ok().and_then(DateTime::from_timestamp_millis);
        match since {
            Some(since) => {
                write!(f, "{} (since {})", self.sentence, since.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
            None => f.write_str(&self.sentence),
        }
    }
}

/// All of them, the most urgent first; the server is ready all the same unless `/readyz` says otherwise.
pub type Degraded = Vec<Cause>;

/// Each as `/readyz` says it.
pub(super) fn sentences(degraded: &[Cause]) -> Vec<String> {
    degraded.iter().map(ToString::to_string).collect()
}

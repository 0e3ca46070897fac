//! What is kept and for how long.

use evenkeel_core::journal::{PerStream, Positions};

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// The clock, Unix ms.
    pub now_ms: u64,
    /// Entries after these are kept whatever their age: the client's snapshot has not applied them.
    pub applied: Positions,
}

/// What has been removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries removed.
    pub removed: PerStream<u64>,
    /// Whether there is more to remove: trim again, after the commits that wait.
    pub more: bool,
}

//! Where entries are handed out to other processes.

use evenkeel_core::journal::{PerStream, Positions, Stream};

/// What has arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// Last id of each stream in Redis.
    pub last: Positions,
    /// Last sequence number of each stream in Redis.
    pub last_seq: PerStream<u64>,
    /// Whether more waits.
    pub more: bool,
}

/// Entries that Redis had, or should have, and that can no longer be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of which stream.
    pub stream: Stream,
    /// First sequence number.
    pub first: u64,
    /// Last sequence number.
    pub last: u64,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entries {} to {} are lost from Redis", self.stream, self.first, self.last)
    }
}

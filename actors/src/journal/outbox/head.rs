//! The state rows: what the journal is, and where it stands.

use evenkeel_core::journal::{EntryId, Numbering, PerStream, ServerState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a data directory belongs to: another one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Short, for people: `scenario seed, seed 1`.
    pub label: String,
    /// Everything that must be the same, as text; compared byte by byte.
    pub text: String,
}

/// What the journal is. Changes only when it is opened for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Names the journal for ever.
    pub journal: Uuid,
    /// Counts its writers from 1: a lower one has been replaced.
    pub writer_epoch: u64,
    /// What it belongs to.
    pub identity: Identity,
    /// When it was created, Unix ms.
    pub created_at_ms: u64,
}

/// Where the journal stands: written with every commit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct HeadRow {
    pub revision: u64,
    pub at_ms: u64,
    pub numbering: Numbering,
    /// Bytes of all bodies ever recorded.
    pub bytes: PerStream<u64>,
    /// The first execution of the last tick, so that what ran in it is found again.
    pub batch_first_seq: u64,
    pub queue: QueueSum,
    pub state: ServerState,
}

/// What the queue's rows add up to: a row that is lost or comes back shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueueSum {
    pub rows: u64,
    /// Sum of the rows' CRCs, modulo 2⁶⁴.
    pub crcs: u64,
}

impl QueueSum {
    pub(super) fn add(&mut self, crc: u32) {
        self.rows += 1;
        self.crcs = self.crcs.wrapping_add(crc.into());
    }

    /// A row that leaves. The sum is only compared, so a wrong one shows there.
    pub(super) fn subtract(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_sub(1);
        self.crcs = self.crcs.wrapping_sub(crc.into());
    }
}

/// How much of each stream is left, and what has been shipped. Changes with retention and shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRow {
    pub first_seq: PerStream<u64>,
    pub shipped: PerStream<Mark>,
}

impl Default for KeptRow {
    fn default() -> Self {
        Self { first_seq: PerStream { executions: 1, queue: 1, windows: 1 }, shipped: PerStream::default() }
    }
}

/// A position in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub id: EntryId,
    pub seq: u64,
    /// Bytes of all bodies up to and with it.
    pub bytes: u64,
}

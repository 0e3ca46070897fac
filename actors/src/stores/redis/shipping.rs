//! What is shipped where, how far it is, and why it is not.

use std::time::Duration;

use evenkeel_core::{
    journal::{EntryId, Stream},
    units::{lengths::Lengths, tick::Tick},
};
use uuid::Uuid;

use super::{keys::Keys, link::RedisFault, target::Target};
use crate::ports::{
    history::ReadError,
    sink::{Remedy, SinkFault},
};

/// Whose journal goes where.
#[derive(Clone, Debug)]
pub struct ShipmentSettings {
    /// Which Redis.
    pub target: Target,
    /// Under which keys.
    pub keys: Keys,
    /// The journal's id.
    pub journal: Uuid,
    /// Which of its writers this is.
    pub writer_epoch: u64,
    /// This start of it: a server on a copy of the data directory has the same epoch, and is another one.
    pub writer: Uuid,
    /// What it belongs to, for people.
    pub label: String,
    /// The daemon's pace, and what else is counted by it.
    pub lengths: Lengths,
    /// Entries older than this are trimmed from Redis; age is counted in ticks, whatever a clock said.
    pub age_max: Duration,
    /// Entries of a stream beyond this are trimmed from Redis.
    pub entries_max: u64,
}

/// Why nothing is shipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShippingFault {
    /// Redis does not take it now.
    #[error(transparent)]
    Redis(#[from] RedisFault),
    /// The outbox cannot be read.
    #[error(transparent)]
    Outbox(#[from] ReadError),
    /// The streams belong to another journal.
    #[error(
        "the streams {keys} in Redis belong to journal {theirs} ({label}), this server writes journal {ours}: choose another \
         --name, go back to the data directory of {theirs}, or continue those streams with `evenkeel journal adopt`"
    )]
    OtherJournal {
        /// Which streams.
        keys: String,
        /// This server's.
        ours: Uuid,
        /// Whose they are.
        theirs: String,
        /// What that one belongs to.
        label: String,
    },
    /// Redis knows more of this journal than the outbox: that one is an older copy.
    #[error(
        "the data directory is an older copy of this journal: it ends before tick {next_tick}, and {keys} in Redis already has \
         {theirs} of journal {journal}; what ran since would run again. Go back to the newest data directory, or let this one \
         go on behind a gap: `evenkeel journal adopt --redis URL --data-dir DIR`"
    )]
    Older {
        /// Which streams.
        keys: String,
        /// Whose.
        journal: Uuid,
        /// What they have that the outbox has not.
        theirs: String,
        /// The first tick that the outbox does not tell of.
        next_tick: Tick,
    },
    /// A later writer of the same journal is at work.
    #[error(
        "another server writes this journal, under epoch {theirs} (this one has {ours}): it runs on a copy of this data directory"
    )]
    Replaced {
        /// This writer's epoch.
        ours: u64,
        /// The other's.
        theirs: u64,
    },
    /// Somebody else wrote into a stream.
    #[error(
        "{key} holds an entry that this server did not write, {id} ({what}): nothing more is written until it is clear whose streams these are"
    )]
    Foreign {
        /// Which stream.
        key: String,
        /// Its last id.
        id: EntryId,
        /// How it is known.
        what: &'static str,
    },
    /// What an earlier evenkeel wrote is not changed on the way.
    #[error(
        "the streams {keys} in Redis are of format {theirs}, from which there is no step to format {ours} of this evenkeel: \
         upgrade over the versions between them, one after the other"
    )]
    OlderFormat {
        /// Which streams.
        keys: String,
        /// What `meta` says.
        theirs: String,
        /// What this server writes.
        ours: u64,
    },
    /// What is written would be thrown away as dead letters by whoever reads it.
    #[error(
        "the client that reads {keys} ({holder}) knows format {theirs} and would set aside what this server writes, format \
         {ours}: upgrade all clients first; entries wait in the outbox until then"
    )]
    OldReader {
        /// Which streams.
        keys: String,
        /// Who reads them.
        holder: String,
        /// The latest format that it reads.
        theirs: u64,
        /// What this server writes.
        ours: u64,
    },
    /// Redis may drop entries that nobody has read.
    #[error("Redis has maxmemory-policy {0}, which drops whole streams: set it to noeviction")]
    Evicting(String),
}

impl From<ShippingFault> for SinkFault {
    fn from(fault: ShippingFault) -> Self {
        let remedy = match &fault {
            ShippingFault::Replaced { .. } | ShippingFault::Older { .. } => Remedy::None,
            fault if fault.needs_somebody() => Remedy::Decision,
            _ => Remedy::Time,
        };
        Self { cause: fault.to_string(), remedy }
    }
}

impl ShippingFault {
    /// Whether time alone cannot mend it: somebody has to decide.
    pub fn needs_somebody(&self) -> bool {
        !matches!(
            self,
            Self::Redis(
                RedisFault::Away(_)
                    | RedisFault::NotMaster(_)
                    | RedisFault::Gone(_)
                    | RedisFault::Unexpected(_)
            ) | Self::Outbox(_)
        )
    }
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

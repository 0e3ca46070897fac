//! What a client asks of the queue, and what it is told. These are the bodies of `POST /api/v1/control`.

use serde::{Deserialize, Serialize};

use crate::{
    journal::Mode,
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick},
};

/// Most ticks that a lease may be asked for.
pub const LEASE_TICKS_MAX: u64 = 50;
/// Ticks of a lease when the request does not say: one second at the default pace.
pub const LEASE_TICKS_DEFAULT: u64 = 10;
/// What a lease should last, as far as its range allows.
const LEASE_MS: u64 = 1_000;

/// Ticks of a lease that evenkeel's own client asks for: a second, ten ticks at the least.
pub fn lease_ticks(lengths: Lengths) -> u64 {
    lengths.ticks_in_ms(LEASE_MS).clamp(LEASE_TICKS_DEFAULT, LEASE_TICKS_MAX)
}

/// Most slots in one request: 10,000 of about 300 bytes stay below the body limit of 4 MiB.
pub const SET_MAX: usize = 10_000;
/// Longest reason, in bytes: a sentence.
pub const REASON_BYTES_MAX: usize = 400;
/// How far a request's epoch may lie above the last known one. Each takeover counts it up by one, so a client that
/// took over every second while the server was away needs eleven days for as many.
pub const EPOCH_JUMP_MAX: u64 = 1_000_000;
/// No epoch reaches this, 2^52: above 2^53 neither JSON's nor Lua's numbers count on by one. At a jump a request it
/// takes 4.5 billion requests to get there.
pub const EPOCH_MAX: u64 = 1 << 52;

/// The highest epoch that is taken after `known`.
pub fn highest_epoch(known: u64) -> u64 {
    known.saturating_add(EPOCH_JUMP_MAX).min(EPOCH_MAX - 1)
}

/// Longest name of a client, in bytes: a machine's (64), a process, a uuid, and as much again. It is written with each tick.
pub const CLIENT_BYTES_MAX: usize = 200;

/// A wish: run `execution` at `due_tick`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSlot {
    /// Which one.
    pub execution: ExecutionId,
    /// The slot; one that has passed means the next tick.
    pub due_tick: Tick,
    /// One sentence for the journal.
    #[serde(default)]
    pub reason: String,
}

/// Renews the client's lease and places slots. Sent twice it changes nothing the second time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlRequest {
    /// A stable name of the client.
    pub client: String,
    /// Its fencing token.
    pub epoch: u64,
    /// How long the lease shall live from the last tick: 1..=[`LEASE_TICKS_MAX`].
    #[serde(default = "lease_ticks_default")]
    pub lease_ticks: u64,
    /// Slots, at most [`SET_MAX`].
    #[serde(default)]
    pub set: Vec<SetSlot>,
    /// Whether this is the last request of a leader that ends: its slots stay valid without a lease until they have run,
    /// and the lease is free.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handover: bool,
}

fn lease_ticks_default() -> u64 {
    LEASE_TICKS_DEFAULT
}

/// What became of one [`SetSlot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SetOutcome {
    /// It stands in the queue.
    Set,
    /// It has run.
    Executed,
    /// The queue does not know it, or no longer.
    Unknown,
}

/// The answer for one execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetResult {
    /// Which one.
    pub execution: ExecutionId,
    /// What became of the wish.
    pub result: SetOutcome,
    /// When it runs, or ran; none when unknown.
    pub due_tick: Option<Tick>,
}

/// The answer to a [`ControlRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlResponse {
    /// The last tick that has begun.
    pub tick: Tick,
    /// Its length at the server's pace.
    pub tick_ms: u64,
    /// Whether slots decide.
    pub mode: Mode,
    /// The last tick that the lease covers.
    pub lease_until: Tick,
    /// In the order of the request.
    pub results: Vec<SetResult>,
}

/// Why a request of a client was refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Somebody else levels.
    #[error("epoch {got} of `{client}` is behind epoch {current} of `{holder}`, who levels this database")]
    Fenced {
        /// Who asked.
        client: String,
        /// With which epoch.
        got: u64,
        /// Who holds the lease.
        holder: String,
        /// With which epoch.
        current: u64,
    },
    /// Nobody could level under the epochs that are left after this one.
    #[error(
        "epoch {got} is too far above {known}, the last one that this server knows: expected at most {}",
        highest_epoch(*known)
    )]
    EpochJump {
        /// The epoch of the request.
        got: u64,
        /// The last lease's, 0 before the first.
        known: u64,
    },
    /// The client's name is none.
    #[error("`client` has {0} bytes: expected a name of 1..={CLIENT_BYTES_MAX}")]
    ClientLength(usize),
    /// The client's name would do something where it is shown.
    #[error("`client` holds a character that is not printed: expected a name of those that are")]
    ClientNotPlain,
    /// A reason would do something where it is shown.
    #[error(
        "the reason for {0} holds a character that is not printed: expected a sentence of those that are"
    )]
    ReasonNotPlain(ExecutionId),
    /// `lease_ticks` is out of range.
    #[error("`lease_ticks` is {0}: expected 1..={LEASE_TICKS_MAX}")]
    LeaseTicks(u64),
    /// Too many slots at once.
    #[error("`set` has {0} slots: at most {SET_MAX} fit into one request")]
    TooManySlots(usize),
    /// A reason is more than a sentence.
    #[error("the reason for {execution} has {bytes} bytes: at most {REASON_BYTES_MAX}")]
    ReasonTooLong {
        /// For which execution.
        execution: ExecutionId,
        /// Its length.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lasts_a_second_as_far_as_its_ticks_may() {
        let of = |tick_ms| lease_ticks(Lengths::at_pace(tick_ms));
        assert_eq!([5, 20, 40, 100, 1_000].map(of), [50, 50, 25, 10, 10]);
    }

    #[test]
    fn a_request_that_says_nothing_of_its_lease_asks_for_a_second() {
        let request: ControlRequest = serde_json::from_str(r#"{"client": "c", "epoch": 2}"#).unwrap();
        assert_eq!((request.lease_ticks, request.set), (LEASE_TICKS_DEFAULT, vec![]));
    }

    #[test]
    fn epochs_go_up_by_a_million_at_most_and_never_out_of_range() {
        assert_eq!([0, 7].map(highest_epoch), [1_000_000, 1_000_007]);
        assert_eq!(highest_epoch(EPOCH_MAX - 2), EPOCH_MAX - 1);
        assert_eq!(highest_epoch(u64::MAX), (1 << 52) - 1);
    }
}

//! What a client asks of the queue, and what it is told. These are the bodies of `POST /api/v1/control`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::units::{ids::ExecutionId, tick::Tick};

/// Most ticks that a lease may be asked for.
pub const LEASE_TICKS_MAX: u64 = 50;
/// Ticks of a lease when the request does not say: one second at the default pace.
pub const LEASE_TICKS_DEFAULT: u64 = 10;
/// Most slots in one request: 10,000 of about 300 bytes stay below the body limit of 4 MiB.
pub const SET_MAX: usize = 10_000;
/// Longest reason, in bytes: a sentence.
pub const REASON_BYTES_MAX: usize = 400;
/// Of a client's name people are shown so much: a machine's name, a process and a uuid have about 100.
const HOLDER_CHARS_MAX: usize = 120;
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

/// Who decides when executions run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every execution runs at its base due tick.
    Off,
    /// As `off`, and the journal says what would have been chosen.
    Shadow,
    /// Slots decide.
    #[default]
    Enforce,
}

impl Mode {
    /// As it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Off, Self::Shadow, Self::Enforce]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| format!("unknown mode `{text}`: one of off, shadow, enforce"))
    }
}

/// The right of one client to place slots, until a tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its holder.
    pub client: String,
    /// Grows with every holder: a lower one has been replaced.
    pub epoch: u64,
    /// The last tick that it covers.
    pub until: Tick,
    /// Ticks that it was asked for, so that a restarted server can renew it once.
    pub ticks: u64,
}

impl Lease {
    /// Who holds it, for people: whoever asks chooses the name.
    pub fn holder(&self) -> String {
        let name: String = self.client.chars().take(HOLDER_CHARS_MAX).collect();
        format!("`{}`", name.escape_debug())
    }

    /// Whether slots are still placed under it once `tick` has begun.
    pub fn lives_after(&self, tick: Tick) -> bool {
        self.until > tick
    }
}

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
    fn a_mode_is_read_as_it_is_written() {
        for (mode, name) in [(Mode::Off, "off"), (Mode::Shadow, "shadow"), (Mode::Enforce, "enforce")] {
            assert_eq!((mode.name(), mode.to_string().as_str(), name.parse()), (name, name, Ok(mode)));
        }
        let unknown = "on".parse::<Mode>().unwrap_err();
        assert_eq!(unknown, "unknown mode `on`: one of off, shadow, enforce");
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

    #[test]
    fn a_lease_lives_until_its_last_tick_has_begun_and_names_its_holder_on_one_line() {
        let lease = Lease { client: "a\u{1b}b".to_owned(), epoch: 1, until: Tick(5), ticks: 1 };
        assert_eq!([4, 5, 6].map(|tick| lease.lives_after(Tick(tick))), [true, false, false]);
        assert_eq!(lease.holder(), "`a\\u{1b}b`");
        let long = Lease { client: "c".repeat(500), ..lease };
        assert_eq!(long.holder(), format!("`{}`", "c".repeat(120)));
    }
}

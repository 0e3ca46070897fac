//! Who decides when executions run: the mode, and the client that levels. Both outlive the process.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::units::tick::Tick;

/// Of a client's name people are shown so much: a machine's name, a process and a uuid have about 100.
const HOLDER_CHARS_MAX: usize = 120;
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
    fn a_lease_lives_until_its_last_tick_has_begun_and_names_its_holder_on_one_line() {
        let lease = Lease { client: "a\u{1b}b".to_owned(), epoch: 1, until: Tick(5), ticks: 1 };
        assert_eq!([4, 5, 6].map(|tick| lease.lives_after(Tick(tick))), [true, false, false]);
        assert_eq!(lease.holder(), "`a\\u{1b}b`");
        let long = Lease { client: "c".repeat(500), ..lease };
        assert_eq!(long.holder(), format!("`{}`", "c".repeat(120)));
    }
}

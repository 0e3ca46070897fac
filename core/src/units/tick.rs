//! The daemon's step, counted from 0.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step of the daemon (100 ms at the default pace). Never a wall clock: downtime has no ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick after this one.
    pub fn next(self) -> Self {
        self.after(1)
    }

    /// The tick before this one; the first one stays itself.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The tick that many ticks later; saturates at the end of time.
    pub fn after(self, ticks: u64) -> Self {
        Self(self.0.saturating_add(ticks))
    }

    /// The tick that lies `ms` milliseconds of ticks before this one; the first one at the earliest.
    pub fn before_ms(self, ms: u64, tick_ms: u64) -> Self {
        Self(self.0.saturating_sub(ms / tick_ms.max(1)))
    }

    /// Ticks from `earlier` to this one; 0 when `earlier` is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

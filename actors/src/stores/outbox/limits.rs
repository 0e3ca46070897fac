//! How much the outbox keeps.

use std::time::Duration;

use evenkeel_core::units::tick::Tick;

use crate::ports::ledger::Pressure;

/// How much the outbox keeps, and when it refuses more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entries older than this are trimmed. Age is counted in ticks, never by a clock, which may be wrong: what was
    /// recorded under a clock that ran ahead is no older than its ticks, and while no server runs nothing grows old.
    pub age_max: Duration,
    /// The daemon's pace.
    pub tick_ms: u64,
    /// Entries of one stream beyond this are trimmed.
    pub entries_max: u64,
    /// Shipped entries beyond this many bytes, over all streams, are trimmed.
    pub shipped_bytes_max: u64,
    /// Whether entries are shipped to Redis: what is unshipped is never trimmed, and is limited.
    pub ships: bool,
    /// Bytes of unshipped entries at which arrivals are to be refused.
    pub unshipped_bytes_max: u64,
    /// Bytes above `unshipped_bytes_max` that are kept for running and recording what is queued.
    pub reserve_bytes: u64,
}

impl Limits {
    /// What a server keeps that ships: what Redis may still lose, and what it has not got yet.
    pub fn shipping() -> Self {
        Self { age_max: Duration::from_mins(10), shipped_bytes_max: 1 << 30, ships: true, ..Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            age_max: Duration::from_hours(24),
            tick_ms: 100,
            entries_max: 5_000_000,
            shipped_bytes_max: u64::MAX,
            ships: false,
            // At 50 executions a tick (x50) about 400 kB/s are recorded: six hours without Redis.
            unshipped_bytes_max: 8 << 30,
            // An executed entry has at most about 900 bytes (a reason has up to 400): a queue of a million.
            reserve_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// The first tick whose entries are young enough, when `next_tick` comes next.
    pub(super) fn oldest_tick(&self, next_tick: Tick) -> Tick {
        next_tick.before_ms(self.age_max.as_millis() as u64, self.tick_ms)
    }

    pub(super) fn pressure(&self, unshipped_bytes: u64) -> Pressure {
        if !self.ships || unshipped_bytes < self.unshipped_bytes_max {
            Pressure::None
        } else if unshipped_bytes < self.unshipped_bytes_max.saturating_add(self.reserve_bytes) {
            Pressure::RefuseArrivals
        } else {
            Pressure::Full
        }
    }
}

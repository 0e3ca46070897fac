//! The wall clock, for timestamps that people read. Ticks and leases never depend on it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Unix milliseconds.
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Tells when entries are made: the wall clock, or a past moment while ticks run ahead of their time.
///
/// Copies tell the same.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Unix ms; zero while the wall clock counts.
    set_to: Arc<AtomicU64>,
}

impl Clock {
    /// Unix milliseconds.
    pub fn unix_ms(&self) -> u64 {
        match self.set_to.load(Ordering::Relaxed) {
            0 => unix_ms(),
            set_to => set_to,
        }
    }

    /// Stands still at `ms`.
    pub fn set(&self, ms: u64) {
        self.set_to.store(ms, Ordering::Relaxed);
    }

    /// Whether it tells a past moment.
    pub fn is_set(&self) -> bool {
        self.set_to.load(Ordering::Relaxed) != 0
    }

    /// Goes with the wall clock.
    pub fn run(&self) {
        self.set(0);
    }
}

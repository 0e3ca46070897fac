//! How the server takes what this process' client decides, for those who ask.

use evenkeel_core::leveller::Standing;
use tokio::time::Instant;

/// [`Standing`] with the clock that it is reckoned by.
#[derive(Clone, Debug)]
pub struct Acceptance {
    origin: Instant,
    standing: Standing,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self { origin: Instant::now(), standing: Standing::default() }
    }
}

impl Acceptance {
    fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }

    /// Notes something that happened now.
    pub(crate) fn note(&mut self, what: impl FnOnce(&mut Standing, u64)) {
        let now_ms = self.now_ms();
        what(&mut self.standing, now_ms);
    }

    /// See [`Standing::gives_up`].
    pub fn gives_up(&self) -> Option<String> {
        self.standing.gives_up(self.now_ms())
    }

    /// See [`Standing::trouble`].
    pub fn trouble(&self) -> Option<String> {
        self.standing.trouble(self.now_ms())
    }
}

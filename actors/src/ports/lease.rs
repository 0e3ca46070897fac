//! The right to level: who has it, and the epoch that tells its holders apart.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use evenkeel_core::journal::NewerFormat;

/// Decides which of a database's clients levels. Its calls block. As its methods are here, nobody else can level.
pub trait LeaseStore: Send {
    /// Takes the right to level, or finds that this client has it.
    ///
    /// # Errors
    /// [`LeaseError`].
    fn acquire(&mut self) -> Result<(), LeaseError> {
        Ok(())
    }

    /// Gives the right to level back, so that nobody has to wait for it to end.
    fn release(&mut self) {}

    /// Whether others level when this client does not.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Why this client does not level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else levels.
    #[error("standing by: {holder} levels this database")]
    Held {
        /// Who.
        holder: String,
    },
    /// A later program wrote what is there.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// Who levels cannot be found out now.
    #[error("{0}")]
    Unavailable(String),
}

/// The fencing token of this client, shared by whoever names it: 0 before the first lease.
#[derive(Clone, Debug, Default)]
pub struct LeaseEpoch(Arc<Epochs>);

#[derive(Debug, Default)]
struct Epochs {
    held: AtomicU64,
    /// The highest one that somebody else is known to have had.
    other: AtomicU64,
    /// No lease elsewhere says who levels: whoever else asks for slots is a stranger.
    sole: bool,
}

impl LeaseEpoch {
    /// Of a client that nobody replaces: it begins with `epoch`, and goes above a stranger's at once.
    pub fn sole(epoch: u64) -> Self {
        Self(Arc::new(Epochs { held: epoch.into(), other: AtomicU64::default(), sole: true }))
    }

    /// The epoch of the lease that was held last.
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// The server knows somebody else under this or a later one: it has been forgotten, or somebody else has taken over.
    pub fn outdated(&self, by: u64) {
        self.0.other.fetch_max(by, Ordering::Relaxed);
        if self.0.sole {
            self.hold(self.floor() + 1);
        }
    }

    /// Whether somebody else has had this one or a later one: a store that lost its last seconds gives one twice.
    pub(crate) fn is_outdated(&self) -> bool {
        self.0.other.load(Ordering::Relaxed) >= self.held()
    }

    pub(crate) fn floor(&self) -> u64 {
        self.held().max(self.0.other.load(Ordering::Relaxed))
    }

    pub(crate) fn hold(&self, epoch: u64) {
        self.0.held.store(epoch, Ordering::Relaxed);
    }
}

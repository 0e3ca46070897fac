//! Known faults, one of which can be chosen to see that the checks notice it. They are built with the cargo feature
//! `mutants` alone: without it there is neither this room nor any of the places that ask it.

use std::sync::atomic::{AtomicU8, Ordering};

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// What is done wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// Executions are recorded after they ran, not before.
    NoIntent = 1,
    /// Redis chooses the entries' ids.
    ChosenIds,
    /// A commit is answered before it is on disk.
    NoFsync,
    /// Entries are acknowledged when they are read, not when they are applied.
    AcknowledgeFirst,
    /// The state and its positions are saved one after the other.
    SplitSnapshot,
    /// A client that starts takes what is new, not what was given to it before.
    PendingNotRead,
    /// A batch goes to Redis without a transaction.
    PlainPipeline,
    /// Redis' copy is trimmed to a length, whoever still needs what goes.
    MaxlenTrim,
    /// After a reconnect shipping goes on where it was, whatever Redis has.
    StaleCursor,
    /// What is released is sent before that is durable.
    SentBeforeDurable,
    /// What was released and has no outcome is sent again after a start.
    SentAgain,
    /// An execution that has ended may end again.
    SecondOutcome,
    /// An outcome that comes after its window has closed is not recorded.
    LateOutcomeLost,
    /// A session forwards a statement before its record is durable.
    ForwardedBeforeDurable,
    /// A session forwards once more what was held and has been released.
    ForwardedAgain,
    /// A session does not wait for the records of a transaction before it forwards its COMMIT.
    CommitNotAwaited,
    /// A client is told that its statement has succeeded when that is forwarded.
    SuccessForetold,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::NoIntent,
        Self::ChosenIds,
        Self::NoFsync,
        Self::AcknowledgeFirst,
        Self::SplitSnapshot,
        Self::PendingNotRead,
        Self::PlainPipeline,
        Self::MaxlenTrim,
        Self::StaleCursor,
        Self::SentBeforeDurable,
        Self::SentAgain,
        Self::SecondOutcome,
        Self::LateOutcomeLost,
        Self::ForwardedBeforeDurable,
        Self::ForwardedAgain,
        Self::CommitNotAwaited,
        Self::SuccessForetold,
    ];

    /// Whether it is one of the sessions of a real PostgreSQL.
    pub fn is_of_a_session(self) -> bool {
        self as u8 >= Self::ForwardedBeforeDurable as u8
    }
}

impl std::str::FromStr for Mutant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = |mutant: &Self| format!("{mutant:?}") == name;
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| format!("EVENKEEL_MUTANT is `{name}`: expected one of {:?}", Self::ALL))
    }
}

/// Chooses a fault for this process, or none.
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.store(mutant.map_or(0, |mutant| mutant as u8), Ordering::Relaxed);
}

/// Whether this fault has been chosen.
pub fn is(mutant: Mutant) -> bool {
    CHOSEN.load(Ordering::Relaxed) == mutant as u8
}

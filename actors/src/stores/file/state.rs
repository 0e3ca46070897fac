//! The embedded client's state in the data directory: two generations of a file, and nobody else levels.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use evenkeel_core::{journal::Stream, leveller::ClientState};
use tokio::sync::watch;

use super::snapshot::{SnapshotError, SnapshotStore};
use crate::ports::{
    lease::LeaseStore,
    ledger::Published,
    state_store::{DeadLetter, StateError, StateStore},
};

/// Entries that could not be applied, in a data directory: one JSON object a line.
pub const DEAD_LETTERS_FILE: &str = "dead-letters.jsonl";

/// The state as bytes.
///
/// # Errors
/// It cannot be written, which no state of ours does.
pub(in crate::stores) fn encode(state: &ClientState) -> Result<Vec<u8>, StateError> {
    postcard::to_stdvec(state).map_err(|error| StateError::Unavailable(error.to_string()))
}

/// The state that whole `bytes` stand for. What they do not say is folded anew from the journal.
pub(crate) fn decode(bytes: &[u8]) -> ClientState {
    postcard::from_bytes(bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "the snapshot is whole and no client's state: the journal is folded anew");
        ClientState::default()
    })
}

/// The embedded client's: a file beside the outbox.
#[derive(Debug)]
pub struct FileStateStore {
    snapshots: SnapshotStore,
    dead_letters: PathBuf,
    outbox: Option<watch::Receiver<Published>>,
}

impl FileStateStore {
    /// A store in the data directory `dir`.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(dir: &Path) -> Result<Self, SnapshotError> {
        let dead_letters = dir.join(DEAD_LETTERS_FILE);
        Ok(Self { snapshots: SnapshotStore::open(dir)?, dead_letters, outbox: None })
    }

    /// The same beside an outbox that says what it has: a state that knows of more is of a later journal than the one that
    /// lies there, which has been put back from an older copy. It is left aside.
    #[must_use]
    pub fn beside(self, outbox: watch::Receiver<Published>) -> Self {
        Self { outbox: Some(outbox), ..self }
    }

    fn knows_too_much(&self, state: &ClientState) -> bool {
        let last = self.outbox.as_ref().map(|outbox| outbox.borrow().last);
        last.is_some_and(|last| Stream::ALL.iter().any(|&stream| state.positions.get(stream) > last[stream]))
    }
}

impl StateStore for FileStateStore {
    fn load(&mut self) -> Result<ClientState, StateError> {
        let loaded = self.snapshots.load().map_err(|error| match error {
            SnapshotError::Newer(newer) => StateError::Newer(newer),
            error => StateError::Unavailable(error.to_string()),
        })?;
        for warning in &loaded.warnings {
            tracing::warn!(%warning, "a snapshot cannot be used");
        }
        let state = loaded.snapshot.map_or_else(ClientState::default, |(_generation, bytes)| decode(&bytes));
        if self.knows_too_much(&state) {
            tracing::warn!(
                positions = ?state.positions,
                "the client's snapshot is of a later journal than the one beside it: that one is folded anew"
            );
            return Ok(ClientState::default());
        }
        Ok(state)
    }

    fn store(&mut self, state: &ClientState) -> Result<(), StateError> {
        let bytes = encode(state)?;
        self.snapshots.store(&bytes).map_err(|error| StateError::Unavailable(error.to_string()))
    }

    fn bury(&mut self, dead: &DeadLetter) -> Result<(), StateError> {
        let line = serde_json::to_string(dead).map_err(|error| StateError::Unavailable(error.to_string()))?;
        let known = std::fs::read_to_string(&self.dead_letters).unwrap_or_default();
        if known.lines().any(|known| known == line) {
            return Ok(());
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.dead_letters);
        let written = file.and_then(|mut file| {
            writeln!(file, "{line}")?;
            file.sync_all()
        });
        let path = self.dead_letters.display();
        written.map_err(|error| StateError::Unavailable(format!("{path} cannot be written: {error}")))
    }
}

/// The lock of the data directory has decided who levels.
impl LeaseStore for FileStateStore {}

/// What was set aside in the data directory `dir`; a line that a kill cut short is none.
pub fn dead_letters(dir: &Path) -> Vec<DeadLetter> {
    let lines = std::fs::read_to_string(dir.join(DEAD_LETTERS_FILE)).unwrap_or_default();
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use evenkeel_core::journal::EntryId;

    use super::*;

    #[test]
    fn a_state_that_knows_more_than_the_outbox_beside_it_is_left_aside() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = ClientState::default();
        state.positions.advance(Stream::Queue, EntryId { ms: 7, n: 1 });
        FileStateStore::open(dir.path()).unwrap().store(&state).unwrap();
        let beside = |last: EntryId| {
            let mut published = Published::default();
            published.last.queue = last;
            let (_writer, outbox) = watch::channel(published);
            FileStateStore::open(dir.path()).unwrap().beside(outbox).load().unwrap()
        };
        assert_eq!(beside(EntryId { ms: 7, n: 1 }), state);
        assert_eq!(beside(EntryId { ms: 9, n: 0 }), state);
        assert_eq!(beside(EntryId { ms: 7, n: 0 }), ClientState::default());
    }
}

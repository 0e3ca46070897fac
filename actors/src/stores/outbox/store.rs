//! The store: opened once, then one commit after the other.

use std::path::{Path, PathBuf};

use evenkeel_core::journal::{Commit, Recovered, Stream};
use rusqlite::{Connection, TransactionBehavior};
use uuid::Uuid;

use super::{
    checkpoint::Checkpointer,
    error::{OpenError, StoreError},
    fence::{self, Files},
    head::{self, HeadRow, Identity, KeptRow, Meta},
    limits::Limits,
    lock::Lock,
    open::{self, Opening, Purpose},
    queue_rows, released_rows, stream_rows, texts,
    witness::Witness,
};
use crate::{
    ports::{
        history::ReadError,
        ledger::{CommitError, Committed, LogState, Pressure},
        over::Over,
    },
    supervise::fault,
};

/// The outbox, open for writing. Blocking: it belongs on [`super::OutboxWriter`]'s thread.
#[derive(Debug)]
pub struct Outbox {
    // Dropped in this order: no checkpoint, then no connection, and the lock goes last.
    pub(super) checkpointer: Checkpointer,
    pub(super) connection: Connection,
    pub(super) file: PathBuf,
    pub(super) witness: Witness,
    pub(super) meta: Meta,
    pub(super) head: HeadRow,
    pub(super) kept: KeptRow,
    pub(super) limits: Limits,
    pub(super) clock_behind_ms: u64,
    pub(super) clock_ahead_ms: u64,
    pub(super) clock_was_wrong: bool,
    /// Recoveries since it was opened: see [`Recovered::recovery`].
    pub(super) recovery: u64,
    pub(super) dir: PathBuf,
    pub(super) files: Files,
    /// Why nothing more may be written; once it is so it stays so.
    pub(super) over: Option<Over>,
    pub(super) lock: Lock,
}

impl Outbox {
    /// Opens the journal in `dir`, or creates one that is named `journal`.
    ///
    /// # Errors
    /// [`OpenError`]; the journal is not changed then.
    pub fn open(
        dir: &Path,
        identity: &Identity,
        journal: Uuid,
        now_ms: u64,
        limits: Limits,
    ) -> Result<(Self, Recovered), OpenError> {
        open::open(&Opening {
            dir,
            identity,
            journal,
            now_ms,
            limits,
            name: None,
            purpose: Purpose::Serve,
            clock_was_wrong: false,
        })
    }

    /// As [`Outbox::open`], for a database of that name.
    ///
    /// # Errors
    /// [`OpenError`]; the journal is not changed then.
    pub fn open_as(opening: &Opening<'_>) -> Result<(Self, Recovered), OpenError> {
        open::open(opening)
    }

    /// Makes `commits` durable with one transaction and one fsync, each one whole or not at all. The
    /// answers are in the order of the commits; one that is refused does not hinder those before it.
    pub fn commit(&mut self, commits: Vec<Commit>) -> Vec<Result<Committed, CommitError>> {
        let count = commits.len();
        let written = match self.unless_over() {
            Ok(()) => self.write(commits).map_err(|error| self.failed(error)),
            Err(over) => Err(over.into()),
        };
        match written {
            Ok(answers) => answers,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    /// What a start would find: read from the database, not from memory.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Over`] where that is what another writer has made of it.
    pub fn recover(&self) -> Result<Recovered, ReadError> {
        self.unless_over()?;
        let moment = self.connection.unchecked_transaction().map_err(StoreError::from);
        let found = moment.and_then(|moment| {
            fence::check(&moment, &self.meta)?;
            open::read_recovered(&moment)
        });
        let recovered = found.map_err(|error| error.read(&self.file))?.recovered;
        Ok(Recovered { recovery: self.recovery, ..recovered })
    }

    /// The same for somebody who goes on from there: what was decided before is refused from now on, however late it comes.
    ///
    /// # Errors
    /// [`ReadError`], as [`Outbox::recover`].
    pub fn begin_anew(&mut self) -> Result<Recovered, ReadError> {
        self.recovery += 1;
        self.recover()
    }

    pub(super) fn unless_over(&self) -> Result<(), Over> {
        self.over.clone().map_or(Ok(()), Err)
    }

    /// What a write failed with; one that was refused by the fence was the last one.
    pub(super) fn failed(&mut self, error: StoreError) -> CommitError {
        let error = error.commit(&self.file);
        if let CommitError::Over(over) = &error {
            self.end_by(over.clone());
        }
        error
    }

    /// What the journal is.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// How many ms the clock was behind the last entry when the outbox was opened; ids go on from there.
    pub fn clock_behind_ms(&self) -> u64 {
        self.clock_behind_ms
    }

    /// How many ms the clock was ahead of the last entry when the outbox was opened: nothing ran for so long, or the clock
    /// is wrong; 0 in a new journal.
    pub fn clock_ahead_ms(&self) -> u64 {
        self.clock_ahead_ms
    }

    /// Whether there is room.
    pub fn pressure(&self) -> Pressure {
        self.limits.pressure(unshipped_bytes(&self.head, &self.kept))
    }

    /// The write-ahead log, as the last checkpoint found it.
    pub fn log(&self) -> LogState {
        self.checkpointer.log()
    }

    fn write(&mut self, commits: Vec<Commit>) -> Result<Vec<Result<Committed, CommitError>>, StoreError> {
        let mut head = self.head.clone();
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fence::check(&transaction, &self.meta)?;
        let mut answers = Vec::with_capacity(commits.len());
        let mut durable = 0;
        // One that is refused alone is rolled back with the transaction.
        let alone = commits.len() == 1;
        for commit in commits {
            let answer = match self.limits.pressure(unshipped_bytes(&head, &self.kept)) {
                _ if commit.recovery != self.recovery => {
                    Err(CommitError::Superseded { revision: commit.revision })
                }
                Pressure::Full => {
                    let shipped_first = "the reserve for what has not been shipped to Redis is used up";
                    Err(CommitError::Full(shipped_first.to_owned()))
                }
                Pressure::None | Pressure::RefuseArrivals if alone => apply(&transaction, &head, commit)?,
                Pressure::None | Pressure::RefuseArrivals => {
                    let savepoint = transaction.savepoint()?;
                    let answer = apply(&savepoint, &head, commit)?;
                    if answer.is_ok() {
                        savepoint.commit()?;
                    }
                    answer
                }
            };
            answers.push(answer.map(|(next, committed)| {
                head = next;
                durable += 1;
                committed
            }));
        }
        if durable == 0 {
            return Ok(answers);
        }
        head::write(&transaction, &head)?;
        fault::point!("after-outbox-write");
        transaction.commit()?;
        fault::point!("after-outbox-fsync");
        self.head = head;
        self.checkpointer.committed(durable);
        if let Err(error) = self.witness.write(self.head.revision) {
            // The commit is durable; only a lost log would not show.
            tracing::warn!(%error, "the outbox's witness could not be written");
        }
        Ok(answers)
    }
}

/// Bytes of entries that have been recorded and not shipped.
pub(super) fn unshipped_bytes(head: &HeadRow, kept: &KeptRow) -> u64 {
    Stream::ALL.iter().map(|&stream| head.bytes[stream].saturating_sub(kept.shipped[stream].bytes)).sum()
}

/// Writes everything of `commit` but the head row; the head as it is afterwards.
fn apply(
    connection: &Connection,
    head: &HeadRow,
    commit: Commit,
) -> Result<Result<(HeadRow, Committed), CommitError>, StoreError> {
    let Commit { recovery: _, revision, at_ms, records, queue, released, texts, state, patient: _ } = commit;
    if revision != head.revision + 1 {
        return Ok(Err(CommitError::OutOfOrder { at: head.revision, got: revision }));
    }
    let mut next = HeadRow { revision, at_ms, ..head.clone() };
    if state.next_tick != head.state.next_tick {
        next.batch_first_seq = head.numbering.last_seq(Stream::Executions) + 1;
    }
    let mut entries = Vec::with_capacity(records.len());
    let mut rows = stream_rows::Appender::new(connection)?;
    for record in records {
        let entry = next.numbering.number(record, at_ms);
        let bytes = &mut next.bytes[entry.record.stream()];
        *bytes = rows.append(&entry, *bytes)?;
        entries.push(entry);
    }
    let mut waiting = queue_rows::Changer::new(connection)?;
    for change in &queue {
        if let Err(illegal) = waiting.apply(&mut next.queue, change)? {
            let queue_rows::Illegal { execution, what } = illegal;
            return Ok(Err(CommitError::Illegal { revision, execution, what }));
        }
    }
    for change in &released {
        if let Err(illegal) = released_rows::apply(connection, &mut next.released, change)? {
            let queue_rows::Illegal { execution, what } = illegal;
            return Ok(Err(CommitError::Illegal { revision, execution, what }));
        }
    }
    for text in texts {
        texts::put(connection, &mut next.texts, text)?;
    }
    next.state = state;
    Ok(Ok((next, Committed { revision, entries })))
}

//! The fence: a writer that has been replaced changes nothing any more, and says that it lived.
//!
//! Files are trusted for nothing here: a lock file can be swept away, a database moved. Each transaction that writes
//! begins with [`check`]; now and then, also when nothing is to be written, [`Outbox::look`] sees that the files are
//! still those that are written.

use std::{io, path::Path};

use evenkeel_core::{
    journal::{Replaced, Start},
    units::tick::Tick,
};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    error::StoreError,
    head::{self, Meta},
    lock::FileId,
    schema, starts,
    store::Outbox,
    witness::Witness,
};
use crate::{clock::unix_ms, ports::over::Over};

/// Whether `meta` is still the writer's; asked inside of the transaction that writes.
pub(super) fn check(connection: &Connection, meta: &Meta) -> Result<(), StoreError> {
    let stored: Meta = head::read(connection)?;
    if (stored.journal, stored.writer_epoch) == (meta.journal, meta.writer_epoch) {
        Ok(())
    } else {
        Err(Over::Replaced { ours: meta.writer_epoch, theirs: stored.writer_epoch }.into())
    }
}

/// The files that are written, as they were when the outbox was opened.
#[derive(Debug)]
pub(super) struct Files {
    database: FileId,
    log: Option<FileId>,
    /// Looks in a row that found the lock file gone.
    lock_missed: u32,
}

impl Files {
    /// Those in `dir`, which have just been opened and written.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the database is gone already");
        let database = FileId::at(&schema::database(dir))?.ok_or_else(gone)?;
        Ok(Self { database, log: FileId::at(&schema::log(dir))?, lock_missed: 0 })
    }
}

impl Outbox {
    /// Whether this writer may go on: nobody has taken its place, and what it writes is in the files by their names. Puts
    /// back a lock file and a witness that somebody removed.
    ///
    /// # Errors
    /// [`Over`]; every later call says the same.
    pub fn look(&mut self) -> Result<(), Over> {
        let looked = match self.over.clone() {
            Some(over) => return Err(over),
            None => self.files_stay().and_then(|()| self.fenced()),
        };
        match looked {
            Err(StoreError::Over(over)) => {
                self.end_by(over.clone());
                Err(over)
            }
            Err(error) => {
                let error = error.commit(&self.file);
                tracing::warn!(%error, "whether the journal is still this server's cannot be seen now");
                Ok(())
            }
            Ok(()) => {
                self.guard_the_lock();
                self.guard_the_witness();
                Ok(())
            }
        }
    }

    /// Keeps why it is over, and testifies that this writer lived when it was replaced.
    pub(super) fn end_by(&mut self, over: Over) {
        if self.over.is_some() {
            return;
        }
        tracing::error!("{over}");
        if let Over::Replaced { .. } = over {
            let last_tick = self.head.state.next_tick.0.checked_sub(1).map(Tick);
            let replaced = Replaced { at_ms: unix_ms(), last_tick };
            let noted = self.change_start(false, |start| start.replaced = Some(replaced));
            if let Err(error) = noted {
                let error = error.commit(&self.file);
                tracing::error!(%error, "that two writers lived at once could not be noted in the journal");
            }
        }
        self.over = Some(over);
    }

    /// Notes an end in order. A writer that finds at its end that it was replaced says that instead.
    pub(super) fn note_end(&mut self) {
        let at_ms = unix_ms();
        match self.change_start(true, |start| start.ended_at_ms = Some(at_ms)) {
            Ok(()) => {}
            Err(StoreError::Over(over)) => self.end_by(over),
            Err(error) => {
                let error = error.commit(&self.file);
                tracing::warn!(%error, "the end was not noted in the journal: it will look like a kill");
            }
        }
    }

    fn change_start(
        &mut self,
        while_writer: bool,
        change: impl FnOnce(&mut Start),
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if while_writer {
            check(&transaction, &self.meta)?;
        }
        if let Some(mut start) = starts::read(&transaction, self.meta.writer_epoch)? {
            change(&mut start);
            starts::write(&transaction, &start)?;
        }
        Ok(transaction.commit()?)
    }

    fn fenced(&self) -> Result<(), StoreError> {
        check(&self.connection, &self.meta)
    }

    /// A database or log under another name would be found by nobody: what is committed to it is lost at the end.
    fn files_stay(&mut self) -> Result<(), StoreError> {
        let log = schema::log(&self.dir);
        let stays = |path: &Path, known: FileId| match FileId::at(path) {
            Ok(found) if found != Some(known) => Err(StoreError::from(Over::Gone { file: path.to_owned() })),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a file of the journal cannot be looked at");
                Ok(())
            }
        };
        stays(&self.file, self.files.database)?;
        if let Some(known) = self.files.log {
            return stays(&log, known);
        }
        self.files.log = FileId::at(&log).ok().flatten();
        Ok(())
    }

    fn guard_the_lock(&mut self) {
        if self.lock.is_in_place().unwrap_or(true) {
            self.files.lock_missed = 0;
            return;
        }
        self.files.lock_missed += 1;
        // The first look may fall into somebody else's start: then the fence has the word.
        if self.files.lock_missed < 2 {
            tracing::warn!("the lock file was removed: another server could begin on this data directory");
            return;
        }
        match self.lock.put_back() {
            Ok(true) => {
                self.files.lock_missed = 0;
                tracing::warn!("the lock file had been removed and has been put back");
            }
            Ok(false) => tracing::warn!("somebody else holds the lock file, and has not begun to write"),
            Err(error) => tracing::warn!(%error, "the lock file was removed and cannot be put back"),
        }
    }

    fn guard_the_witness(&mut self) {
        if self.witness.is_in_place(&self.dir).unwrap_or(true) {
            return;
        }
        let written = Witness::create(&self.dir, self.meta.journal).and_then(|mut witness| {
            witness.write(self.head.revision)?;
            Ok(witness)
        });
        match written {
            Ok(witness) => {
                self.witness = witness;
                tracing::warn!("the outbox's witness had been removed and has been put back");
            }
            Err(error) => tracing::warn!(%error, "the outbox's witness was removed and cannot be put back"),
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // After a panic nobody knows what was under way: that is no end in order.
        if self.over.is_none() && !std::thread::panicking() {
            self.note_end();
        }
    }
}

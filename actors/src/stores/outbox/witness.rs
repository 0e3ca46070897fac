//! The witness: how far the journal has come, beside the database.
//!
//! SQLite takes a write-ahead log that is missing or torn for one that ends early, and goes on from an
//! older state without a word. The witness is written after each commit, never before it is durable,
//! so a database that stands behind its witness has lost something. It is not synced: after a power
//! cut it may itself be old, which accuses nobody.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::lock::FileId;
use crate::ports::history::Damage;

const FILE: &str = "outbox.witness";
/// Journal id, revision, CRC.
const SLOT_BYTES: usize = 16 + 8 + 4;

/// What the witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Testimony {
    pub journal: Uuid,
    pub revision: u64,
}

/// The file, open for writing. Two slots take turns, so that a torn write leaves the other one.
#[derive(Debug)]
pub(super) struct Witness {
    file: File,
    journal: Uuid,
    slot: u64,
}

impl Witness {
    pub(super) fn create(dir: &Path, journal: Uuid) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path(dir))?;
        Ok(Self { file, journal, slot: 0 })
    }

    /// Whether the file under the name is still the one that is written.
    pub(super) fn is_in_place(&self, dir: &Path) -> io::Result<bool> {
        Ok(FileId::at(&path(dir))? == Some(FileId::open(&self.file)?))
    }

    pub(super) fn write(&mut self, revision: u64) -> io::Result<()> {
        let mut slot = [0; SLOT_BYTES];
        slot[..16].copy_from_slice(self.journal.as_bytes());
        slot[16..24].copy_from_slice(&revision.to_le_bytes());
        let crc = crc32fast::hash(&slot[..24]);
        slot[24..].copy_from_slice(&crc.to_le_bytes());
        self.file.seek(SeekFrom::Start(self.slot * SLOT_BYTES as u64))?;
        self.file.write_all(&slot)?;
        self.slot = 1 - self.slot;
        Ok(())
    }
}

/// What the witness in `dir` says; nothing when there is none or neither slot is whole.
pub(super) fn read(dir: &Path) -> Option<Testimony> {
    let bytes = fs::read(path(dir)).ok()?;
    bytes.chunks_exact(SLOT_BYTES).filter_map(testimony).max_by_key(|testimony| testimony.revision)
}

/// Holds the database against the witness, which was read before it.
pub(super) fn compare(
    testimony: Option<Testimony>,
    journal: Uuid,
    revision: u64,
    log: &Path,
) -> Result<(), Damage> {
    let Some(testimony) = testimony else { return Ok(()) };
    if testimony.journal != journal {
        let what =
            format!("{FILE} beside it belongs to journal {}, the database is {journal}", testimony.journal);
        return Err(Damage::new(log, "the journal's id", what));
    }
    if testimony.revision > revision {
        let record = format!("revision {}", revision + 1);
        let what = format!(
            "the journal had come to revision {}, and what is left ends at {revision}: \
             the write-ahead log is missing, torn or older than the database",
            testimony.revision
        );
        return Err(Damage::new(log, record, what));
    }
    Ok(())
}

fn testimony(slot: &[u8]) -> Option<Testimony> {
    let (body, crc) = slot.split_at(24);
    let (journal, revision) = body.split_at(16);
    (crc32fast::hash(body).to_le_bytes() == crc).then_some(())?;
    Some(Testimony {
        journal: Uuid::from_slice(journal).ok()?,
        revision: u64::from_le_bytes(revision.try_into().ok()?),
    })
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

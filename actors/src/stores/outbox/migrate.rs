//! From an earlier format to this one.
//!
//! A backup of the journal as it was comes first, then one transaction, the one in which a writer becomes the journal's.
//! What a kill leaves is therefore the one format or the other, whole. Entries stay in the format in which they were
//! written; new ones are of the latest.

use std::path::Path;

use evenkeel_core::journal::{FIRST_FORMAT, FORMAT};
use rusqlite::Connection;

use super::{
    backup,
    error::{OpenError, StoreError},
    schema,
};
use crate::supervise::fault;

/// The journal as it was before format 2, beside it. `evenkeel journal restore` puts it back; as `outbox.db` in a directory of
/// its own it is what version 0.1 reads.
pub const FIRST_FORMAT_FILE: &str = "outbox-format-1.backup";

/// Brings the journal in `dir` to the latest format within `transaction`, which nobody else can write beside. Nothing
/// where it has that already.
pub(super) fn migrate(transaction: &Connection, dir: &Path, now_ms: u64) -> Result<(), OpenError> {
    let file = schema::database(dir);
    let store = |error: StoreError| error.open(&file);
    if schema::format(transaction).map_err(store)? != FIRST_FORMAT.cast_signed() {
        return Ok(());
    }
    let kept = dir.join(FIRST_FORMAT_FILE);
    keep(dir, &kept, now_ms)?;
    fault::point!("after-migration-backup");
    schema::migrate(transaction).map_err(store)?;
    tracing::info!(from = FIRST_FORMAT, to = FORMAT, backup = %kept.display(), "the journal is brought to a later format");
    Ok(())
}

/// One that an earlier try left is of what the journal was then.
fn keep(dir: &Path, kept: &Path, now_ms: u64) -> Result<(), OpenError> {
    let made = backup::replace(dir, kept, now_ms);
    let failed = |reason: String| OpenError::Migration {
        file: kept.to_owned(),
        from: FIRST_FORMAT,
        to: FORMAT,
        reason,
    };
    made.map(drop).map_err(|error| failed(error.to_string()))
}

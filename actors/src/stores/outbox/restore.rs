//! Putting a copy back. What ran since it was made is not in it, so nobody serves from it until it has been adopted.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write as _},
    path::Path,
};

use super::{
    backup::{BESIDE, Copied, CopyError, first_fault, part_of, settle, unusable},
    head::{self, CopyRow},
    reader::OutboxReader,
    schema::{self, DATABASE_FILE},
    verify::verify,
};

/// Puts the copy `from` into the empty directory `dir`, which is created when it is not there, and verifies it.
/// `progress` is told how many of how many entries have been verified.
///
/// # Errors
/// [`CopyError`]; the directory holds no journal then.
pub fn restore(
    from: &Path,
    dir: &Path,
    now_ms: u64,
    progress: impl FnMut(u64, u64),
) -> Result<Copied, CopyError> {
    refuse_a_log(from)?;
    fs::create_dir_all(dir).map_err(|error| unusable(dir, &error))?;
    let listed = fs::read_dir(dir).map_err(|error| unusable(dir, &error))?;
    // A file system of its own brings that one along.
    if listed.flatten().any(|entry| entry.file_name() != "lost+found") {
        return Err(CopyError::NotEmpty(dir.to_owned()));
    }
    let database = dir.join(DATABASE_FILE);
    let part = part_of(&database);
    let placed = place(from, &part, now_ms)
        .and_then(|()| settle(&part, &database))
        .and_then(|()| check(from, dir, progress))
        .and_then(|copied| write_beside(dir).map(|()| copied));
    if placed.is_err() {
        // Nothing of it may look like a journal.
        for name in BESIDE.iter().chain([&DATABASE_FILE]) {
            let _ = fs::remove_file(dir.join(name));
        }
        let _ = fs::remove_file(&part);
    }
    placed
}

/// Copies the file, and has it say that it is a copy: one that was made by other means does not.
fn place(from: &Path, part: &Path, now_ms: u64) -> Result<(), CopyError> {
    fs::copy(from, part).map_err(|error| unusable(from, &error))?;
    let not_whole = |what: String| CopyError::NotWhole { file: from.to_owned(), what };
    let connection = schema::connect_copy(part).map_err(|error| not_whole(error.read(from).to_string()))?;
    schema::check(&connection).map_err(|error| not_whole(error.read(from).to_string()))?;
    let mark = || match head::find::<CopyRow>(&connection)? {
        Some(_) => Ok(()),
        None => head::write(&connection, &CopyRow { made_at_ms: now_ms }),
    };
    mark().map_err(|error| not_whole(error.read(from).to_string()))
}

fn check(from: &Path, dir: &Path, progress: impl FnMut(u64, u64)) -> Result<Copied, CopyError> {
    let not_whole = |what: String| CopyError::NotWhole { file: from.to_owned(), what };
    let reader = OutboxReader::open(dir).map_err(|error| not_whole(error.to_string()))?;
    let verified = verify(&reader, None, progress)?;
    if let Some(fault) = first_fault(&verified) {
        return Err(not_whole(fault));
    }
    let (meta, moment) = (reader.meta()?, reader.moment()?);
    let copy = reader.read(head::find::<CopyRow>)?;
    Ok(Copied {
        journal: meta.journal,
        label: meta.identity.label,
        made_at_ms: copy.map_or(0, |copy| copy.made_at_ms),
        next_tick: moment.head.state.next_tick,
        entries: verified.report.entries,
        waiting: moment.head.queue_length,
    })
}

/// The files that lay beside the journal.
fn write_beside(dir: &Path) -> Result<(), CopyError> {
    let reader = OutboxReader::open(dir)?;
    for name in BESIDE {
        let Some(bytes) = reader.read(|connection| head::find_file(connection, name))? else { continue };
        let path = dir.join(name);
        let part = part_of(&path);
        let mut new = OpenOptions::new();
        new.write(true)
            .create_new(true)
            .open(&part)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| unusable(&part, &error))?;
        settle(&part, &path)?;
    }
    Ok(())
}

fn refuse_a_log(from: &Path) -> Result<(), CopyError> {
    let mut log = from.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => Err(CopyError::NotAlone(from.to_owned())),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(Path::new(&log), &error)),
        _ => Ok(()),
    }
}

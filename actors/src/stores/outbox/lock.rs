//! The right to write: a lock on a file, which somebody may remove.
//!
//! The kernel's lock belongs to the file and not to its name, so whoever finds no file under the name makes another one
//! and holds that. What keeps two writers apart then is the writer's epoch, checked in each transaction ([`super::fence`]);
//! the file refuses the second one before it begins.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::error::OpenError;

/// The file whose lock the writer holds.
pub const LOCK_FILE: &str = "outbox.lock";

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file that is open.
    pub(super) fn open(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::of(&metadata))
    }

    /// The file at `path`; none when there is none.
    ///
    /// # Errors
    /// It cannot be looked at: that says nothing of whether it is there.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The right to write, until it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes it.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(LOCK_FILE);
        let unusable = |error: io::Error| OpenError::Io { path: path.clone(), reason: error.to_string() };
        let mut file = open(&path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "of unknown process id".to_owned() } else { holder };
                return Err(OpenError::Locked { dir: dir.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        sign(&mut file).map_err(unusable)?;
        Ok(Self { file, path })
    }

    /// Whether the file under the name is still the one that is held.
    pub(super) fn is_in_place(&self) -> io::Result<bool> {
        Ok(FileId::at(&self.path)? == Some(FileId::open(&self.file)?))
    }

    /// Takes the file that is under the name now, or makes one. False when somebody else holds it.
    pub(super) fn put_back(&mut self) -> io::Result<bool> {
        let mut file = open(&self.path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        sign(&mut file)?;
        self.file = file;
        Ok(true)
    }
}

impl Drop for Lock {
    /// Closing alone would leave it to a child of this process that is between its fork and its exec.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Only for the message to a second one: the lock itself is the kernel's.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("process {}", std::process::id()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_inherited_the_descriptor_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path()).unwrap();
        // As a fork leaves it: the same open file under another descriptor.
        let inherited = lock.file.try_clone().unwrap();
        assert!(matches!(Lock::take(dir.path()), Err(OpenError::Locked { .. })));
        drop(lock);
        drop(Lock::take(dir.path()).unwrap());
        drop(inherited);
    }
}

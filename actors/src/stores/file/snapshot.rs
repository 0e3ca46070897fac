//! The client's snapshot: one value, two generations, in a file or in Redis.
//!
//! ```text
//! client-snapshot.0 ┐  evenkeel snapshot v2 generation=12 bytes=3456 crc=90abcdef
//! client-snapshot.1 ┘  the value
//! ```
//!
//! A value is written to a third file and renamed over the older generation, so that at every moment
//! one whole generation stands there, and the newest one as soon as it is durable.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use evenkeel_core::journal::NewerFormat;

/// Largest value that is stored, in bytes: 10,000 queries' estimates and pending executions.
pub const SNAPSHOT_BYTES_MAX: usize = 16 << 20;

/// Its files' names in a data directory.
pub(in crate::stores) const FILES: [&str; 2] = ["client-snapshot.0", "client-snapshot.1"];
const NEW: &str = "client-snapshot.new";
const MAGIC: &str = "evenkeel snapshot v";
/// Format of the value behind the header. The header's line stays as it is in all of them.
pub(in crate::stores) const SNAPSHOT_FORMAT: u64 = 4;
/// The first one. Each later format adds a list at the end.
const FIRST_SNAPSHOT_FORMAT: u64 = 1;
/// An empty list, as the value behind the header writes it.
const EMPTY_LIST: u8 = 0;
/// The longest header: the magic, two numbers of 20 digits, a uuid, a CRC of 8, and their names.
const HEADER_BYTES_MAX: usize = 192;

/// The snapshot cannot be stored or looked for.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory or a file in it cannot be used.
    #[error("the snapshot {} cannot be used: {reason}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A later evenkeel wrote it.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// It is too large.
    #[error("a snapshot of {0} bytes is too large: at most {SNAPSHOT_BYTES_MAX}")]
    TooLarge(usize),
}

/// Which generation was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The one stored last.
    Newest,
    /// Perhaps the one before it: the other file is damaged.
    Older,
}

/// What [`SnapshotStore::load`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The value and where it came from; none when nothing was stored or nothing is whole.
    pub snapshot: Option<(Generation, Vec<u8>)>,
    /// What was not whole, to be told.
    pub warnings: Vec<String>,
}

/// The steps of which a value becomes durable, so that a test can cut the power after each of them.
trait Disk: Send {
    /// Creates or empties the file, and writes.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on the disk.
    fn sync(&mut self, path: &Path) -> io::Result<()>;
    /// Renames over what is there.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// The names in the directory are on the disk.
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()>;
}

/// The disk that there is.
#[derive(Debug, Default)]
struct RealDisk {
    /// The file that is being written: an error of the disk is told to whoever wrote through it.
    written: Option<File>,
}

impl Disk for RealDisk {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.written.insert(File::create(path)?).write_all(bytes)
    }

    fn sync(&mut self, _path: &Path) -> io::Result<()> {
        self.written.take().map_or(Ok(()), |file| file.sync_all())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Puts `bytes` under `name`, by way of the file `new`. At every moment the old or the new value stands there, after a
/// power cut, too, and once this has returned the new one does.
fn replace(disk: &mut dyn Disk, dir: &Path, (new, name): (&str, &str), bytes: &[u8]) -> io::Result<()> {
    let (new, path) = (dir.join(new), dir.join(name));
    disk.write(&new, bytes)?;
    disk.sync(&new)?;
    disk.rename(&new, &path)?;
    disk.sync_dir(dir)
}

/// The snapshot's files in a data directory.
#[derive(Debug)]
pub struct SnapshotStore {
    dir: PathBuf,
    disk: RealDisk,
    /// Which file the next value goes to, and as which generation.
    next: (usize, u64),
}

/// What one file holds.
enum Content {
    Nothing,
    Whole(Snapshot),
    Damaged(&'static str),
}

/// Bytes that are no snapshot for this evenkeel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    Damaged(&'static str),
    /// It is whole, and of this format.
    Newer(u64),
}

/// A value with the header that tells whether it is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub generation: u64,
    /// Of which journal; empty where the place says it.
    pub journal: String,
    pub bytes: Vec<u8>,
}

impl Snapshot {
    pub(in crate::stores) fn write(generation: u64, journal: &str, bytes: &[u8]) -> Vec<u8> {
        let mut described = format!("{MAGIC}{SNAPSHOT_FORMAT} generation={generation} bytes={}", bytes.len());
        if !journal.is_empty() {
            described = format!("{described} journal={journal}");
        }
        let mut written = format!("{described} crc={:08x}\n", crc(&described, bytes)).into_bytes();
        written.extend_from_slice(bytes);
        written
    }

    pub(crate) fn parse(mut content: Vec<u8>) -> Result<Self, ParseError> {
        const NO_HEADER: ParseError = ParseError::Damaged("its header cannot be read");
        let end = content.iter().take(HEADER_BYTES_MAX).position(|byte| *byte == b'\n').ok_or(NO_HEADER)?;
        let mut bytes = content.split_off(end + 1);
        let header = str::from_utf8(&content[..end]).map_err(|_| NO_HEADER)?;
        let (described, stored) = header.split_once(" crc=").ok_or(NO_HEADER)?;
        if stored != format!("{:08x}", crc(described, &bytes)) {
            return Err(ParseError::Damaged("its checksum does not fit"));
        }
        let (format, fields) =
            described.strip_prefix(MAGIC).and_then(|rest| rest.split_once(' ')).ok_or(NO_HEADER)?;
        match format.parse::<u64>() {
            Ok(known @ FIRST_SNAPSHOT_FORMAT..=SNAPSHOT_FORMAT) => {
                bytes.extend((known..SNAPSHOT_FORMAT).map(|_| EMPTY_LIST));
            }
            Ok(newer) if newer > SNAPSHOT_FORMAT => return Err(ParseError::Newer(newer)),
            _ => return Err(NO_HEADER),
        }
        let field = |name| fields.split_whitespace().find_map(|field| field.strip_prefix(name));
        let generation = field("generation=").and_then(|number| number.parse().ok()).ok_or(NO_HEADER)?;
        Ok(Self { generation, journal: field("journal=").unwrap_or_default().to_owned(), bytes })
    }
}

impl SnapshotStore {
    /// Looks for generations in `dir`, which is created when it is not there.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn open(dir: &Path) -> Result<Self, SnapshotError> {
        fs::create_dir_all(dir).map_err(|error| unusable(dir, &error))?;
        let mut store = Self { dir: dir.to_owned(), disk: RealDisk::default(), next: (0, 1) };
        store.next = match [store.content(0)?, store.content(1)?] {
            // The newer one stays, the other one makes room.
            [Content::Whole(a), Content::Whole(b)] => {
                let newer = a.generation.max(b.generation);
                (usize::from(a.generation > b.generation), newer.saturating_add(1))
            }
            [Content::Whole(a), _] => (1, a.generation.saturating_add(1)),
            [_, Content::Whole(b)] => (0, b.generation.saturating_add(1)),
            _ => (0, 1),
        };
        Ok(store)
    }

    /// Stores `bytes` as the newest generation; durable when it returns. The one before stays.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was stored before is untouched.
    pub fn store(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return Err(SnapshotError::TooLarge(bytes.len()));
        }
        let (file, generation) = self.next;
        let content = Snapshot::write(generation, "", bytes);
        replace(&mut self.disk, &self.dir, (NEW, FILES[file]), &content)
            .map_err(|error| unusable(&self.dir.join(NEW), &error))?;
        self.next = (1 - file, generation.saturating_add(1));
        Ok(())
    }

    /// The newest generation that is whole.
    ///
    /// # Errors
    /// [`SnapshotError`] when a file is there and cannot be read.
    pub fn load(&self) -> Result<Loaded, SnapshotError> {
        let mut warnings = Vec::new();
        let mut newest: Option<(u64, Vec<u8>)> = None;
        for (index, name) in FILES.iter().enumerate() {
            match self.content(index)? {
                Content::Nothing => {}
                Content::Whole(Snapshot { generation, bytes, .. }) => {
                    if newest.as_ref().is_none_or(|(other, _)| generation > *other) {
                        newest = Some((generation, bytes));
                    }
                }
                Content::Damaged(what) => {
                    warnings.push(format!("{} is damaged: {what}", self.dir.join(name).display()));
                }
            }
        }
        let used = if warnings.is_empty() { Generation::Newest } else { Generation::Older };
        match &newest {
            Some((generation, _)) if !warnings.is_empty() => {
                warnings.push(format!(
                    "generation {generation} of the snapshot is used: what followed is applied again"
                ));
            }
            None if !warnings.is_empty() => {
                warnings.push("no generation of the snapshot is whole: it begins anew".to_owned());
            }
            _ => {}
        }
        Ok(Loaded { snapshot: newest.map(|(_, bytes)| (used, bytes)), warnings })
    }

    fn content(&self, index: usize) -> Result<Content, SnapshotError> {
        let path = self.dir.join(FILES[index]);
        match fs::metadata(&path) {
            Ok(meta) if meta.len() as usize > SNAPSHOT_BYTES_MAX + HEADER_BYTES_MAX => {
                return Ok(Content::Damaged("it is longer than any snapshot"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
            Err(error) => return Err(unusable(&path, &error)),
        }
        let content = fs::read(&path).map_err(|error| unusable(&path, &error))?;
        match Snapshot::parse(content) {
            Ok(snapshot) => Ok(Content::Whole(snapshot)),
            Err(ParseError::Damaged(what)) => Ok(Content::Damaged(what)),
            Err(ParseError::Newer(theirs)) => {
                let what = format!("the snapshot {}", path.display());
                Err(NewerFormat { what, theirs, ours: SNAPSHOT_FORMAT }.into())
            }
        }
    }
}

/// When the newest snapshot in `dir` was written, by the file system's clock; none when there is none.
pub fn stored_at(dir: &Path) -> Option<SystemTime> {
    let written = |name: &&str| fs::metadata(dir.join(name)).and_then(|meta| meta.modified()).ok();
    FILES.iter().filter_map(written).max()
}

fn crc(described: &str, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(described.as_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn unusable(path: &Path, error: &io::Error) -> SnapshotError {
    SnapshotError::Io { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, process::Command};

    use super::*;

    fn load(dir: &Path) -> Loaded {
        SnapshotStore::open(dir).unwrap().load().unwrap()
    }

    #[test]
    fn nothing_stored_is_nothing_loaded() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), Loaded::default());
    }

    #[test]
    fn the_last_value_is_loaded_over_many_generations_and_reopenings() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..7u8 {
            let mut store = SnapshotStore::open(dir.path()).unwrap();
            store.store(&[round, 0]).unwrap();
            store.store(&[round, 1]).unwrap();
            let expected = Some((Generation::Newest, vec![round, 1]));
            assert_eq!(load(dir.path()), Loaded { snapshot: expected, warnings: vec![] });
        }
    }

    #[test]
    fn every_flipped_bit_of_the_newest_leads_to_the_older_generation_and_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(dir.path()).unwrap();
        store.store(b"older").unwrap();
        store.store(b"newest\nwith a line").unwrap();
        let path = dir.path().join(FILES[1]);
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let loaded = load(dir.path());
            assert_eq!(loaded.snapshot, Some((Generation::Older, b"older".to_vec())), "bit {bit}");
            assert!(loaded.warnings[0].contains("client-snapshot.1"), "{:?}", loaded.warnings);
        }
    }

    #[test]
    fn every_torn_length_leads_to_the_older_generation_and_the_next_store_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(dir.path()).unwrap();
        store.store(b"older").unwrap();
        store.store(b"newest").unwrap();
        let path = dir.path().join(FILES[1]);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let loaded = load(dir.path());
            assert_eq!(loaded.snapshot, Some((Generation::Older, b"older".to_vec())), "{length} bytes");
        }
        SnapshotStore::open(dir.path()).unwrap().store(b"again").unwrap();
        let expected = Some((Generation::Newest, b"again".to_vec()));
        assert_eq!(load(dir.path()), Loaded { snapshot: expected, warnings: vec![] });
    }

    #[test]
    fn when_both_are_damaged_there_is_none_and_both_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(dir.path()).unwrap();
        store.store(b"older").unwrap();
        store.store(b"newest").unwrap();
        for name in FILES {
            fs::write(dir.path().join(name), b"nonsense\n").unwrap();
        }
        let loaded = load(dir.path());
        assert_eq!(loaded.snapshot, None);
        assert_eq!(loaded.warnings.len(), 3, "{:?}", loaded.warnings);
    }

    #[test]
    fn a_store_that_was_interrupted_before_its_rename_leaves_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        SnapshotStore::open(dir.path()).unwrap().store(b"newest").unwrap();
        fs::write(dir.path().join(NEW), b"evenkeel snap").unwrap();
        assert_eq!(load(dir.path()).snapshot, Some((Generation::Newest, b"newest".to_vec())));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_snapshot_and_what_was_written_is_read(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
            generation in 0..u64::MAX,
        ) {
            proptest::prop_assert!(Snapshot::parse(bytes.clone()).is_err());
            let written = Snapshot::write(generation, "a-journal", &bytes);
            let expected = Snapshot { generation, journal: "a-journal".to_owned(), bytes };
            proptest::prop_assert_eq!(Snapshot::parse(written), Ok(expected));
        }
    }

    /// A disk that forgets, when the power is cut, what was not synced.
    #[derive(Clone, Default)]
    struct ForgetfulDisk {
        /// By name: what programs read, and what of it is on the disk. A name belongs to a file.
        files: Vec<(Vec<u8>, Vec<u8>)>,
        names: BTreeMap<PathBuf, usize>,
        durable_names: BTreeMap<PathBuf, usize>,
        /// Steps until the power is cut.
        steps: usize,
    }

    impl ForgetfulDisk {
        fn step(&mut self) -> io::Result<()> {
            self.steps = self.steps.checked_sub(1).ok_or_else(|| io::Error::other("no power"))?;
            Ok(())
        }

        /// What may stand under `path` when the power is back. Names may have been written without being asked to, and
        /// content then is what had been synced.
        fn after_a_power_cut(&self, path: &Path) -> [Option<&[u8]>; 2] {
            [&self.durable_names, &self.names]
                .map(|names| names.get(path).map(|file| self.files[*file].1.as_slice()))
        }
    }

    impl Disk for ForgetfulDisk {
        fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            self.step()?;
            self.names.insert(path.to_owned(), self.files.len());
            self.files.push((bytes.to_vec(), Vec::new()));
            Ok(())
        }

        fn sync(&mut self, path: &Path) -> io::Result<()> {
            self.step()?;
            let (content, durable) = &mut self.files[self.names[path]];
            durable.clone_from(content);
            Ok(())
        }

        fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
            self.step()?;
            let file = self.names.remove(from).expect("it has been written");
            self.names.insert(to.to_owned(), file);
            Ok(())
        }

        fn sync_dir(&mut self, _dir: &Path) -> io::Result<()> {
            self.step()?;
            self.durable_names = self.names.clone();
            Ok(())
        }
    }

    #[test]
    fn after_a_power_cut_the_old_or_the_new_value_is_there_and_what_was_stored_is_the_new_one() {
        let (dir, name) = (Path::new("/data"), FILES[0]);
        let path = dir.join(name);
        let mut disk = ForgetfulDisk { steps: usize::MAX, ..ForgetfulDisk::default() };
        replace(&mut disk, dir, (NEW, name), b"old").unwrap();
        for steps in 0.. {
            let mut disk = ForgetfulDisk { steps, ..disk.clone() };
            let stored = replace(&mut disk, dir, (NEW, name), b"new").is_ok();
            for found in disk.after_a_power_cut(&path) {
                let expected: &[&[u8]] = if stored { &[b"new"] } else { &[b"old", b"new"] };
                assert!(found.is_some_and(|found| expected.contains(&found)), "{steps} steps: {found:?}");
            }
            if stored {
                break;
            }
        }
    }

    #[test]
    fn a_value_that_cannot_be_synced_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(dir.path()).unwrap();
        store.store(b"older").unwrap();
        // A pipe takes what is written to it, and nobody can make that durable.
        let pipe = dir.path().join(NEW);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Both ends, or opening it would wait for the other one.
        let _reader = File::options().read(true).write(true).open(&pipe).unwrap();
        let error = store.store(b"newer").unwrap_err();
        assert!(matches!(error, SnapshotError::Io { .. }), "{error}");
        assert_eq!(load(dir.path()).snapshot, Some((Generation::Newest, b"older".to_vec())));
    }

    #[test]
    fn a_value_that_is_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(dir.path()).unwrap();
        let error = store.store(&vec![0; SNAPSHOT_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(error, SnapshotError::TooLarge(_)));
    }
}

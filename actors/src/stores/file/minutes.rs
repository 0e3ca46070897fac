//! The page's minutes, in a file of their own in the data directory.
//!
//! ```text
//! minutes   evenkeel minutes v1 journal=01890000-… crc=90abcdef
//!           [{"minute":…},…]
//! ```
//!
//! The file is written beside and renamed, and never synced: commits on the same disk would wait for that. A power cut may
//! cost the file, and the checksum tells.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use evenkeel_core::insight::minutes::Minute;
use uuid::Uuid;

use crate::ports::minutes::KeepMinutes;

/// Its name in a data directory.
const FILE: &str = "minutes";
const NEW: &str = "minutes.new";
/// Where a file is put that cannot be used: the last one, for whoever looks into it.
const ASIDE: &str = "minutes.damaged";
const MAGIC: &str = "evenkeel minutes v1 ";
/// Largest file: a day of minutes of 18 numbers with 12 characters, ten more and their names, twice.
const BYTES_MAX: u64 = 2_000_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct MinutesFile {
    dir: PathBuf,
    /// Whose minutes these are.
    journal: Uuid,
}

impl MinutesFile {
    /// That of `journal` in `dir`.
    pub fn new(dir: &Path, journal: Uuid) -> Self {
        Self { dir: dir.to_owned(), journal }
    }

    fn read(&self) -> Result<Vec<Minute>, String> {
        let path = self.dir.join(FILE);
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.to_string()),
            Ok(metadata) if metadata.len() > BYTES_MAX => {
                return Err(format!("it is larger than {BYTES_MAX} bytes"));
            }
            Ok(_) => fs::read(&path).map_err(|error| error.to_string())?,
        };
        let text = str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned())?;
        let (header, body) = text.split_once('\n').unwrap_or_default();
        let (journal, crc) = header
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_prefix("journal=")?.split_once(" crc="))
            .ok_or("its first line cannot be read")?;
        if crc != checksum(body) {
            return Err("its checksum does not fit".to_owned());
        }
        if journal != self.journal.to_string() {
            return Err(format!("it is of journal {journal}"));
        }
        serde_json::from_str(body).map_err(|error| error.to_string())
    }
}

impl KeepMinutes for MinutesFile {
    fn load(&self) -> (Vec<Minute>, Option<String>) {
        let why = match self.read() {
            Ok(minutes) => return (minutes, None),
            Err(why) => why,
        };
        let (path, aside) = (self.dir.join(FILE), self.dir.join(ASIDE));
        let moved = match fs::rename(&path, &aside) {
            Ok(()) => format!("set aside as {}", aside.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        (Vec::new(), Some(format!("{} is not used, {why}; {moved}", path.display())))
    }

    fn save(&self, minutes: &[Minute]) -> Result<(), String> {
        let body = serde_json::to_string(minutes).map_err(|error| error.to_string())?;
        let text = format!("{MAGIC}journal={} crc={}\n{body}", self.journal, checksum(&body));
        if text.len() as u64 > BYTES_MAX {
            return Err(format!(
                "{} minutes are {} bytes, at most {BYTES_MAX} are kept",
                minutes.len(),
                text.len()
            ));
        }
        let new = self.dir.join(NEW);
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, self.dir.join(FILE)));
        written.map_err(|error| format!("{}: {error}", new.display()))
    }
}

fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use evenkeel_core::{
        insight::{
            minutes::{MINUTES, WithoutMinute},
            recap::DelaySummary,
        },
        units::{resource::PerResource, tick::Tick, window::Extent},
    };

    use super::*;

    const JOURNAL: Uuid = Uuid::from_u128(7);

    /// As many digits as numbers of a very busy database have.
    fn minute(n: u64) -> Minute {
        let usage =
            PerResource::all(Extent { average: 1_234_567.891, min: 1_134_567.891, max: 1_334_567.891 });
        Minute {
            minute: 30_000_000 + n,
            first_tick: Tick(864_000_000_000 + n * 600),
            last_tick: Tick(864_000_000_599 + n * 600),
            closed_at_ms: 1_800_000_000_000 + n * 60_000,
            windows: 600,
            in_corridor: 599,
            executed: 1_800_000,
            measured: usage,
            without: Some(WithoutMinute { windows: 600, in_corridor: 599, usage }),
            queued: Some(1_000_000),
            oldest_wait_ticks: Some(864_000),
            delays: Some(DelaySummary {
                mean: 1.0 / 3.0,
                p50: 864_000,
                p95: 864_000,
                p99: 864_000,
                max: 864_000,
            }),
        }
    }

    #[test]
    fn a_day_is_kept_in_two_megabytes_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = MinutesFile::new(dir.path(), JOURNAL);
        assert_eq!(file.load(), (Vec::new(), None));
        let day: Vec<_> = (0..MINUTES as u64).map(minute).collect();
        file.save(&day[..5]).unwrap();
        file.save(&day).unwrap();
        assert_eq!(file.load(), (day, None));
        assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() <= BYTES_MAX);
        assert!(!dir.path().join(NEW).exists());
    }

    #[test]
    fn what_is_damaged_is_set_aside_with_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let file = MinutesFile::new(dir.path(), JOURNAL);
        file.save(&[minute(0)]).unwrap();
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let other = fs::read(dir.path().join(FILE)).unwrap();
        MinutesFile::new(dir.path(), Uuid::from_u128(8)).save(&[minute(0)]).unwrap();
        let of_another = fs::read(dir.path().join(FILE)).unwrap();
        assert_ne!(other, of_another);
        for bytes in [
            Vec::new(),
            b"\xff\xff".to_vec(),
            whole[..whole.len() - 1].to_vec(),
            flipped(3),
            flipped(whole.len() - 4),
            vec![b' '; BYTES_MAX as usize + 1],
            of_another,
        ] {
            fs::write(dir.path().join(FILE), &bytes).unwrap();
            let (minutes, said) = file.load();
            assert!(minutes.is_empty());
            assert!(said.unwrap().contains("set aside as "));
            assert_eq!(fs::read(dir.path().join(ASIDE)).unwrap(), bytes);
            assert_eq!(file.load(), (Vec::new(), None), "it is out of the way");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        let file = MinutesFile::new(Path::new("/nowhere/at/all"), JOURNAL);
        assert!(file.save(&[minute(0)]).unwrap_err().contains("minutes.new"));
    }
}

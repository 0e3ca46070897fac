//! What a file holds, as its process sees it: what was written and not synced, over what is on the disk.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
};

use rusqlite::ffi;

use crate::Disk;

/// What is kept together. A page of SQLite's in a log begins anywhere, so blocks are written in part, too.
const BLOCK: u64 = 4096;

/// SQLite's code of an error.
pub(crate) type Code = i32;

/// The file on the disk.
pub(crate) trait Real {
    /// Bytes that it has.
    fn size(&mut self) -> Result<u64, Code>;
    /// Reads what is at `at`, zeros beyond its end.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Code>;
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Code>;
    /// Cuts it to `size` bytes, or lengthens it with zeros.
    fn cut(&mut self, size: u64) -> Result<(), Code>;
    fn sync(&mut self) -> Result<(), Code>;
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    unsynced: Option<Unsynced>,
}

#[derive(Debug)]
struct Unsynced {
    size: u64,
    /// What is on the disk before this byte counts; what is behind it was cut off.
    kept: u64,
    /// Whether the disk may have more than is kept.
    cut: bool,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Contents {
    /// Nothing is left of what was not synced.
    pub(crate) fn forget(&mut self) {
        self.unsynced = None;
    }

    pub(crate) fn size(&self, real: &mut dyn Real) -> Result<u64, Code> {
        self.unsynced.as_ref().map_or_else(|| real.size(), |unsynced| Ok(unsynced.size))
    }

    /// The size, where it is not that of the file on the disk.
    pub(crate) fn unsynced_size(&self) -> Option<u64> {
        self.unsynced.as_ref().map(|unsynced| unsynced.size)
    }

    /// Reads what is at `at`, zeros beyond the end; false where the end comes first.
    pub(crate) fn read(&self, real: &mut dyn Real, at: u64, into: &mut [u8]) -> Result<bool, Code> {
        let end = at + into.len() as u64;
        let Some(unsynced) = &self.unsynced else {
            real.read(at, into)?;
            return Ok(end <= real.size()?);
        };
        unsynced.read(real, at, into)?;
        Ok(end <= unsynced.size)
    }

    pub(crate) fn write(
        &mut self,
        real: &mut dyn Real,
        at: u64,
        bytes: &[u8],
        disk: Disk,
    ) -> Result<(), Code> {
        let unsynced = self.begin(real)?;
        let end = at + bytes.len() as u64;
        for index in at / BLOCK..end.div_ceil(BLOCK) {
            let start = index * BLOCK;
            let mut block = vec![0; BLOCK as usize];
            unsynced.read(real, start, &mut block)?;
            let (from, to) = (at.max(start), end.min(start + BLOCK));
            block[(from - start) as usize..(to - start) as usize]
                .copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
            unsynced.blocks.insert(index, block);
        }
        unsynced.size = unsynced.size.max(end);
        if disk == Disk::Tears {
            unsynced.tear(real, at / BLOCK..end.div_ceil(BLOCK))?;
        }
        Ok(())
    }

    pub(crate) fn truncate(&mut self, real: &mut dyn Real, size: u64) -> Result<(), Code> {
        let unsynced = self.begin(real)?;
        unsynced.size = size;
        unsynced.cut |= unsynced.kept > size;
        unsynced.kept = unsynced.kept.min(size);
        unsynced.blocks.retain(|index, _| index * BLOCK < size);
        if let Some(last) = unsynced.blocks.get_mut(&(size / BLOCK)) {
            last[(size % BLOCK) as usize..].fill(0);
        }
        Ok(())
    }

    /// All that was written is on the disk.
    pub(crate) fn sync(&mut self, real: &mut dyn Real) -> Result<(), Code> {
        if let Some(unsynced) = &mut self.unsynced {
            unsynced.put(real)?;
        }
        real.sync()?;
        self.unsynced = None;
        Ok(())
    }

    fn begin(&mut self, real: &mut dyn Real) -> Result<&mut Unsynced, Code> {
        let size = if self.unsynced.is_some() { 0 } else { real.size()? };
        let new = || Unsynced { size, kept: size, cut: false, blocks: BTreeMap::new() };
        Ok(self.unsynced.get_or_insert_with(new))
    }
}

impl Unsynced {
    fn read(&self, real: &mut dyn Real, at: u64, into: &mut [u8]) -> Result<(), Code> {
        into.fill(0);
        let end = at + into.len() as u64;
        let kept = self.kept.min(end).saturating_sub(at);
        if kept > 0 {
            real.read(at, &mut into[..kept as usize])?;
        }
        for (index, block) in self.blocks.range(at / BLOCK..end.div_ceil(BLOCK)) {
            let start = index * BLOCK;
            let (from, to) = (at.max(start), end.min(start + BLOCK));
            into[(from - at) as usize..(to - at) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
        Ok(())
    }

    fn put(&mut self, real: &mut dyn Real) -> Result<(), Code> {
        let on_disk = real.size()?;
        if on_disk > self.kept {
            real.cut(self.kept)?;
        }
        for (index, block) in &self.blocks {
            let start = index * BLOCK;
            let length = BLOCK.min(self.size.saturating_sub(start)) as usize;
            real.write(start, &block[..length])?;
        }
        if real.size()? != self.size {
            real.cut(self.size)?;
        }
        Ok(())
    }

    /// Some of these blocks are on the disk already. What was cut off is gone before: a file system gives no byte of it
    /// away with what comes later.
    fn tear(&mut self, real: &mut dyn Real, written: std::ops::Range<u64>) -> Result<(), Code> {
        for index in written.filter(|index| RandomState::new().hash_one(index).is_multiple_of(2)) {
            if std::mem::take(&mut self.cut) {
                real.cut(self.kept)?;
            }
            let start = index * BLOCK;
            let length = BLOCK.min(self.size.saturating_sub(start)) as usize;
            real.write(start, &self.blocks[&index][..length])?;
        }
        Ok(())
    }
}

/// What SQLite is told of a read that went beyond the end.
pub(crate) const SHORT: Code = ffi::SQLITE_IOERR_SHORT_READ;

#[cfg(test)]
mod tests {
    use super::*;

    /// A file in memory.
    #[derive(Default)]
    struct File {
        bytes: Vec<u8>,
        syncs: usize,
    }

    impl Real for File {
        fn size(&mut self) -> Result<u64, Code> {
            Ok(self.bytes.len() as u64)
        }

        fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), Code> {
            for (byte, at) in into.iter_mut().zip(at as usize..) {
                *byte = self.bytes.get(at).copied().unwrap_or_default();
            }
            Ok(())
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Code> {
            let end = at as usize + bytes.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[at as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn cut(&mut self, size: u64) -> Result<(), Code> {
            self.bytes.resize(size as usize, 0);
            Ok(())
        }

        fn sync(&mut self) -> Result<(), Code> {
            self.syncs += 1;
            Ok(())
        }
    }

    /// Numbers that look random, the same ones each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    fn all(contents: &Contents, real: &mut File) -> Vec<u8> {
        let size = contents.size(real).unwrap();
        let mut bytes = vec![7; size as usize];
        assert!(contents.read(real, 0, &mut bytes).unwrap());
        bytes
    }

    #[test]
    fn a_file_reads_as_it_was_written_and_is_on_the_disk_as_it_was_synced() {
        for disk in [Disk::Forgets, Disk::Tears] {
            let (mut real, mut contents) = (File::default(), Contents::default());
            let (mut expected, mut synced) = (Vec::new(), Vec::new());
            let mut numbers = Numbers(19);
            for step in 0..4_000_u64 {
                match numbers.below(12) {
                    0 => {
                        contents.sync(&mut real).unwrap();
                        synced.clone_from(&expected);
                        assert_eq!(real.bytes, synced, "step {step}");
                    }
                    1 => {
                        let size = numbers.below(40_000);
                        contents.truncate(&mut real, size).unwrap();
                        expected.resize(size as usize, 0);
                    }
                    2 => {
                        let (at, mut found) = (numbers.below(50_000) as usize, [9; 5_000]);
                        let whole = contents.read(&mut real, at as u64, &mut found).unwrap();
                        let there = expected.get(at..).unwrap_or_default();
                        let count = there.len().min(found.len());
                        assert_eq!((&found[..count], whole), (&there[..count], count == found.len()));
                        assert!(found[count..].iter().all(|byte| *byte == 0));
                    }
                    _ => {
                        let at = numbers.below(36_000) as usize;
                        let bytes = vec![step as u8 | 1; 1 + numbers.below(9_000) as usize];
                        contents.write(&mut real, at as u64, &bytes, disk).unwrap();
                        expected.resize(expected.len().max(at + bytes.len()), 0);
                        expected[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                assert_eq!(all(&contents, &mut real), expected, "step {step}");
                if disk == Disk::Forgets {
                    assert_eq!(real.bytes, synced, "step {step}");
                }
            }
            assert!(real.syncs > 100);
        }
    }

    #[test]
    fn what_is_torn_is_on_the_disk_in_part() {
        let (mut real, mut contents) = (File::default(), Contents::default());
        let count = 200;
        contents.write(&mut real, 0, &vec![1; count * BLOCK as usize], Disk::Tears).unwrap();
        let there = real.bytes.chunks(BLOCK as usize).filter(|block| block[0] == 1).count();
        assert!((1..count).contains(&there), "{there}");
        contents.forget();
        assert_eq!(contents.size(&mut real).unwrap(), real.bytes.len() as u64);
    }
}

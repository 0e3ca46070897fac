//! A control group, of either version: CPU, IO and memory of all processes in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use evenkeel_core::units::resource::Resource;

use super::Sample;

/// Where its counters are. IO and memory may be missing: their controllers need not be on.
#[derive(Debug)]
pub(super) struct Cgroup {
    cpu: Cpu,
    io: Option<Io>,
    memory: Option<PathBuf>,
}

#[derive(Debug)]
enum Cpu {
    /// `cpu.stat`.
    Stat(PathBuf),
    /// `cpuacct.usage`, in ns.
    Acct(PathBuf),
}

#[derive(Debug)]
enum Io {
    /// `io.stat`.
    Stat(PathBuf),
    /// `blkio.throttle.io_service_bytes`.
    Throttle(PathBuf),
}

impl Cgroup {
    /// The group at `path`; of version 1 in any of its hierarchies.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let group = Self::found(path).ok_or_else(|| {
            let why = format!(
                "{} is no control group: neither cpu.stat with usage_usec nor cpuacct.usage",
                path.display()
            );
            io::Error::new(io::ErrorKind::NotFound, why)
        })?;
        group.sample()?;
        Ok(group)
    }

    fn found(path: &Path) -> Option<Self> {
        let there = |path: PathBuf| path.exists().then_some(path);
        let stat = there(path.join("cpu.stat")).filter(|path| number_after(path, "usage_usec").is_ok());
        if let Some(stat) = stat {
            let io = there(path.join("io.stat")).map(Io::Stat);
            return Some(Self { cpu: Cpu::Stat(stat), io, memory: there(path.join("memory.current")) });
        }
        let of = |controllers: &[&str], name: &str| {
            controllers.iter().find_map(|controller| there(beside(path, controller).join(name)))
        };
        Some(Self {
            cpu: Cpu::Acct(of(&["cpuacct", "cpu,cpuacct"], "cpuacct.usage")?),
            io: of(&["blkio"], "blkio.throttle.io_service_bytes").map(Io::Throttle),
            memory: of(&["memory"], "memory.usage_in_bytes"),
        })
    }

    pub(super) fn absent(&self) -> Vec<Resource> {
        let io = self.io.is_none().then_some(Resource::Io);
        let memory = self.memory.is_none().then_some(Resource::Memory);
        io.into_iter().chain(memory).collect()
    }

    pub(super) fn sample(&self) -> io::Result<Sample> {
        let cpu_us = match &self.cpu {
            Cpu::Stat(path) => number_after(path, "usage_usec")?,
            Cpu::Acct(path) => number(path)? / 1000,
        };
        let io_bytes = match &self.io {
            Some(Io::Stat(path)) => io_stat(&fs::read_to_string(path)?),
            Some(Io::Throttle(path)) => number_after(path, "Total").unwrap_or(0),
            None => 0,
        };
        let memory_bytes = self.memory.as_ref().map_or(Ok(0), |path| number(path))?;
        Ok(Sample { cpu_us, io_kib: io_bytes / 1024, memory_kib: memory_bytes / 1024 })
    }
}

/// The same group in the hierarchy of `controller`: version 1 has one a controller, `/sys/fs/cgroup/CONTROLLER/GROUP`.
fn beside(path: &Path, controller: &str) -> PathBuf {
    const CONTROLLERS: [&str; 6] = ["cpuacct", "cpu,cpuacct", "cpu", "memory", "blkio", "unified"];
    let known = |part: &std::ffi::OsStr| CONTROLLERS.iter().any(|known| part == *known);
    if !path.iter().any(known) {
        return path.to_owned();
    }
    let mut replaced = false;
    let parts = path.iter().map(|part| {
        if known(part) && !std::mem::replace(&mut replaced, true) { controller.as_ref() } else { part }
    });
    parts.collect()
}

fn wrong(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is not what it is expected to be", path.display()))
}

fn number(path: &Path) -> io::Result<u64> {
    fs::read_to_string(path)?.trim().parse().map_err(|_| wrong(path))
}

/// The number behind `name` at the beginning of a line.
fn number_after(path: &Path, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| wrong(path))
}

/// Bytes read and written, of all devices.
fn io_stat(text: &str) -> u64 {
    let fields = text.split_whitespace().filter_map(|field| field.split_once('='));
    fields
        .filter(|(name, _)| ["rbytes", "wbytes"].contains(name))
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_version_1_are_found_beside_each_other() {
        let root = tempfile::tempdir().unwrap();
        for (controller, name, text) in [
            ("cpuacct", "cpuacct.usage", "1234567\n"),
            ("cpu", "cpu.stat", "nr_periods 0\nnr_throttled 0\n"),
            ("memory", "memory.usage_in_bytes", "20480\n"),
            ("blkio", "blkio.throttle.io_service_bytes", "8:0 Read 1\n8:0 Total 2048\nTotal 10240\n"),
        ] {
            let group = root.path().join(controller).join("db");
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(name), text).unwrap();
        }
        for controller in ["cpuacct", "cpu", "memory"] {
            let group = Cgroup::open(&root.path().join(controller).join("db")).unwrap();
            assert!(group.absent().is_empty());
            assert_eq!(group.sample().unwrap(), Sample { cpu_us: 1234, io_kib: 10, memory_kib: 20 });
        }
    }

    #[test]
    fn what_is_no_group_is_refused_and_what_is_missing_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Cgroup::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("is no control group"), "{refused}");
        fs::write(folder.path().join("cpu.stat"), "usage_usec 5\n").unwrap();
        let group = Cgroup::open(folder.path()).unwrap();
        assert_eq!(group.absent(), [Resource::Io, Resource::Memory]);
        assert_eq!(group.sample().unwrap(), Sample { cpu_us: 5, io_kib: 0, memory_kib: 0 });
    }
}

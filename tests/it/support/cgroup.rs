//! A control group of the CPU for one program of a measurement, so that no program takes another's share.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::pause;

/// Where groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// A group, which ends with its processes.
pub struct Group {
    /// One folder in version 2; one a controller in version 1.
    folders: Vec<PathBuf>,
}

impl Group {
    /// One called `name`, or nothing where this machine lets nobody make one.
    pub fn new(name: &str) -> Option<Self> {
        let root = Path::new(ROOT);
        let roots = if root.join("cgroup.controllers").exists() {
            vec![root.to_owned()]
        } else {
            vec![root.join("cpu"), root.join("cpuacct")]
        };
        let mut group = Self { folders: Vec::new() };
        for root in roots {
            let folder = root.join(format!("evenkeel-{}-{name}", std::process::id()));
            fs::create_dir(&folder).ok()?;
            // All groups weigh the same, and more than what else runs on this machine.
            for (file, weight) in [("cpu.weight", "10000"), ("cpu.shares", "102400")] {
                let _ = fs::write(folder.join(file), weight);
            }
            group.folders.push(folder);
        }
        Some(group)
    }

    /// Takes a process in, with the children that it gets from now on.
    pub fn take(&self, pid: u32) {
        for folder in &self.folders {
            fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }

    /// What `--cgroup` names.
    pub fn path(&self) -> &Path {
        &self.folders[0]
    }

    /// Tells what its processes have used, on any thread.
    pub fn reader(&self) -> Reader {
        let version_1 = self.folders.iter().map(|at| at.join("cpuacct.usage")).find(|file| file.exists());
        Reader(version_1.unwrap_or_else(|| self.folders[0].join("cpu.stat")))
    }
}

/// The file of a group's CPU time.
pub struct Reader(PathBuf);

impl Reader {
    /// CPU that its processes have used, those that have ended, too.
    pub fn cpu(&self) -> Duration {
        let said = fs::read_to_string(&self.0).unwrap();
        if let Ok(nanoseconds) = said.trim().parse() {
            return Duration::from_nanos(nanoseconds);
        }
        let used = said.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
        Duration::from_micros(used.parse().unwrap())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that was just killed is in its group a little longer.
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.folders.iter().any(|folder| folder.exists() && fs::remove_dir(folder).is_err()) {
            if Instant::now() > deadline {
                return;
            }
            pause(Duration::from_millis(20));
        }
    }
}

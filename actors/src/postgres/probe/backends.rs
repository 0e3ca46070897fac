//! The CPU clocks of a cluster's processes: the postmaster and its children.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use nix::{time::clock_getcpuclockid, unistd::Pid};

/// See the module.
#[derive(Debug)]
pub(super) struct Backends {
    data: PathBuf,
    /// What each process had used when it was last seen, in µs; none before the first look.
    seen: Option<BTreeMap<i32, u64>>,
    /// What all of them have used since then, in µs.
    total_us: u64,
}

/// CPU that the process `pid` has used, in µs. Needs no rights, but a pid of this namespace.
///
/// # Errors
/// There is no such process here.
pub fn cpu_of(pid: i32) -> io::Result<u64> {
    let used = clock_getcpuclockid(Pid::from_raw(pid))?.now()?;
    Ok(used.tv_sec() as u64 * 1_000_000 + used.tv_nsec() as u64 / 1_000)
}

impl Backends {
    pub(super) fn new(data: PathBuf) -> Self {
        Self { data, seen: None, total_us: 0 }
    }

    /// What all have used since the first look, in µs. What a process used after the last look before its end is not in it.
    pub(super) fn cpu_us(&mut self) -> io::Result<u64> {
        let postmaster = postmaster(&self.data)?;
        let mut now = BTreeMap::new();
        now.insert(postmaster, cpu_of(postmaster)?);
        for pid in children(postmaster)? {
            // A backend may have ended since the list was read.
            if let Ok(used) = cpu_of(pid) {
                now.insert(pid, used);
            }
        }
        if let Some(seen) = &self.seen {
            let more = |(pid, used): (&i32, &u64)| match seen.get(pid) {
                Some(before) if before <= used => used - before,
                // New, or another one under the same number.
                _ => *used,
            };
            self.total_us += now.iter().map(more).sum::<u64>();
        }
        self.seen = Some(now);
        Ok(self.total_us)
    }
}

/// The pid in the first line of `postmaster.pid`.
pub(super) fn postmaster(data: &Path) -> io::Result<i32> {
    let file = data.join("postmaster.pid");
    let text = fs::read_to_string(&file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).filter(|pid: &i32| *pid > 0);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} has no pid", file.display())))
}

/// All children of `pid`. The kernel keeps a list of them where it was built with one.
pub(super) fn children(pid: i32) -> io::Result<Vec<i32>> {
    match fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        Ok(list) => Ok(list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()),
        Err(_) => children_by_parent(pid),
    }
}

fn children_by_parent(parent: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // `pid (name) state ppid …`: a name may have brackets and blanks.
        let behind = stat.rsplit_once(')').map(|(_, behind)| behind);
        let of = behind.and_then(|behind| behind.split_whitespace().nth(1)?.parse::<i32>().ok());
        if of == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_are_found_either_way_and_their_cpu_is_counted() {
        // `sh` stands for the postmaster: one child that works, one that sleeps.
        let script = "sh -c 'while :; do :; done' & sleep 60 & echo up; wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(parent.id()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("postmaster.pid"), format!("{pid}\n/data\n")).unwrap();
        let mut backends = Backends::new(folder.path().to_owned());
        let two = |found: Vec<i32>| found.len() == 2;
        while !two(children_by_parent(pid).unwrap()) || !two(children(pid).unwrap()) {}
        assert_eq!(backends.cpu_us().unwrap(), 0);
        let mut last = 0;
        // It works, so its clock goes on: until it has used 20 ms.
        while last < 20_000 {
            let now = backends.cpu_us().unwrap();
            assert!(now >= last);
            last = now;
        }
        for child in children(pid).unwrap() {
            nix::sys::signal::kill(Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        parent.wait().unwrap();
        assert!(backends.cpu_us().is_err(), "nobody is there");
        assert!(cpu_of(pid).is_err());
    }

    #[test]
    fn a_folder_without_a_postmaster_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Backends::new(folder.path().to_owned()).cpu_us().unwrap_err();
        assert!(refused.to_string().contains("postmaster.pid"), "{refused}");
        fs::write(folder.path().join("postmaster.pid"), "-5\n").unwrap();
        assert!(Backends::new(folder.path().to_owned()).cpu_us().is_err());
    }
}

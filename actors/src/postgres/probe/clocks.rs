//! The CPU clock of a session's backend: what each of its statements has used.
//!
//! A backend that waits for its client uses nothing, so what it has used since the last statement ended belongs to the
//! next one that ends. Parallel workers have clocks of their own, which are not in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{backends, cpu_of};

/// Where the database's processes are found, when they are on this machine.
#[derive(Clone, Debug, Default)]
pub enum Clocks {
    /// Nowhere: nobody's CPU is known.
    #[default]
    Nowhere,
    /// In a control group.
    Cgroup(PathBuf),
    /// Below the postmaster of a data directory.
    Pgdata(PathBuf),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct BackendClock {
    /// As this machine has it, and as the backend calls itself.
    pid: i32,
    called: i32,
    /// As it stood at first, in µs.
    began_us: u64,
    /// As it stood when the last statement ended, in µs.
    mark_us: u64,
}

impl Clocks {
    /// Of the backend that calls itself `pid`; none where it is not to be found here, as behind another machine's address.
    pub(crate) fn of(&self, pid: i32) -> Option<BackendClock> {
        let found = match self {
            Self::Nowhere => return None,
            Self::Cgroup(path) => in_group(path).map(|pids| found(pids, pid)),
            Self::Pgdata(data) => {
                backends::postmaster(data).and_then(backends::children).map(|pids| found(pids, pid))
            }
        };
        let (called, pid) = (pid, found.ok()??);
        let began_us = cpu_of(pid).ok()?;
        Some(BackendClock { pid, called, began_us, mark_us: began_us })
    }
}

impl BackendClock {
    /// The process id, as the backend calls itself.
    pub(crate) fn called(&self) -> i32 {
        self.called
    }

    /// What was used since it was made, in µs.
    pub(crate) fn since_us(&self) -> Option<u64> {
        Some(cpu_of(self.pid).ok()?.saturating_sub(self.began_us))
    }

    /// What was used since the last call, in µs.
    pub(crate) fn lap_us(&mut self) -> Option<u64> {
        let now_us = cpu_of(self.pid).ok()?;
        Some(now_us.saturating_sub(std::mem::replace(&mut self.mark_us, now_us)))
    }
}

fn in_group(path: &Path) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(path.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect())
}

/// The process that is called `pid` where it runs: a container has numbers of its own.
fn found(pids: Vec<i32>, pid: i32) -> Option<i32> {
    if pids.contains(&pid) && innermost(pid) == Some(pid) {
        return Some(pid);
    }
    pids.into_iter().find(|outer| innermost(*outer) == Some(pid))
}

/// The number of a process in the innermost namespace that it is in.
fn innermost(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    numbers.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        io::BufRead as _,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn a_child_of_the_postmaster_is_clocked_and_a_stranger_is_not() {
        let script = "sh -c 'while :; do :; done' & echo $!; wait";
        let mut parent = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("postmaster.pid"), format!("{}\n/data\n", parent.id())).unwrap();
        let clocks = Clocks::Pgdata(folder.path().to_owned());
        let mut line = String::new();
        io::BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let child: i32 = line.trim().parse().unwrap();
        let mut clock = clocks.of(child).unwrap();
        // It works, so its clock goes on.
        let mut used = 0;
        while used < 20_000 {
            used += clock.lap_us().unwrap();
        }
        assert!(
            clocks.of(i32::try_from(std::process::id()).unwrap()).is_none(),
            "no child of that postmaster"
        );
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL).unwrap();
        parent.wait().unwrap();
        assert!(Clocks::Nowhere.of(child).is_none() && clocks.of(child).is_none());
    }

    #[test]
    fn a_group_has_the_processes_that_it_lists() {
        let folder = tempfile::tempdir().unwrap();
        let me = i32::try_from(std::process::id()).unwrap();
        fs::write(folder.path().join("cgroup.procs"), format!("1\n{me}\n")).unwrap();
        let clocks = Clocks::Cgroup(folder.path().to_owned());
        // Where the tests run in a container, its number there is another.
        let inside = innermost(me).unwrap();
        assert_eq!(clocks.of(inside).map(|clock| clock.pid), Some(me));
        fs::write(folder.path().join("cgroup.procs"), "1\n").unwrap();
        assert!(clocks.of(inside).is_none());
    }
}

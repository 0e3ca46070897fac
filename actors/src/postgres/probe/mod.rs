//! What a real database uses, tick by tick: CPU in µs, IO in KiB, memory in KiB.
//!
//! A sample is taken when a tick begins. What was used since the last sample is divided by the time that has really gone
//! by: on a busy host a tick begins up to 30 ms late, and would get what belongs to the one before.

mod backends;
mod cgroup;
mod clocks;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use evenkeel_core::units::{
    resource::{Resource, Usage},
    tick::Tick,
};
use tokio::time::Instant;

use self::{backends::Backends, cgroup::Cgroup};
use crate::ports::database::{TickUsed, UsageProbe};

pub(crate) use self::clocks::BackendClock;
pub use self::{backends::cpu_of, clocks::Clocks};

/// Ticks that a stretch between two samples covers at most; a longer one (the host was asleep) tells nothing.
const TICKS_MAX: u64 = 100;

/// Counters as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    /// Since some moment, in µs.
    cpu_us: u64,
    /// Since some moment, in KiB.
    io_kib: u64,
    /// Now, in KiB.
    memory_kib: u64,
}

/// CPU time of a whole database.
#[derive(Debug)]
pub(crate) struct Counter(Source);

impl Counter {
    /// Of the database that is found so; none where it cannot be.
    pub(crate) fn of(clocks: &Clocks) -> Option<Self> {
        match clocks {
            Clocks::Nowhere => None,
            Clocks::Cgroup(path) => Some(Self(Source::Cgroup(Cgroup::open(path).ok()?))),
            Clocks::Pgdata(data) => Some(Self(Source::Backends(Backends::new(data.clone())))),
        }
    }

    /// Since some moment, in µs.
    ///
    /// # Errors
    /// It cannot be read now.
    pub(crate) fn cpu_us(&mut self) -> io::Result<u64> {
        Ok(self.0.sample()?.cpu_us)
    }
}

/// Where samples come from.
#[derive(Debug)]
enum Source {
    Cgroup(Cgroup),
    Backends(Backends),
}

impl Source {
    fn sample(&mut self) -> io::Result<Sample> {
        match self {
            Self::Cgroup(cgroup) => cgroup.sample(),
            Self::Backends(backends) => Ok(Sample { cpu_us: backends.cpu_us()?, io_kib: 0, memory_kib: 0 }),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Probe {
    source: Source,
    tick: Duration,
    last: Option<Last>,
    told: Vec<TickUsed>,
    failed: Option<io::Error>,
}

/// The last sample: at the beginning of a tick.
#[derive(Clone, Copy, Debug)]
struct Last {
    tick: Tick,
    at: Instant,
    sample: Sample,
}

impl Probe {
    /// Of all processes in the control group at `path` (version 2, or the `cpuacct` of version 1), in ticks of `tick_ms`.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn cgroup(path: &Path, tick_ms: u64) -> io::Result<Self> {
        Ok(Self::of(Source::Cgroup(Cgroup::open(path)?), tick_ms))
    }

    /// Of the backends of the cluster at `data`, by their CPU clocks: no more than CPU, blind to what a backend uses between
    /// the last sample and its end. Needs the database's pid namespace.
    ///
    /// # Errors
    /// There is no running postmaster, or its processes cannot be seen from here.
    pub fn pgdata(data: &Path, tick_ms: u64) -> io::Result<Self> {
        let mut backends = Backends::new(PathBuf::from(data));
        backends.cpu_us()?;
        Ok(Self::of(Source::Backends(backends), tick_ms))
    }

    fn of(source: Source, tick_ms: u64) -> Self {
        let tick = Duration::from_millis(tick_ms.max(1));
        Self { source, tick, last: None, told: Vec::new(), failed: None }
    }

    /// What is not measured and counts as nothing used.
    pub fn absent(&self) -> Vec<Resource> {
        match &self.source {
            Source::Cgroup(cgroup) => cgroup.absent(),
            Source::Backends(_) => vec![Resource::Io, Resource::Memory],
        }
    }

    /// `tick` begins now: what the ticks before it have used is told by the next call of [`UsageProbe::used`].
    pub fn begins(&mut self, tick: Tick) {
        self.begins_at(tick, Instant::now());
    }

    fn begins_at(&mut self, tick: Tick, at: Instant) {
        // Two ticks at once, as after a stall, are one stretch: nothing can be measured between them.
        if self.last.is_some_and(|last| tick <= last.tick || at < last.at + self.tick / 4) {
            return;
        }
        match self.source.sample() {
            Ok(sample) => {
                if let Some(last) = self.last {
                    self.told.extend(used(last, Last { tick, at, sample }, self.tick));
                }
                self.last = Some(Last { tick, at, sample });
            }
            Err(cause) => {
                self.last = None;
                self.failed = Some(cause);
            }
        }
    }
}

/// What each tick from `last` up to `now` used, at the mean rate between both.
fn used(last: Last, now: Last, tick: Duration) -> Vec<TickUsed> {
    let ticks = now.tick.0 - last.tick.0;
    // A counter that went back belongs to a database that was started again.
    let cpu = now.sample.cpu_us.checked_sub(last.sample.cpu_us);
    let io = now.sample.io_kib.checked_sub(last.sample.io_kib);
    let Some((cpu, io)) = cpu.zip(io).filter(|_| ticks <= TICKS_MAX) else { return Vec::new() };
    let ticks_of_time = (now.at - last.at).as_secs_f64() / tick.as_secs_f64();
    // Borders are rounded, so that nothing is lost by rounding.
    let border = |amount: u64, at: u64| (amount as f64 / ticks_of_time * at as f64).round() as u64;
    let part = |amount: u64, at: u64| border(amount, at + 1) - border(amount, at);
    let usage = |at| Usage { cpu: part(cpu, at), io: part(io, at), memory: now.sample.memory_kib };
    (0..ticks).map(|at| TickUsed { tick: Tick(last.tick.0 + at), usage: usage(at) }).collect()
}

impl UsageProbe for Probe {
    fn used(&mut self) -> io::Result<Vec<TickUsed>> {
        match self.failed.take() {
            Some(cause) if self.told.is_empty() => Err(cause),
            _ => Ok(std::mem::take(&mut self.told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn cgroup(cpu_us: u64, read: u64, memory: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, cpu_us, read, memory);
        folder
    }

    fn write(folder: &tempfile::TempDir, cpu_us: u64, read: u64, memory: u64) {
        let put = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        put("cpu.stat", format!("usage_usec {cpu_us}\nuser_usec 1\nsystem_usec 2\n"));
        put(
            "io.stat",
            format!(
                "8:0 rbytes={read} wbytes=1024 rios=1 wios=1 dbytes=5 dios=0\n8:16 rbytes=0 wbytes=1024\n"
            ),
        );
        put("memory.current", format!("{memory}\n"));
    }

    fn told(probe: &mut Probe) -> Vec<(u64, u64, u64, u64)> {
        let told = probe.used().unwrap();
        told.iter().map(|told| (told.tick.0, told.usage.cpu, told.usage.io, told.usage.memory)).collect()
    }

    #[test]
    fn a_tick_gets_what_was_used_divided_by_the_time_that_went_by() {
        let folder = cgroup(1_000, 0, 4096);
        let mut probe = Probe::cgroup(folder.path(), 100).unwrap();
        assert!(probe.absent().is_empty());
        let begin = Instant::now();
        probe.begins_at(Tick(7), begin);
        assert_eq!(told(&mut probe), []);
        write(&folder, 41_000, 10_240, 8192);
        probe.begins_at(Tick(8), begin + Duration::from_millis(125));
        assert_eq!(told(&mut probe), [(7, 32_000, 8, 8)]);
        // Two ticks late, in one stretch; nothing is lost by rounding.
        write(&folder, 41_101, 10_240, 8192);
        probe.begins_at(Tick(9), begin + Duration::from_millis(126));
        assert_eq!(told(&mut probe), []);
        probe.begins_at(Tick(11), begin + Duration::from_millis(425));
        assert_eq!(told(&mut probe), [(8, 34, 0, 8), (9, 33, 0, 8), (10, 34, 0, 8)]);
    }

    #[test]
    fn a_counter_that_went_back_and_a_long_sleep_tell_nothing() {
        let folder = cgroup(50_000, 0, 0);
        let mut probe = Probe::cgroup(folder.path(), 100).unwrap();
        let begin = Instant::now();
        probe.begins_at(Tick(1), begin);
        write(&folder, 10, 0, 0);
        probe.begins_at(Tick(2), begin + Duration::from_millis(100));
        assert_eq!(told(&mut probe), []);
        write(&folder, 110, 0, 0);
        probe.begins_at(Tick(3), begin + Duration::from_millis(200));
        assert_eq!(told(&mut probe), [(2, 100, 0, 0)]);
        probe.begins_at(Tick(3 + TICKS_MAX + 1), begin + Duration::from_hours(1));
        assert_eq!(told(&mut probe), []);
    }

    #[test]
    fn a_group_that_goes_is_an_error_and_comes_back() {
        let folder = cgroup(1, 0, 0);
        let mut probe = Probe::cgroup(folder.path(), 100).unwrap();
        let begin = Instant::now();
        probe.begins_at(Tick(1), begin);
        fs::remove_file(folder.path().join("cpu.stat")).unwrap();
        probe.begins_at(Tick(2), begin + Duration::from_millis(100));
        assert!(probe.used().is_err());
        assert!(probe.used().unwrap().is_empty(), "said once");
        write(&folder, 10, 0, 0);
        probe.begins_at(Tick(3), begin + Duration::from_millis(200));
        write(&folder, 25, 0, 0);
        probe.begins_at(Tick(4), begin + Duration::from_millis(300));
        assert_eq!(told(&mut probe), [(3, 15, 0, 0)]);
    }
}

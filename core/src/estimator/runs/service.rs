//! How cores are shared by what runs beside each other.
//!
//! A process that wants more than its fair share of the cores gets that share, whatever its query's rate is: it is
//! crowded. One that wants less has what it wants: it is free, and what it uses then tells its rate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Service {
    /// Time in which it had what it wanted, µs.
    pub(super) free_us: f64,
    /// CPU time of the rest, µs.
    pub(super) crowded_us: f64,
}

/// What each of `runs` is served by so many cores: from when until when it runs, µs, and how many processors it uses when
/// it is free.
pub(super) fn serve(cores: f64, runs: &[(u64, u64, f64)]) -> Vec<Service> {
    let mut changes = BTreeMap::<u64, (Vec<usize>, Vec<usize>)>::new();
    for (index, (from, to, _)) in runs.iter().enumerate() {
        changes.entry(*from).or_default().0.push(index);
        changes.entry(*to).or_default().1.push(index);
    }
    let mut services = vec![Service::default(); runs.len()];
    let mut running = Running { wants: Vec::new(), sum: 0.0 };
    let mut last = 0;
    for (at, (begin, end)) in changes {
        let level = running.level(cores.max(0.1));
        let passed = (at - last) as f64;
        for want in &running.wants {
            let service = &mut services[want.index];
            if want.each <= level {
                service.free_us += passed;
            } else {
                service.crowded_us += passed * level * want.processes;
            }
        }
        for index in begin {
            running.begin(index, runs[index].2);
        }
        for index in end {
            running.end(index);
        }
        last = at;
    }
    services
}

/// What runs, those that want least first.
struct Running {
    wants: Vec<Want>,
    sum: f64,
}

#[derive(Clone, Copy)]
struct Want {
    index: usize,
    processes: f64,
    /// Share of a core that each process wants.
    each: f64,
}

impl Running {
    fn begin(&mut self, index: usize, rate: f64) {
        // Who uses more than a core has workers.
        let processes = libm::ceil(rate - 0.1).max(1.0);
        let want = Want { index, processes, each: rate / processes };
        let at = self.wants.partition_point(|other| other.each < want.each);
        self.wants.insert(at, want);
        self.sum += rate;
    }

    fn end(&mut self, index: usize) {
        if let Some(at) = self.wants.iter().position(|want| want.index == index) {
            let Want { processes, each, .. } = self.wants.remove(at);
            self.sum -= processes * each;
        }
    }

    /// What a process gets at most.
    fn level(&self, cores: f64) -> f64 {
        if self.sum <= cores {
            return f64::INFINITY;
        }
        let mut processes: f64 = self.wants.iter().map(|want| want.processes).sum();
        let mut left = cores;
        for want in &self.wants {
            if want.each * processes > left {
                break;
            }
            left -= want.each * want.processes;
            processes -= want.processes;
        }
        if processes > 0.0 { left / processes } else { f64::INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_alone_is_free_and_more_than_cores_share() {
        let alone = serve(2.0, &[(10, 20, 0.8)]);
        assert_eq!(alone, [Service { free_us: 10.0, crowded_us: 0.0 }]);
        // Two for 10 µs, then four for 10 µs, each with half a core.
        let four = serve(2.0, &[(0, 20, 0.9), (0, 20, 0.9), (10, 20, 0.9), (10, 20, 0.9)]);
        assert_eq!(four[0], Service { free_us: 10.0, crowded_us: 5.0 });
        assert_eq!(four[3], Service { free_us: 0.0, crowded_us: 5.0 });
    }

    #[test]
    fn who_wants_little_gets_that_and_workers_get_their_own_share() {
        let shared = serve(2.0, &[(0, 10, 0.2), (0, 10, 1.8), (0, 10, 1.0)]);
        assert_eq!(shared[0], Service { free_us: 10.0, crowded_us: 0.0 });
        assert!((shared[1].crowded_us - 12.0).abs() < 1e-9, "{shared:?}");
        assert!((shared[2].crowded_us - 6.0).abs() < 1e-9, "{shared:?}");
    }
}

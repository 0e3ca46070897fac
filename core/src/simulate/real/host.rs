//! The host of a simulated database: processes that share cores, as fairly as the kernel does.

/// An execution on the host.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// Whose it is: the caller's number.
    pub(super) id: usize,
    /// CPU time that it has used, µs.
    pub(super) used_us: f64,
    left_us: f64,
    /// Share of a core that each of its processes uses when nobody else wants one.
    share: f64,
    processes: f64,
    /// Processors that it uses now.
    rate: f64,
}

/// Cores, and what runs on them. A process uses one core at most; what one leaves the others get.
#[derive(Clone, Debug)]
pub(super) struct Host {
    cores: f64,
    now_us: f64,
    /// CPU time used since the beginning, µs.
    pub(super) used_us: f64,
    pub(super) tasks: Vec<Task>,
}

impl Host {
    pub(super) fn new(cores: u32) -> Self {
        Self { cores: f64::from(cores), now_us: 0.0, used_us: 0.0, tasks: Vec::new() }
    }

    /// Begins an execution.
    pub(super) fn start(&mut self, id: usize, cpu_us: f64, share: f64, processes: u32) {
        let processes = f64::from(processes);
        self.tasks.push(Task { id, used_us: 0.0, left_us: cpu_us, share, processes, rate: 0.0 });
        self.divide();
    }

    /// Goes on until `us`, or until something ends: what, when and after how much CPU time.
    pub(super) fn advance(&mut self, us: f64) -> Option<(usize, f64, f64)> {
        let of = |task: &Task| task.left_us / task.rate;
        let next = self.tasks.iter().enumerate().min_by(|(_, a), (_, b)| of(a).total_cmp(&of(b)));
        let next = next.map(|(index, task)| (index, self.now_us + of(task))).filter(|(_, at)| *at <= us);
        let until = next.map_or(us, |(_, at)| at);
        let passed = (until - self.now_us).max(0.0);
        for task in &mut self.tasks {
            task.left_us -= passed * task.rate;
            task.used_us += passed * task.rate;
            self.used_us += passed * task.rate;
        }
        self.now_us = until;
        let (index, at) = next?;
        let task = self.tasks.swap_remove(index);
        self.divide();
        Some((task.id, at, task.used_us))
    }

    /// Each process gets the same, but for those that want less.
    fn divide(&mut self) {
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        order.sort_by(|a, b| self.tasks[*a].share.total_cmp(&self.tasks[*b].share));
        let mut left = self.cores;
        let mut processes: f64 = self.tasks.iter().map(|task| task.processes).sum();
        for index in order {
            let task = &mut self.tasks[index];
            let each = task.share.min(left / processes);
            task.rate = each * task.processes;
            left -= task.rate;
            processes -= task.processes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_a_core_at_most_and_more_than_cores_slow_each_other() {
        let mut host = Host::new(2);
        host.start(0, 100.0, 1.0, 1);
        assert_eq!(host.advance(1_000.0), Some((0, 100.0, 100.0)));
        (1..=4).for_each(|id| host.start(id, 100.0, 1.0, 1));
        let ends: Vec<_> = std::iter::from_fn(|| host.advance(1_000.0)).map(|(_, at, _)| at).collect();
        assert_eq!(ends, [300.0; 4]);
        assert!((host.used_us - 500.0).abs() < 1e-9);
    }

    #[test]
    fn what_one_leaves_others_get_and_workers_count() {
        let mut host = Host::new(2);
        host.start(0, 1e9, 0.2, 1);
        host.start(1, 1e9, 1.0, 2);
        host.start(2, 1e9, 1.0, 1);
        let rates: Vec<_> = host.tasks.iter().map(|task| task.rate).collect();
        assert!((rates[0] - 0.2).abs() < 1e-9 && (rates[1] - 1.2).abs() < 1e-9, "{rates:?}");
        assert!((rates.iter().sum::<f64>() - 2.0).abs() < 1e-9);
        assert_eq!(host.advance(1_000.0), None);
        assert!((host.used_us - 2_000.0).abs() < 1e-6);
    }
}

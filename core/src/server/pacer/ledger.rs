//! What credit is earned and spent. Until a sample says what was used, that is estimated; then the estimate is replaced.

use std::collections::VecDeque;

/// Longest that an estimate is kept for a sample that would replace it, µs.
const KEPT_US: u64 = 5_000_000;
/// Processors beyond which a sample is no sample.
const PROCESSORS_MAX: f64 = 4_096.0;

#[derive(Clone, Debug)]
pub(super) struct Ledger {
    now_us: u64,
    pub(super) credit_us: f64,
    /// Processors that others use: a mean of the last samples.
    others: f64,
    others_us: f64,
    /// What was estimated, oldest first, of time that no sample has covered.
    estimated: VecDeque<Estimated>,
    /// What clocks have said beyond what was estimated, and no sample has covered.
    corrected_us: f64,
}

/// A stretch of time, and processors used in it.
#[derive(Clone, Copy, Debug)]
struct Estimated {
    from_us: u64,
    to_us: u64,
    others: f64,
    running: f64,
}

impl Ledger {
    pub(super) fn new(now_us: u64, others_us: f64) -> Self {
        Self { now_us, credit_us: 0.0, others: 0.0, others_us, estimated: VecDeque::new(), corrected_us: 0.0 }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Goes on to `now_us`, at `pace` processors, while `running` are used by what has left.
    pub(super) fn pass(&mut self, now_us: u64, pace: f64, running: f64) {
        let from_us = self.now_us;
        if now_us <= from_us {
            return;
        }
        self.now_us = now_us;
        self.credit_us += (now_us - from_us) as f64 * (pace - self.others - running);
        self.estimated.push_back(Estimated { from_us, to_us: now_us, others: self.others, running });
        while self.estimated.front().is_some_and(|first| first.to_us + KEPT_US < now_us) {
            self.estimated.pop_front();
        }
    }

    /// A clock says that `us` more was used than was estimated.
    pub(super) fn correct(&mut self, us: f64) {
        self.credit_us -= us;
        self.corrected_us += us;
    }

    /// A sample takes the place of what was estimated of its time. What of that others used.
    pub(super) fn used(&mut self, from_us: u64, to_us: u64, cpu_us: u64) -> f64 {
        let length = to_us.saturating_sub(from_us) as f64;
        let cpu_us = cpu_us as f64;
        if length <= 0.0 || to_us > self.now_us || cpu_us > PROCESSORS_MAX * length {
            return 0.0;
        }
        let (mut running, mut others, mut known) = (self.corrected_us, 0.0, 0.0);
        while let Some(first) = self.estimated.front_mut().filter(|first| first.from_us < to_us) {
            let until = first.to_us.min(to_us);
            let covered = until.saturating_sub(first.from_us.max(from_us)) as f64;
            running += first.running * covered;
            others += first.others * covered;
            known += covered;
            first.from_us = until;
            if first.to_us <= until {
                self.estimated.pop_front();
            }
        }
        self.corrected_us = 0.0;
        if known > 0.0 {
            // Of a sample that is partly of time before the first estimate, that part is nobody's.
            self.credit_us -= cpu_us * known / length - running - others;
        }
        let others = cpu_us - running.clamp(0.0, cpu_us);
        self.others += (others / length - self.others) * (1.0 - libm::exp(-length / self.others_us.max(1.0)));
        others
    }
}

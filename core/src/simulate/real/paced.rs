//! Leader and server of a real database in one: a [`PaceTarget`] says how much, a [`Pacer`] spends that.

use super::{DELAY_MAX_US, TICK_US, Tuning, execution};
use crate::{
    scheduler::pacing::{PaceSettings, PaceTarget},
    server::pacer::{Held, Pacer},
    units::ids::ExecutionId,
};

/// Ticks that a plan holds.
const PLAN_TICKS: u64 = 10;

pub(super) struct Paced {
    pacer: Pacer,
    target: PaceTarget,
}

impl Paced {
    pub(super) fn new(cores: u32, tuning: Tuning) -> Self {
        let settings = PaceSettings { cores, ..tuning.target };
        Self { pacer: Pacer::new(tuning.pacer, 0), target: PaceTarget::new(settings, 0) }
    }

    pub(super) fn arrived(&mut self, us: u64, id: usize, cost_us: u64) {
        self.target.arrived(us, cost_us);
        let latest_us = us + DELAY_MAX_US;
        self.pacer.hold(Held { execution: execution(id), arrived_us: us, latest_us, cost_us });
    }

    pub(super) fn released(&mut self, us: u64) -> Vec<usize> {
        self.pacer.released(us).into_iter().map(|release| number(release.execution)).collect()
    }

    pub(super) fn ended(&mut self, us: u64, id: usize, cpu_us: Option<u64>) {
        self.pacer.ended(us, execution(id), cpu_us);
    }

    pub(super) fn tick(&mut self, us: u64, used_us: u64, clocks: &[(usize, u64)]) {
        for (id, cpu_us) in clocks {
            self.pacer.progress(us, execution(*id), *cpu_us);
        }
        let others_us = self.pacer.used(us, us - TICK_US, us, used_us);
        self.target.others(us, others_us as u64);
        let pace = self.target.pace(us, self.pacer.waiting_us());
        self.pacer.plan(us, pace, us + PLAN_TICKS * TICK_US);
    }

    pub(super) fn waiting(&self) -> Vec<usize> {
        self.pacer.held().map(|held| number(held.execution)).collect()
    }
}

/// The inverse of [`execution`].
fn number(execution: ExecutionId) -> usize {
    (execution.0.as_u128() & ((1 << 62) - 1)) as usize - 1
}

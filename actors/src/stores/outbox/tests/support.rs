//! A small server: a queue that decides, and an outbox that keeps what was decided.

use std::path::Path;

use evenkeel_core::{
    journal::{Commit, Mode, Recovered},
    server::queue::{HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::{Measured, OpenWindow, Window},
    },
};
use uuid::Uuid;

use super::super::*;

pub(super) const NOW_MS: u64 = 1_800_000_000_000;

pub(super) fn identity() -> Identity {
    Identity {
        label: "scenario test, seed 1".to_owned(),
        text: "{\"seed\":1}".to_owned(),
        ..Identity::default()
    }
}

pub(super) fn journal_id() -> Uuid {
    Uuid::from_u128(7)
}

pub(super) fn try_open(dir: &Path) -> Result<(Outbox, Recovered), OpenError> {
    Outbox::open(dir, &identity(), journal_id(), NOW_MS, Limits::default())
}

pub(super) fn open(dir: &Path) -> (Outbox, Recovered) {
    try_open(dir).unwrap()
}

/// Decides commits tick by tick, as the server's actors do; what arrives is a function of the tick.
pub(super) struct Decider {
    pub queue: RecordedQueue,
    open: OpenWindow,
    last: Option<Window>,
    last_usage: Option<(Tick, u64)>,
}

impl Decider {
    pub(super) fn new(recovered: &Recovered) -> Self {
        let state = &recovered.state;
        let executed = recovered.last_batch.len() as u64;
        Self {
            queue: RecordedQueue::recover(Lengths::default(), HoldLimits::default(), recovered),
            open: state.open_window,
            last: state.last_window,
            last_usage: state.next_tick.0.checked_sub(1).map(|tick| (Tick(tick), executed)),
        }
    }

    /// The next tick with `arrivals` new executions.
    pub(super) fn tick(&mut self, arrivals: u64) -> Commit {
        let tick = self.queue.queue().next_tick();
        let closed = self.last_usage.and_then(|(tick, executed)| {
            self.open.add(tick, &Usage::all(executed * 7 + 1), executed).unwrap()
        });
        self.last = closed.or(self.last);
        let measured = Measured { closed, open: self.open, last: self.last };
        let at_ms = NOW_MS + tick.0 * 100;
        let arrivals = (0..arrivals).map(|n| {
            let entropy = u128::from(tick.0) << 32 | u128::from(n);
            (ExecutionId::new(at_ms, entropy), QueryId::simulated(1, (n % 100) as usize))
        });
        let (commit, executed) =
            self.queue.advance(tick, at_ms, arrivals.map(Into::into).collect(), measured).unwrap();
        self.last_usage = Some((tick, executed.len() as u64));
        commit
    }

    pub(super) fn set_mode(&mut self, mode: Mode) -> Commit {
        self.queue.set_mode(mode, NOW_MS)
    }
}

/// Commits `ticks` ticks one by one, with a few arrivals each.
pub(super) fn run(outbox: &mut Outbox, decider: &mut Decider, ticks: u64) {
    for _ in 0..ticks {
        let arrivals = 1 + decider.queue.queue().next_tick().0 % 3;
        let commit = decider.tick(arrivals);
        outbox.commit(vec![commit]).remove(0).unwrap();
    }
}

/// A copy as it would lie on the disk now.
pub(super) fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Real time, in which another thread or process does something.
#[expect(clippy::disallowed_methods, reason = "no arbiter runs in these tests")]
pub(super) fn pause(ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(ms));
}

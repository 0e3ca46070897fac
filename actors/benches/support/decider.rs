//! A server's decisions without a database: as many arrivals, hence executions, in every tick.

use evenkeel_core::{
    journal::{Commit, Mode, Recovered},
    server::queue::{HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::{Measured, OpenWindow},
    },
};

pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// See the module.
pub(crate) struct Decider {
    queue: RecordedQueue,
    open: OpenWindow,
    arrivals: u64,
}

impl Decider {
    /// One that nobody levels, so that what arrives runs in the next tick, and the commit that says so.
    pub(crate) fn new(arrivals: u64) -> (Self, Commit) {
        let mut queue =
            RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default());
        let first = queue.set_mode(Mode::Off, NOW_MS);
        (Self { queue, open: OpenWindow::default(), arrivals }, first)
    }

    pub(crate) fn tick(&mut self) -> Commit {
        let tick = self.queue.queue().next_tick();
        let before = tick.0.checked_sub(1).map(Tick);
        let closed =
            before.and_then(|tick| self.open.add(tick, &Usage::all(1), self.arrivals).expect("in turn"));
        let measured = Measured { closed, open: self.open, last: closed };
        let at_ms = NOW_MS + tick.0 * 100;
        let arrivals = (0..self.arrivals)
            .map(|n| (ExecutionId::new(at_ms, n.into()), QueryId::simulated(1, (n % 100) as usize)));
        self.queue.advance(tick, at_ms, arrivals.map(Into::into).collect(), measured).expect("in turn").0
    }
}

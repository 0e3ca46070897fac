//! What goes on while nobody plans: the stock is held, and leaves at the pace of the last minute.
//!
//! ```text
//! a new plan ──▶ a tick without one ──▶ holds the stock, 60 s ──▶ lets it fade, 60 s ──▶ over: base due ticks
//!    ▲                                                  │
//!    └────────────────── a leader is back ──────────────┘
//! ```
//!
//! Released at once, what waits would be a peak; held until the lease is over, the load would stand still.

use crate::{server::control::lease_ticks, units::lengths::Lengths};

/// How long the stock is held, and then how long it fades, in milliseconds.
const HOLD_MS: u64 = 60_000;
/// Ticks over which a stock that is larger than usual leaves, and a smaller one grows.
const STOCK_TICKS: f64 = 50.0;
/// The pace stays between these shares of the mean.
const PACE: [f64; 2] = [0.75, 1.25];

/// The most executions of a tick at a mean of so many.
pub(super) fn most(mean: f64) -> usize {
    libm::ceil(PACE[1] * mean) as usize
}

/// The fewest of a tick that a late plan must have placed, at a mean of so many.
pub(super) fn least(mean: f64) -> usize {
    libm::ceil(PACE[0] * mean) as usize
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    hold_ticks: u64,
    /// Ticks without a new plan; none where nobody has ever planned.
    ticks: Option<u64>,
    /// Whether a plan has come since the last tick.
    has_plan: bool,
    /// Ticks with a plan after which whoever was silent is really back: a lease. The first plans may be made from an old
    /// view.
    back_after: u64,
    /// Ticks with a plan since the last one without, up to that.
    back_ticks: u64,
    /// Whether the last leader has left slots that need no lease.
    handed_over: bool,
    /// The mean of what waited while there were plans, over about a minute.
    stock: f64,
    /// Ticks with a plan, as far as they count for that mean.
    planned_ticks: u64,
    /// What of the pace has not been used: a pace has a fraction, a tick has none.
    credit: f64,
}

impl Silence {
    pub(super) fn new(lengths: Lengths) -> Self {
        let back_after = lease_ticks(lengths);
        Self {
            hold_ticks: HOLD_MS.div_ceil(lengths.tick_ms.max(1)),
            ticks: None,
            has_plan: false,
            back_after,
            back_ticks: back_after,
            handed_over: false,
            stock: 0.0,
            planned_ticks: 0,
            credit: 0.0,
        }
    }

    /// A server that starts while somebody levelled: `waiting` is held until that one is back.
    pub(super) fn begin(&mut self, waiting: usize) {
        self.ticks = Some(0);
        self.stock = waiting as f64;
        self.back_ticks = 0;
    }

    /// A plan has come. One that does not serve was made for ticks that have begun: the next one is silent.
    pub(super) fn planned(&mut self, handover: bool, serves: bool) {
        // One that hands over is the last: the next tick has its slots, and is silent.
        self.has_plan = !handover && serves;
        self.handed_over = handover;
        self.ticks = Some(0);
        self.credit = 0.0;
    }

    /// A tick is over, and so many wait.
    pub(super) fn ticked(&mut self, waiting: usize) {
        if self.has_plan {
            self.back_ticks = (self.back_ticks + 1).min(self.back_after);
            self.planned_ticks = (self.planned_ticks + 1).min(self.hold_ticks);
            self.stock += (waiting as f64 - self.stock) / self.planned_ticks as f64;
        } else if let Some(ticks) = &mut self.ticks {
            *ticks += 1;
            self.back_ticks = 0;
        }
        self.has_plan = false;
    }

    /// Whether the tick that begins has a new plan.
    pub(super) fn has_plan(&self) -> bool {
        self.has_plan
    }

    /// Whether the last tick was silent.
    pub(super) fn was_silent(&self) -> bool {
        self.back_ticks == 0
    }

    /// Whether plans have come for long enough to be taken as they are.
    pub(super) fn is_long_over(&self) -> bool {
        self.back_ticks == self.back_after
    }

    /// Whether slots count though nobody holds a lease.
    pub(super) fn keeps_slots(&self) -> bool {
        self.handed_over
    }

    /// Whether what waits is still held.
    pub(super) fn holds(&self) -> bool {
        self.ticks.is_some_and(|ticks| ticks < 2 * self.hold_ticks)
    }

    /// Executions of this tick, at a mean of so many, while so many wait.
    pub(super) fn pace(&mut self, mean: Option<f64>, waiting: usize) -> usize {
        let mean = mean.unwrap_or(1.0);
        let [least, most] = PACE.map(|share| share * mean);
        let pace = (mean + (waiting as f64 - self.held_stock()) / STOCK_TICKS).clamp(least, most);
        self.credit += pace;
        libm::floor(self.credit).max(0.0) as usize
    }

    /// So many have run.
    pub(super) fn ran(&mut self, executed: usize) {
        // What a tick could not use, because nothing waited, the next one does not get on top.
        self.credit = (self.credit - executed as f64).clamp(-1.0, 1.0);
    }

    /// What is to wait: as much as before, and after a while less and less.
    fn held_stock(&self) -> f64 {
        let fading = self.ticks.unwrap_or_default().saturating_sub(self.hold_ticks) as f64;
        self.stock * (1.0 - fading / self.hold_ticks as f64).max(0.0)
    }
}

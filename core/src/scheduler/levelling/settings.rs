//! The one set of defaults that serves every load.

/// What was found by measuring: see the tables in SOLUTION.md.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Below so many arrivals a tick some ticks stay empty whatever is held: levelling is not worth it.
    pub(super) worth_it_rate: f64,
    /// Above so many arrivals a tick the target is held tick by tick, below it whole windows are planned.
    pub(super) by_tick_rate: f64,
    /// Ticks over which a surplus or lack of stock is worked off.
    pub(super) settle_ticks: f64,
    /// Largest change of the target from one tick to the next, as a share.
    pub(super) step_max: f64,
    /// Largest distance of the target from what arrives, as a share.
    pub(super) surge_max: f64,
    /// Deviation from the target that costs one point, as a share.
    pub(super) band: f64,
    /// Points for each mean delay that an execution has waited.
    pub(super) age_worth: f64,
    /// Points below which a tick's sum is not searched for further.
    pub(super) good_enough: f64,
    /// Deviation from the mean that is planned with: the corridor less what rounding needs.
    pub(super) tolerance: f64,
    /// What an execution without like is worth in a window, in percentage points.
    pub(super) misfit_worth: f64,
    /// What each mean delay that an execution has waited is worth in a window, in percentage points.
    pub(super) window_age_worth: f64,
    /// Executions by which the stock may end off its goal when the nearest count a tick does not fit.
    pub(super) stock_slack: f64,
    /// Steps of the search for a new window.
    pub(super) steps_anew: usize,
    /// Steps of the search when arrivals may improve the rest of a window.
    pub(super) steps_again: usize,
    /// Largest count a tick that is given up for a window of what is hardest to place.
    pub(super) junk_per_tick_max: usize,
}

impl Settings {
    pub(super) fn new() -> Self {
        Self {
            worth_it_rate: 0.7,
            by_tick_rate: 4.5,
            settle_ticks: 10.0,
            step_max: 0.012,
            surge_max: 0.25,
            band: 0.06,
            age_worth: 0.1,
            good_enough: 0.1,
            tolerance: 0.0985,
            misfit_worth: 0.3,
            window_age_worth: 0.1,
            stock_slack: 10.0,
            steps_anew: 6000,
            steps_again: 600,
            junk_per_tick_max: 2,
        }
    }
}

//! The one set of defaults that serves every load.

/// Found by measuring on seeds that the published tables do not use. Rates are arrivals a tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    /// Below this rate levelling is not worth it: most ticks stay without execution whatever is held.
    pub(super) worth_it_rate: f64,
    /// Around this rate whole windows give way to a target that is held tick by tick.
    pub(super) by_tick_rate: f64,
    /// Whether windows are short enough to be planned whole.
    pub(super) whole_windows: bool,
    /// Mean delay that whole windows need: six of their ticks must wait before they begin.
    pub(super) by_window_delay: f64,
    /// Rate² times mean delay from which on a target held tick by tick brings a third of the windows into
    /// the corridor, whatever the rate.
    pub(super) by_tick_stock: f64,
    /// Executions that must wait beyond those of the next tick, so that there is a choice at all.
    pub(super) by_tick_spare: f64,
    /// Mean delay above which peaks can be cut: one tick is none added.
    pub(super) cap_delay: f64,
    /// Ceiling of the mean delay below which all of it is spent on peaks.
    pub(super) cap_only_below: f64,
    /// Above it, what is spent on peaks is 1 + this · √(ceiling − 1).
    pub(super) cap_spends: f64,
    /// Standard error of a tick's sum, as a share of it, above which most windows leave the corridor.
    pub(super) uncertain: f64,
    /// The same, above which costs are so little known that delay buys nothing.
    pub(super) unknown: f64,
    /// How far below its goal one tick of each window is while costs are unknown, as a share…
    pub(super) teach_below: f64,
    /// …and how far above another one.
    pub(super) teach_above: f64,
    /// How far a limit must be passed before another way is taken, as a share.
    pub(super) hysteresis: f64,
    /// Ceiling for the mean delay when none is given, in ticks.
    pub(super) delay_ticks_max: f64,
    /// How fast a mean delay below or above the ceiling is spent or saved.
    pub(super) credit: f64,
    /// Least share of the ceiling that is aimed for, however much was overspent: an outage must not end
    /// the levelling of the hours after it.
    pub(super) least_share: f64,
    /// The knee by tick is 1 + this / rate ticks…
    pub(super) knee_by_tick: f64,
    /// …of which at most this…
    pub(super) knee_fine_max: f64,
    /// …and this / rate⁵ more, because few executions a tick are coarse grains.
    pub(super) knee_coarse: f64,
    /// The knee by window is this / rate ticks…
    pub(super) knee_by_window: f64,
    /// …and this many for each unit that the rate is below `ones_below_rate`.
    pub(super) knee_ones: f64,
    /// Below this rate windows of one execution a tick are needed: two, and the spread of the rate.
    pub(super) ones_below_rate: f64,

    /// Mean delays over which a surplus or lack of stock is worked off.
    pub(super) settle_delays: f64,
    /// Largest change of the target from a window to the next, as a share.
    pub(super) step_at_border: f64,
    /// Largest change of the target from a tick to the next inside a window, as a share.
    pub(super) step_inside: f64,
    /// Largest distance of the target above what arrives, as a share: it is a peak of its minute.
    pub(super) surge_max: f64,
    /// The same below, and above it after an outage.
    pub(super) ebb_max: f64,
    /// Deviation from the target that costs one point, as a share.
    pub(super) band: f64,
    /// Points for each mean delay that an execution has waited.
    pub(super) age_worth: f64,
    /// Points below which a tick's sum is not searched for further.
    pub(super) good_enough: f64,

    /// Deviation from the mean that windows are planned with: the corridor less what rounding and
    /// costs known to a few tenths of a percent need.
    pub(super) tolerance: f64,
    /// Executions by which the stock may end off its goal when the nearest count a tick does not fit.
    pub(super) stock_slack: f64,
    /// Ticks over which a surplus of stock is worked off by windows of more than what arrives.
    pub(super) drain_ticks: f64,
    /// Arrivals a tick that are left to pile up rather than to run one more in a tick.
    pub(super) most_slack: f64,
    /// What a tick of a window should not pass, over the most executions of the mean cost that a tick may have.
    pub(super) window_limit: f64,
    /// What a percentage point beyond that costs, in percentage points of deviation, while windows of one execution a
    /// tick are needed…
    pub(super) peak_worth: f64,
    /// …and while they are not: where more arrives peaks are lower anyway.
    pub(super) peak_worth_many: f64,
    /// Share of the stock that may be planned away.
    pub(super) planned_share: f64,
    /// Ticks that must fit for a window to begin; the others wait for arrivals.
    pub(super) horizon_min: usize,
    /// Steps of the search for a new window.
    pub(super) steps_begin: usize,
    /// Steps of the search for the rest of a window.
    pub(super) steps_go_on: usize,
    /// Largest count a tick of a window that cannot be level.
    pub(super) lost_per_tick_max: usize,
    /// Below this rate a window that cannot be level runs at half pace while stock is short.
    pub(super) half_pace_rate: f64,

    /// Share of arrivals that is kept for windows of one a tick, relative to what those windows run.
    pub(super) kept_share: f64,
    /// What it is worth to keep a query of the fastest families, in percentage points of deviation.
    pub(super) kept_worth: f64,
    /// What it is worth to keep an execution of a family that is complete; less when it takes longer.
    pub(super) soon_worth: f64,
    /// Mean delays of waiting for a family to be complete that leave 1/e of `soon_worth`.
    pub(super) soon_delays: f64,
    /// What each mean delay that an execution has waited is worth, in percentage points.
    pub(super) window_age_worth: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worth_it_rate: 0.7,
            by_tick_rate: 4.5,
            whole_windows: true,
            by_window_delay: 10.0,
            by_tick_stock: 50.0,
            by_tick_spare: 2.0,
            cap_delay: 1.05,
            cap_only_below: 1.5,
            cap_spends: 0.45,
            uncertain: 0.045,
            unknown: 0.1,
            teach_below: 0.4,
            teach_above: 0.25,
            hysteresis: 0.07,
            delay_ticks_max: 120.0,
            credit: 6.0,
            least_share: 0.8,
            knee_by_tick: 52.0,
            knee_fine_max: 3.6,
            knee_coarse: 30_000.0,
            knee_by_window: 40.0,
            knee_ones: 140.0,
            ones_below_rate: 2.05,
            settle_delays: 3.5,
            step_at_border: 0.03,
            step_inside: 0.008,
            surge_max: 0.12,
            ebb_max: 0.25,
            band: 0.06,
            age_worth: 0.03,
            good_enough: 0.1,
            tolerance: 0.0985,
            stock_slack: 10.0,
            drain_ticks: 120.0,
            most_slack: 0.08,
            window_limit: 1.05,
            peak_worth: 0.3,
            peak_worth_many: 0.15,
            planned_share: 0.8,
            horizon_min: 6,
            steps_begin: 6_000,
            steps_go_on: 600,
            lost_per_tick_max: 2,
            half_pace_rate: 1.05,
            kept_share: 0.75,
            kept_worth: 3.0,
            soon_worth: 3.0,
            soon_delays: 0.5,
            window_age_worth: 0.1,
        }
    }
}

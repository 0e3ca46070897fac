//! How long executions should wait on average, which is how many should wait (Little 1961).

use super::settings::Settings;

/// Mean delay that may be aimed for now, in ticks: the budget, more after saving, less after overspending.
pub(super) fn allowed_ticks(settings: &Settings, budget: Option<f64>, recent_delay: Option<f64>) -> f64 {
    let ceiling = ceiling_ticks(settings, budget);
    // What was saved when executions came often is spent when they come rarely, and what was
    // overspent is saved again.
    let spent = recent_delay.map_or(1.0, |delay| delay / ceiling);
    let share = (1.0 + settings.credit * (1.0 - spent)).max(settings.least_share);
    (ceiling * share).max(1.0)
}

/// Whether the mean of what ran lately is up to what may be aimed for.
pub(super) fn is_spent(settings: &Settings, budget: Option<f64>, recent_delay: Option<f64>) -> bool {
    recent_delay.is_some_and(|delay| delay >= ceiling_ticks(settings, budget))
}

/// Whether the budget is overspent and so much waits that it will stay so: bursts cannot be spread within a
/// budget of two ticks, for one. An outage overspends too, but then the stock is soon back at its goal.
pub(super) fn overspends(
    settings: &Settings,
    budget: Option<f64>,
    recent_delay: Option<f64>,
    waiting_ticks: f64,
) -> bool {
    let over = budget.zip(recent_delay).is_some_and(|(budget, recent)| recent > CLEARLY_OVER * budget);
    over && waiting_ticks > WELL_ABOVE * allowed_ticks(settings, budget, recent_delay)
}

/// The mean that forgets passes the budget by less when what was saved long ago is spent.
const CLEARLY_OVER: f64 = 1.01;
/// What waits against what may wait: more than fluctuations and a goal that was just lowered.
const WELL_ABOVE: f64 = 1.15;
/// Time constant over which what waits is averaged: several bursts, and longer than an outage counts.
const WAITING_TICKS: f64 = 3_000.0;

/// The mean of what waits, in ticks of arrivals, a tick later than `before`.
pub(super) fn waiting_ticks(before: Option<f64>, waiting: usize, rate: f64) -> f64 {
    let now = waiting as f64 / rate.max(f64::MIN_POSITIVE);
    before.map_or(now, |before| before + (now - before) / WAITING_TICKS)
}

/// Aimed for just below the budget: the mean swings by a percent around its goal.
fn ceiling_ticks(settings: &Settings, budget: Option<f64>) -> f64 {
    0.985 * budget.unwrap_or(settings.delay_ticks_max).max(1.0)
}

/// Mean delay that is spent on peaks alone: the first ticks cut most of them, and what is saved levels when it
/// has come to be enough.
pub(super) fn cap_ticks(settings: &Settings, budget: Option<f64>) -> f64 {
    let ceiling = ceiling_ticks(settings, budget);
    if ceiling < settings.cap_only_below {
        return ceiling;
    }
    1.0 + settings.cap_spends * libm::sqrt(ceiling - 1.0)
}

/// Past the knee more delay buys little: tick by tick.
pub(super) fn knee_by_tick(settings: &Settings, rate: f64) -> f64 {
    let fine = (settings.knee_by_tick / rate).min(settings.knee_fine_max);
    1.0 + fine + settings.knee_coarse / libm::pow(rate, 5.0)
}

/// The same for whole windows.
pub(super) fn knee_by_window(settings: &Settings, rate: f64, budget: Option<f64>) -> f64 {
    // Between one and two arrivals a tick the windows must be of one or of two executions a tick; the
    // share of those of one is 2 − rate, and to collect ten alike for them takes the most stock.
    let ones = (settings.ones_below_rate - rate).max(0.0);
    // A small budget had better be spent there alone, a large one allows it everywhere.
    let ample = libm::sqrt(ceiling_ticks(settings, budget) / settings.delay_ticks_max).min(1.0);
    settings.knee_by_window / rate + settings.knee_ones * ones * ample
}

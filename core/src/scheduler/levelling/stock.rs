//! How long executions should wait on average, which is how many should wait (Little 1961).

use super::settings::Settings;

/// Mean delay to aim for, in ticks: the knee at this rate and `ahead_ticks` more, or what the budget leaves.
pub(super) fn delay_ticks(
    settings: &Settings,
    rate: f64,
    ahead_ticks: f64,
    budget: Option<f64>,
    recent_delay: Option<f64>,
) -> f64 {
    // Aimed for just below it: the mean swings by a percent around its goal.
    let ceiling = 0.985 * budget.unwrap_or(settings.delay_ticks_max).max(1.0);
    // What was saved when executions came often is spent when they come rarely, and what was
    // overspent is saved again.
    let spent = recent_delay.map_or(1.0, |delay| delay / ceiling);
    let share = (1.0 + settings.credit * (1.0 - spent)).max(settings.least_share);
    let allowed = ceiling * share;
    (knee_ticks(settings, rate, ceiling) + ahead_ticks).min(allowed).max(1.0)
}

/// Past the knee more delay buys little.
fn knee_ticks(settings: &Settings, rate: f64, ceiling: f64) -> f64 {
    if rate >= settings.by_tick_rate {
        return 1.0 + settings.knee_by_tick / libm::pow(rate, settings.knee_exponent);
    }
    // Between one and two arrivals a tick the windows must be of one or of two executions a tick; the
    // share of those of one is 2 − rate, and to collect ten alike for them takes the most stock.
    let ones = (settings.ones_below_rate - rate).max(0.0);
    settings.knee_by_window / rate + settings.knee_ones * ones * (ceiling / settings.delay_ticks_max).min(1.0)
}

//! How long executions should wait on average, which is how many should wait (Little 1961).

/// The knee: past it more delay buys little. Two effects add up: from how many the search can choose
/// (which falls steeply while a tick has only a few), and how far arrivals stray from their mean while
/// the target follows slowly.
fn knee_ticks(rate: f64) -> f64 {
    1.0 + 30.0 / libm::pow(rate, 0.85) + 100.0 / (rate * rate)
}

/// Mean delay to aim for, in ticks.
pub(super) fn delay_ticks(rate: f64, budget: Option<f64>) -> f64 {
    let knee = knee_ticks(rate).min(120.0);
    budget.map_or(knee, |budget| knee.min(budget)).max(1.0)
}

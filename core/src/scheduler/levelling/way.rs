//! Which way to level, or why not to.

use super::settings::Settings;
use crate::scheduler::problem::Binding;

/// What is done with what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody is held, because of what binds.
    AtBase(Binding),
    /// Peaks are cut, and no more than that, because of what binds.
    UnderCap(Binding),
    /// Whole windows of one, two, three… executions a tick.
    ByWindow,
    /// Towards a slowly moving target, tick by tick.
    ByTick,
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    /// Arrivals a tick.
    pub(super) rate: f64,
    /// Standard error of a tick's sum, as a share of it.
    pub(super) uncertainty: f64,
    /// Mean delay that the budget allows, in ticks.
    pub(super) allowed_ticks: f64,
    /// Whether the budget is overspent and what waits shows that it will stay so.
    pub(super) overspends: bool,
    /// Mean delay that maximum delays leave room for, in ticks.
    pub(super) hold_ticks: f64,
}

impl Way {
    /// The way for `means`. What was done `before` goes on through fluctuations.
    pub(super) fn choose(settings: &Settings, means: &Means, before: Option<Self>) -> Self {
        let reaches = |value: f64, limit: f64, is_on: bool| {
            value >= limit * if is_on { 1.0 - settings.hysteresis } else { 1.0 + settings.hysteresis }
        };
        let was = |way: Self| before == Some(way);
        if means.rate < settings.worth_it_rate {
            return Self::AtBase(Binding::Arrivals);
        }
        if means.overspends {
            return Self::AtBase(Binding::Budget);
        }
        let delay = means.allowed_ticks.min(means.hold_ticks);
        let few = !reaches(means.rate, settings.by_tick_rate, was(Self::ByTick));
        if few && !settings.whole_windows {
            // A tick of so few executions strays further than a long window allows now and then.
            return if delay > settings.cap_delay {
                Self::UnderCap(Binding::Arrivals)
            } else {
                Self::AtBase(Binding::Arrivals)
            };
        }
        if few && reaches(delay, settings.by_window_delay, was(Self::ByWindow)) {
            // Windows of a few executions need costs; a target of many at least evens out their number.
            let known =
                !reaches(means.uncertainty, settings.unknown, was(Self::UnderCap(Binding::Estimates)));
            return if known { Self::ByWindow } else { Self::UnderCap(Binding::Estimates) };
        }
        let by_tick = was(Self::ByTick);
        if reaches(means.rate * means.rate * delay, settings.by_tick_stock, by_tick)
            && reaches(means.rate * (delay - 1.0), settings.by_tick_spare, by_tick)
        {
            return Self::ByTick;
        }
        let budget_binds = means.allowed_ticks <= means.hold_ticks;
        let binding = if budget_binds { Binding::Budget } else { Binding::Deadlines };
        if delay > settings.cap_delay { Self::UnderCap(binding) } else { Self::AtBase(binding) }
    }
}

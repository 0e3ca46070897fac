//! One sentence with the numbers, for the journal and for whoever asks why an execution waited.

use super::{item::Item, units::Units};
use crate::{scheduler::problem::Binding, units::tick::Tick};

/// Why an execution runs in a tick that was composed.
pub(super) fn composed(item: &Item, tick: Tick, others: usize, sums: Units, goal: Units) -> String {
    let waited = tick.since(item.queued_tick);
    format!(
        "waited {waited} ticks: with {others} other{} tick {tick} comes to cpu {:.0}, io {:.0}, memory {:.0}, at most {:.1} % from its goal",
        if others == 1 { "" } else { "s" },
        sums[0],
        sums[1],
        sums[2],
        100.0 * deviation(sums, goal),
    )
}

/// Why an execution runs although it fits nowhere.
pub(super) fn leftover(item: &Item, tick: Tick, pending: usize) -> String {
    let waited = tick.since(item.queued_tick);
    format!(
        "waited {waited} ticks: no level second could be made of the {pending} that wait, and this one fits least"
    )
}

/// Why an execution that had a slot is held again.
pub(super) fn held_back(item: &Item, deadline: Tick) -> String {
    let most = deadline.since(item.queued_tick);
    format!("held for a later second, at most {most} ticks: what arrived since fits better")
}

/// Why an execution is not held at all.
pub(super) fn at_base(rate: f64, binding: Binding) -> String {
    match binding {
        Binding::Arrivals => format!("not held: at {rate:.2} arrivals a tick no second can be level"),
        Binding::Budget => {
            format!("not held: at {rate:.2} arrivals a tick the delay budget is too small for level seconds")
        }
        Binding::Deadlines => {
            format!("not held: at {rate:.2} arrivals a tick maximum delays are too short for level seconds")
        }
        Binding::Estimates => "not held: what queries cost is not known well enough yet".to_owned(),
    }
}

/// Why an execution runs in a tick below a cap.
pub(super) fn under_cap(
    item: &Item,
    tick: Tick,
    others: usize,
    sums: Units,
    over_mean: f64,
    binding: Binding,
) -> String {
    let waited = tick.since(item.queued_tick);
    let because = match binding {
        Binding::Arrivals => "too few executions arrive",
        Binding::Budget => "the delay budget is too small",
        Binding::Deadlines => "maximum delays are too short",
        Binding::Estimates => "costs are not known well enough yet",
    };
    format!(
        "waited {waited} ticks: with {others} other{} tick {tick} comes to cpu {:.0}, io {:.0}, memory {:.0}, below {over_mean:.2} times the mean: {because} for level seconds, peaks are cut all the same",
        if others == 1 { "" } else { "s" },
        sums[0],
        sums[1],
        sums[2],
    )
}

/// Why an execution runs that cannot be held longer.
pub(super) fn deadline(item: &Item, tick: Tick) -> String {
    format!("ran after {} ticks, its maximum delay", tick.since(item.queued_tick))
}

fn deviation(sums: Units, goal: Units) -> f64 {
    (0..3).map(|r| (sums[r] / goal[r].max(1e-9) - 1.0).abs()).fold(0.0, f64::max)
}

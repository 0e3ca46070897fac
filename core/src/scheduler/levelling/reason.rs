//! One sentence with the numbers, for the journal and for whoever asks why an execution waited.

use super::units::Units;
use crate::scheduler::problem::Binding;

/// Why an execution runs in a tick that was composed. How long it waited stands beside the reason.
pub(super) fn composed(others: usize, sums: Units, goal: Units) -> String {
    let goals = amounts(goal);
    let away = 100.0 * deviation(sums, goal);
    format!("{}; the goal of the window is {goals}, at most {away:.1} % away", company(others, sums))
}

/// Why an execution runs although it fits nowhere.
pub(super) fn leftover(pending: usize) -> String {
    format!("no window in the corridor can be made of the {pending} that wait, and this execution fits least")
}

/// Why an execution that had a slot is held again.
pub(super) fn held_back() -> String {
    "held for a later window: what arrived since fits better".to_owned()
}

/// Why an execution is not held at all.
pub(super) fn at_base(rate: f64, binding: Binding) -> String {
    match binding {
        Binding::Arrivals => {
            format!("not held: at {rate:.2} arrivals a tick no window can be in the corridor")
        }
        Binding::Budget => {
            format!("not held: at {rate:.2} arrivals a tick the delay budget is too small for the corridor")
        }
        Binding::Deadlines => {
            format!("not held: at {rate:.2} arrivals a tick maximum delays are too short for the corridor")
        }
        Binding::Estimates => "not held: what queries cost is not known well enough yet".to_owned(),
    }
}

/// Why an execution runs in a tick below a cap.
pub(super) fn under_cap(others: usize, sums: Units, over_mean: f64, binding: Binding) -> String {
    let because = match binding {
        Binding::Arrivals => "too few executions arrive",
        Binding::Budget => "the delay budget is too small",
        Binding::Deadlines => "maximum delays are too short",
        Binding::Estimates => "costs are not known well enough yet",
    };
    let company = company(others, sums);
    format!("{company}; the cap is {over_mean:.2} times the mean: {because} for the corridor, peaks are cut")
}

/// Why an execution runs that cannot be held longer.
pub(super) fn deadline() -> String {
    "it has reached its maximum delay".to_owned()
}

/// What a tick comes to with the execution and so many others.
fn company(others: usize, sums: Units) -> String {
    let s = if others == 1 { "" } else { "s" };
    format!("with {others} other{s} its tick comes to {}", amounts(sums))
}

fn amounts([cpu, io, memory]: Units) -> String {
    format!("cpu {cpu:.0}, io {io:.0}, memory {memory:.0}")
}

fn deviation(sums: Units, goal: Units) -> f64 {
    (0..3).map(|r| (sums[r] / goal[r].max(1e-9) - 1.0).abs()).fold(0.0, f64::max)
}

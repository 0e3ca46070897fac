//! Whether what a window says of its ticks can be.

use crate::units::{resource::Resource, window::Window};

/// Whether some tick sums, as many as a window has, give this average, these extremes and this judgement.
pub(super) fn extents_fit(window_ticks: u64, window: &Window) -> bool {
    let n = u128::from(window_ticks);
    let mut can_be = true;
    let mut may_be_in = true;
    let mut may_be_out = false;
    for resource in Resource::ALL {
        let extent = window.usage[resource];
        let [average, min, max] = [extent.average, extent.min, extent.max].map(u128::from);
        // The average is truncated, one tick is the smallest and one the largest: that leaves some sums open.
        let least = (n * average).max(max + (n - 1) * min);
        let most = (n * average + n - 1).min(min + (n - 1) * max);
        can_be &= least <= most;
        may_be_in &= most > 0 && 10 * n * max <= 11 * most && 10 * n * min >= 9 * least;
        may_be_out |= least == 0 || 10 * n * max > 11 * least || 10 * n * min < 9 * most;
    }
    // Of an incomplete one the average is that of the ticks that are known.
    can_be |= window.incomplete;
    may_be_out |= window.incomplete;
    may_be_in &= !window.incomplete;
    can_be && if window.in_corridor { may_be_in } else { may_be_out }
}

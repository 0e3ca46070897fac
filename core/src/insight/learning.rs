//! How long it takes until costs are known well enough, told while they are not.

use crate::{
    estimator::{CostEstimate, Estimates},
    scheduler::{Binding, Feasibility},
    units::{lengths::Lengths, resource::Resource},
};

/// A cost is unsure while its standard error exceeds this part of it.
const UNSURE: f64 = 0.05;
/// Costs of each resource that a window settles. It tells an average, a least and a largest tick: three facts, of which
/// some say again what is known.
const SETTLED_BY_WINDOW: f64 = 2.0;

/// Roughly, in seconds; none while a plan is kept from the corridor by something else, or by nothing.
pub fn seconds_to_go(feasibility: Feasibility, estimates: &Estimates, lengths: Lengths) -> Option<f64> {
    if feasibility.binding != Some(Binding::Estimates) {
        return None;
    }
    let unsure = estimates.iter().filter(|(_, estimate)| is_unsure(estimate)).count();
    let windows = (unsure as f64 / SETTLED_BY_WINDOW).ceil().max(1.0);
    Some(windows * lengths.ms_of(lengths.window_ticks) as f64 / 1e3)
}

fn is_unsure(estimate: &CostEstimate) -> bool {
    Resource::ALL.into_iter().any(|r| estimate.standard_error[r] > UNSURE * estimate.cost[r].max(1.0))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::units::{ids::QueryId, resource::PerResource};

    fn estimates(errors: &[f64]) -> Estimates {
        let estimate = |error: &f64| CostEstimate {
            cost: PerResource::all(40.0),
            standard_error: PerResource::all(*error),
            observations: 3,
            identifiable: true,
        };
        let known = errors.iter().enumerate();
        Estimates::new(
            known.map(|(k, error)| (QueryId(Uuid::from_u128(k as u128)), estimate(error))).collect(),
            None,
        )
    }

    #[test]
    fn a_window_of_a_second_settles_two_queries_and_something_else_that_binds_is_no_learning() {
        let bound = |binding| Feasibility { feasible: false, binding, cuts_peaks: true };
        let lengths = Lengths::default();
        let known = estimates(&[9.0, 9.0, 9.0, 1.0, 0.0]);
        assert_eq!(seconds_to_go(bound(Some(Binding::Estimates)), &known, lengths), Some(2.0));
        assert_eq!(seconds_to_go(bound(Some(Binding::Estimates)), &estimates(&[0.0]), lengths), Some(1.0));
        assert_eq!(seconds_to_go(bound(Some(Binding::Budget)), &known, lengths), None);
        assert_eq!(seconds_to_go(bound(None), &known, lengths), None);
    }
}

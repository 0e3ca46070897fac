use super::*;
use crate::estimator::equations::BACKGROUND;

const LENGTH: usize = 10;

/// A window of ten ticks with one execution of the first query in each.
fn equations() -> Equations {
    Equations::new(vec![(vec![(BACKGROUND, 1.0), (QUERIES, 1.0)], 1.0); LENGTH])
}

fn flat(value: u64) -> Extent {
    Extent { average: value, min: value, max: value }
}

/// Believes the first query to cost 50 ± `deviation`, and nothing else to cost anything.
fn believing(deviation: f64, exactness: Exactness) -> Model {
    let mut model = Model::new(flat(50), &equations(), exactness);
    let mut belief = Belief::new();
    belief.push(50.0, 1e-6);
    belief.push(0.0, 0.0);
    belief.push(50.0, deviation * deviation);
    model.belief = belief;
    model.population.admit();
    model
}

const TICK: &Combination = &[(QUERIES, 1.0)];

#[test]
fn the_same_sum_measured_again_is_no_evidence_twice() {
    let mut model = believing(10.0, Exactness::Exact);
    assert!(model.measured(TICK, 52.0, 52.0, EXACT));
    let known = model.belief.variance_of(TICK);
    assert!((model.belief.mean(QUERIES) - 52.0).abs() < 1e-3);
    assert!(known < EXACT, "{known}");
    let before = model.belief.clone();
    for _ in 0..100 {
        assert!(model.measured(TICK, 52.0, 52.0, EXACT));
    }
    assert_eq!(model.belief, before);
    // What contradicts it is evidence, however certain it was.
    assert!(!model.measured(TICK, 60.0, 60.0, EXACT));
    assert!(model.belief.variance_of(TICK) > 1.0);
}

#[test]
fn an_interval_that_holds_what_is_expected_tells_nothing() {
    let believed = believing(10.0, Exactness::Exact);
    let after = |low: f64, high: f64| {
        let mut model = believed.clone();
        assert!(model.measured(TICK, low, high, EXACT));
        model.belief
    };
    assert_eq!(after(50.0 - 17.1, 50.0 + 17.1), believed.belief);
    // Whichever end is nearer than that, it is learned from.
    for (low, high) in [(50.0 - 16.9, 90.0), (10.0, 50.0 + 16.9), (33.1, 66.9)] {
        let belief = after(low, high);
        assert!(belief.variance_of(TICK) < believed.belief.variance_of(TICK), "{low}..{high}");
    }
}

#[test]
fn an_average_that_was_expected_tells_nothing() {
    // The sum is known to 1 of the 10 that an average leaves open.
    let mut model = believing(0.1, Exactness::Exact);
    let before = model.belief.clone();
    let usage = Extent { average: 49, min: 0, max: 200 };
    let mut expected = model.clone();
    expected.belief.update(&[(QUERIES, 10.0)], 1.0, 0.0, 1.0);
    assert!(model.average(usage, &equations()).1);
    assert_ne!(model.belief, before, "500 is beyond 499.5 and less than 1.7 away");
    model.belief = before.clone();
    model.belief.update(TICK, 0.01, -0.5, 0.01);
    let before = model.belief.clone();
    assert!(model.average(usage, &equations()).1);
    let apart = (model.belief.mean(QUERIES) - before.mean(QUERIES)).abs();
    assert!(apart < 1e-12, "495 lies amid 489.5..499.5: {apart}");
}

/// How often a model must be contradicted before it takes everything to have changed.
fn contradictions_until_it_forgets(exactness: Exactness) -> u32 {
    let mut model = believing(0.1, exactness);
    for contradictions in 1..=20 {
        // Each jump is beyond what the noise that has been learned explains.
        let cost = 50 * 10u64.pow(contradictions);
        let before = model.contradictions;
        model.learn(flat(cost), &equations());
        if model.contradictions == 0 {
            return contradictions;
        }
        assert_eq!(model.contradictions, before << 1 | 1, "window {contradictions} contradicts");
    }
    unreachable!("it never forgot")
}

#[test]
fn one_contradiction_is_a_change_where_windows_are_exact_and_three_where_they_are_noisy() {
    assert_eq!(contradictions_until_it_forgets(Exactness::Exact), 1);
    assert_eq!(contradictions_until_it_forgets(Exactness::Noisy), 3);
}

#[test]
fn what_changed_is_as_uncertain_as_a_new_query() {
    let mut model = believing(0.1, Exactness::Exact);
    model.learn(flat(5_000), &equations());
    let population = model.population.variance();
    assert!(model.population.precision.iter().all(|precision| *precision <= 0.0));
    assert!(model.belief.variance(QUERIES) > 1.0, "{} {population}", model.belief.variance(QUERIES));
}

#[test]
fn a_tick_in_which_nothing_ran_is_the_smallest() {
    let mut ticks = vec![(vec![(BACKGROUND, 1.0), (QUERIES, 1.0)], 1.0); LENGTH - 1];
    ticks.push((vec![(BACKGROUND, 1.0)], 1.0));
    let equations = Equations::new(ticks);
    let usage = Extent { average: 48, min: 3, max: 53 };
    let mut model = Model::new(usage, &equations, Exactness::Exact);
    model.admit(1);
    model.learn(usage, &equations);
    assert!((model.belief.mean(BACKGROUND) - 3.0).abs() < 0.1, "{}", model.belief.mean(BACKGROUND));
}

//! The estimator against a database whose costs are known.

#[path = "estimator/scene.rs"]
mod scene;

use evenkeel_core::{
    estimator::{Estimator, Snapshot},
    journal::Executed,
    units::{ids::QueryId, tick::Tick, window::Window},
    world::{Parameters, Scenario},
};
use proptest::prelude::*;

use self::scene::{Disturbance, Scene};

#[derive(Clone, Debug)]
enum Event {
    Executed(Executed),
    Window(Window),
}

fn give(estimator: &mut Estimator, event: &Event) {
    match event {
        Event::Executed(executed) => estimator.executed(executed),
        Event::Window(window) => estimator.window(window),
    }
}

/// Both streams in one order: `choices` says which one goes on.
fn interleave(executions: &[Executed], windows: &[Window], choices: &[bool]) -> Vec<Event> {
    let mut executions = executions.iter().cloned().map(Event::Executed);
    let mut windows = windows.iter().copied().map(Event::Window);
    let mut events = Vec::new();
    for windows_next in choices {
        events.extend(if *windows_next { windows.next() } else { executions.next() });
    }
    events.extend(executions);
    events.extend(windows);
    events
}

fn give_journal<'e>(
    estimator: &mut Estimator,
    executions: impl IntoIterator<Item = &'e Executed>,
    windows: &[Window],
) {
    for executed in executions {
        estimator.executed(executed);
    }
    for window in windows {
        estimator.window(window);
    }
}

fn text(estimator: &Estimator) -> String {
    serde_json::to_string(estimator).expect("a snapshot is text")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_fold_does_not_depend_on_how_the_streams_interleave(
        choices in prop::collection::vec(prop::bool::weighted(0.2), 0..900),
        missing in prop::collection::btree_set(0usize..60, 0..6),
        lost in prop::collection::btree_set(0usize..900, 0..6),
    ) {
        let (mut executions, mut windows) = Scene::new(Scenario::Seed, 7).journal(600);
        let mut at = 0;
        windows.retain(|_| { at += 1; !missing.contains(&(at - 1)) });
        at = 0;
        executions.retain(|_| { at += 1; !lost.contains(&(at - 1)) });
        let mut in_turn = Estimator::default();
        let mut rest = executions.as_slice();
        for window in &windows {
            let count = rest.iter().take_while(|executed| executed.tick <= window.last_tick).count();
            give_journal(&mut in_turn, &rest[..count], &[*window]);
            rest = &rest[count..];
        }
        give_journal(&mut in_turn, rest, &[]);
        let mut mixed = Estimator::default();
        for event in interleave(&executions, &windows, &choices) {
            give(&mut mixed, &event);
        }
        // Not compared by `prop_assert_eq`: it would print megabytes.
        prop_assert!(mixed == in_turn);
        prop_assert!(text(&mixed) == text(&in_turn));
    }

    #[test]
    fn a_restored_estimator_goes_on_as_if_nothing_had_happened(
        choices in prop::collection::vec(prop::bool::weighted(0.1), 0..900),
        at in 0usize..900,
        many in any::<bool>(),
    ) {
        // Half the times with so many queries that covariances are not kept.
        let parameters = if many {
            Parameters { query_count: 5_000, rate: 2.0, ..Parameters::default() }
        } else {
            Scenario::Seed.parameters()
        };
        let (executions, windows) = Scene::with(parameters, 3).journal(400);
        let events = interleave(&executions, &windows, &choices);
        let mut whole = Estimator::default();
        let mut stopped = Estimator::default();
        for (index, event) in events.iter().enumerate() {
            if index == at {
                let open = serde_json::to_string(&stopped.open_windows()).unwrap();
                stopped = serde_json::from_str(&text(&stopped)).unwrap();
                stopped.restore_open_windows(&serde_json::from_str::<Vec<_>>(&open).unwrap()).unwrap();
            }
            give(&mut whole, event);
            give(&mut stopped, event);
        }
        prop_assert_eq!(text(&whole).contains("\"sparse\""), many);
        prop_assert!(text(&whole) == text(&stopped));
        prop_assert!(whole == stopped);
        let bits = |estimator: &Estimator| -> Vec<(QueryId, u64, u64)> {
            let estimates = estimator.estimates().iter();
            estimates.map(|(query, e)| (query, e.cost.io.to_bits(), e.standard_error.io.to_bits())).collect()
        };
        prop_assert!(bits(&whole) == bits(&stopped));
    }

    /// Whatever is changed in a snapshot's text, reading it is an error or an estimator that works.
    #[test]
    fn nonsense_in_a_snapshot_is_no_panic(
        at in 0.0..1.0f64,
        by in "[0-9a-f\\[\\]{},\":]{0,3}",
        cut in 0usize..4,
        many in any::<bool>(),
    ) {
        let count = if many { 1_000 } else { 20 };
        let parameters = Parameters { query_count: count, rate: if many { 10.0 } else { 3.0 }, ..Parameters::default() };
        let (executions, windows) = Scene::with(parameters, 1).journal(100);
        let mut estimator = Estimator::default();
        give_journal(&mut estimator, executions.iter().take(if many { 1_200 } else { 200 }), &windows);
        let text = text(&estimator);
        prop_assert_eq!(text.contains("\"sparse\""), many);
        let from = (at * text.len() as f64) as usize;
        let to = (from + cut).min(text.len());
        let changed = format!("{}{by}{}", &text[..from], &text[to..]);
        if let Ok(mut estimator) = serde_json::from_str::<Estimator>(&changed) {
            give_journal(&mut estimator, executions.iter().skip(if many { 1_200 } else { 200 }), &[]);
        }
    }
}

#[test]
fn windows_that_never_get_their_executions_do_not_stall_it() {
    let scene = Scene::new(Scenario::Seed, 5);
    let (executions, windows) = scene.journal(3_000);
    let mut estimator = Estimator::default();
    // The executions of the first hundred seconds are lost, as after trimming.
    give_journal(&mut estimator, executions.iter().filter(|executed| executed.tick >= Tick(1_000)), &windows);
    let judged = scene.judge(&estimator, 3_000);
    assert!(judged.median < 0.02, "{judged:?}");
}

#[test]
fn costs_are_learned_and_their_errors_are_honest() {
    for (seed, grouped) in [(401, false), (402, false), (401, true), (402, true)] {
        let mut scene = Scene::new(Scenario::Seed, seed);
        scene.grouped = grouped;
        let mut within = Vec::new();
        let mut estimator = Estimator::default();
        scene.run(&mut estimator, 20_000, &[3_000, 20_000], |judged| {
            assert!(
                judged.median <= 0.005 && judged.p95 <= 0.035,
                "seed {seed} grouped {grouped}: {judged:?}"
            );
            within.push(judged.within_two_errors);
        });
        assert!(within.iter().all(|share| *share >= 0.93), "seed {seed} grouped {grouped}: {within:?}");
    }
}

/// A hundred queries cost a hundred unknown numbers a resource, and a window tells three of them.
#[test]
fn windows_tell_later_what_they_did_not_tell_at_once() {
    for (scenario, seed) in [(Scenario::X10, 407), (Scenario::X5, 408)] {
        let mut medians = Vec::new();
        Scene::new(scenario, seed).run(&mut Estimator::default(), 500, &[200, 500], |judged| {
            medians.push(judged.median);
        });
        assert!(medians[0] > 0.05 && medians[1] < 5e-3, "{scenario}: {medians:?}");
    }
}

#[test]
fn open_windows_of_another_state_are_refused() {
    let (executions, windows) = Scene::new(Scenario::X10, 409).journal(100);
    let mut estimator = Estimator::default();
    give_journal(&mut estimator, &executions, &windows);
    let open = estimator.open_windows();
    assert!(!open.is_empty());
    assert!(Estimator::default().restore_open_windows(&open).is_err());
    assert!(estimator.restore_open_windows(&open).is_ok());
}

#[test]
fn disturbed_windows_are_learned_from() {
    for scenario in [Scenario::Seed, Scenario::X5] {
        let mut scene = Scene::new(scenario, 403);
        scene.disturbance = Disturbance::all();
        let mut estimator = Estimator::default();
        scene.run(&mut estimator, 6_000, &[6_000], |judged| {
            assert!(judged.median <= 0.03 && judged.p95 <= 0.15, "{scenario}: {judged:?}");
            assert!(judged.background <= 0.05, "{scenario}: {judged:?}");
        });
    }
}

#[test]
fn redrawn_costs_are_learned_anew() {
    let scene = Scene::new(Scenario::Drift, 404);
    let mut medians = Vec::new();
    scene.run(&mut Estimator::default(), 10_900, &[10_000, 10_100, 10_900], |judged| {
        medians.push(judged.median);
    });
    assert!(medians[0] < 1e-3, "known before: {medians:?}");
    assert!(medians[1] > 0.02, "changed: {medians:?}");
    assert!(medians[2] < 5e-3, "known again after 90 s: {medians:?}");
}

#[test]
fn many_queries_are_learned_within_their_limits() {
    let scene = Scene::new(Scenario::Many, 405);
    let mut estimator = Estimator::default();
    let mut errors = Vec::new();
    scene.run(&mut estimator, 12_000, &[1_000, 12_000], |judged| {
        errors.push(judged.rms);
        assert!(judged.within_two_errors > 0.93, "{judged:?}");
    });
    assert!(errors[1] < 0.97 * errors[0], "{errors:?}");
    let snapshot = serde_json::to_string(&Snapshot::from(estimator)).unwrap();
    assert!(snapshot.len() < 16 << 20, "{} bytes", snapshot.len());
}

#[test]
fn an_unseen_query_is_expected_to_cost_what_others_do() {
    let scene = Scene::new(Scenario::Seed, 406);
    let mut estimator = Estimator::default();
    let stranger = QueryId::simulated(1, 0);
    assert!(estimator.estimates().get(stranger).is_none());
    scene.run(&mut estimator, 5_000, &[5_000], |_| {});
    let expected = estimator.estimates().get(stranger).unwrap();
    let costs: Vec<f64> = estimator.estimates().iter().map(|(_, estimate)| estimate.cost.cpu).collect();
    let mean = costs.iter().sum::<f64>() / costs.len() as f64;
    let spread = (costs.iter().map(|cost| (cost - mean).powi(2)).sum::<f64>() / costs.len() as f64).sqrt();
    assert!((expected.cost.cpu - mean).abs() < 0.2 * spread, "{expected:?} {mean}");
    assert!((expected.standard_error.cpu / spread - 1.0).abs() < 0.25, "{expected:?} {spread}");
    assert!(!expected.identifiable && expected.observations == 0);
}

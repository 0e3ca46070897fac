//! Any parameters: databases drawn at random run, and their journals are proved.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod grid;

use evenkeel_core::units::tick::Tick;

/// Not the seed of the published table.
const SEED: u64 = 17;

#[test]
fn a_hundred_databases_run_and_their_journals_hold() {
    let mut lengths = std::collections::BTreeSet::new();
    for set in grid::grid(SEED, 100) {
        set.parameters.check().unwrap();
        // One of the long windows, two of the others.
        let windows = set.parameters.window_ticks * if set.parameters.window_ticks > 100 { 1 } else { 2 };
        let ticks = windows.max(60) + set.parameters.default_delay_ticks + 1;
        let outcome = set.run(ticks, u64::MAX);
        let what = format!("set {}: {:?}", set.number, set.parameters);
        assert_eq!(outcome.audit.findings.first(), [], "{what}");
        let whole = set.lengths().border_before(Tick(ticks - 1)).0 - 1;
        assert_eq!(outcome.audit.proved, Some((Tick(0), Tick(whole))), "{what}");
        assert!(outcome.audit.executed > 0 || set.parameters.rate < 2.0, "nothing ran in {what}");
        lengths.insert((set.parameters.window_ticks, set.parameters.default_delay_ticks));
    }
    assert!(lengths.len() > 80, "the sets are much alike: {lengths:?}");
}

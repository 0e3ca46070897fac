//! A foreign server that knows only `/queued`, `/resources` and `/delay`, watched and levelled in virtual time.

#[path = "foreign/model.rs"]
mod model;

use evenkeel_core::{
    estimator::Estimator,
    foreign::{Coverage, DelayOutcome, Look, Reading, Watcher},
    scheduler::{PolicyName, Scheduler},
    server::{
        control::{ControlRequest, SetOutcome, SetSlot},
        queue::HoldLimits,
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
    world::Scenario,
};
use model::{Model, level, median_deviation};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What makes it hard.
#[derive(Clone, Copy, Debug)]
struct Hardship {
    /// Length of the server's ticks, which the client takes for 100 ms.
    tick_us: u64,
    /// Of its windows, by a timer of their own.
    window_us: u64,
    counts_late: bool,
    /// Time that an answer takes, at most.
    answer_us: u64,
    /// Looks and delays of a hundred that are lost.
    lost_percent: u64,
    /// Tick at which it starts anew.
    restart_at: Option<u64>,
}

const KIND: Hardship = Hardship {
    tick_us: 100_000,
    window_us: 1_003_000,
    counts_late: false,
    answer_us: 3_000,
    lost_percent: 0,
    restart_at: None,
};

struct Client {
    watcher: Watcher,
    estimator: Estimator,
    scheduler: Scheduler,
}

impl Client {
    fn new() -> Self {
        Self {
            watcher: Watcher::new(Lengths::default()),
            estimator: Estimator::default(),
            scheduler: Scheduler::new(PolicyName::AtArrival, Lengths::default(), HoldLimits::default(), None),
        }
    }

    /// Takes a look, and says what to delay by how much.
    fn look(&mut self, look: &Look) -> Vec<(ExecutionId, u64)> {
        let seen = self.watcher.look(look);
        for observation in &seen.observations {
            self.estimator.observe(observation);
        }
        for record in &seen.records {
            self.scheduler.apply(record);
        }
        let Some(tick) = seen.began else { return Vec::new() };
        let plan = self.scheduler.decide(tick, self.estimator.estimates());
        let wanted = plan
            .into_request()
            .into_iter()
            .filter_map(|slot| Some((slot.execution, self.watcher.ticks_to(slot.execution, slot.due_tick)?)));
        wanted.collect()
    }
}

/// Runs `ticks` of it.
fn run(scenario: Scenario, seed: u64, ticks: u64, hardship: Hardship, levels: bool) -> (Model, Coverage) {
    let mut model = Model::new(scenario, seed, hardship.counts_late);
    let mut client = Client::new();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut next_tick, mut next_window, mut next_look) = (40_000, 77_000, 0);
    let mut advance = move |model: &mut Model, until: u64| {
        while next_tick.min(next_window) <= until {
            if next_tick <= next_window {
                if hardship.restart_at == Some(model.ticks) && model.ticks > 0 {
                    model.restart();
                }
                model.tick();
                next_tick += hardship.tick_us;
            } else {
                model.close_window();
                next_window += hardship.window_us;
            }
        }
    };
    while model.ticks < ticks {
        let asked_us = next_look;
        next_look += 47_000;
        let mut below = |n: u64| if n == 0 { 0 } else { rng.next_u64() % n };
        let (there, back) = (below(hardship.answer_us), below(hardship.answer_us));
        advance(&mut model, asked_us + there);
        if !levels || below(100) < hardship.lost_percent {
            continue;
        }
        let look = Look {
            asked_us,
            answered_us: asked_us + there + back,
            queued: model.queued().iter().map(|one| (one.execution, one.query)).collect(),
        };
        client.watcher.read(Reading {
            asked_us,
            answered_us: look.answered_us,
            usage: model.window,
            mark: model.windows.to_string(),
        });
        for (execution, ticks) in client.look(&look) {
            client.watcher.delaying(execution, ticks);
            let is_lost = below(100) < hardship.lost_percent;
            // A lost one was added or not, and nobody says which.
            if is_lost && below(2) == 0 {
                client.watcher.delayed(execution, DelayOutcome::Unknown);
                continue;
            }
            advance(&mut model, look.answered_us + 2_000);
            let added = model.delay(execution, ticks);
            let outcome = match (is_lost, added) {
                (true, _) => DelayOutcome::Unknown,
                (false, true) => DelayOutcome::Added,
                (false, false) => DelayOutcome::Refused,
            };
            client.watcher.delayed(execution, outcome);
        }
    }
    (model, client.watcher.coverage())
}

#[test]
fn at_five_arrivals_a_tick_nearly_every_stretch_is_in_the_corridor() {
    for (seed, counts_late) in [(9_001, false), (9_002, true)] {
        let (model, coverage) = run(Scenario::X5, seed, 3_000, Hardship { counts_late, ..KIND }, true);
        let share = level(&model.usage[1_800..]);
        assert!(share >= 0.8, "{share} {coverage:?}");
        assert!(coverage.missed < 1.0, "{coverage:?}");
    }
}

#[test]
fn at_one_arrival_a_tick_windows_deviate_far_less() {
    let (with, _) = run(Scenario::Seed, 9_001, 4_000, KIND, true);
    let (without, _) = run(Scenario::Seed, 9_001, 4_000, KIND, false);
    let (with, without) = (median_deviation(&with.usage[1_800..]), median_deviation(&without.usage[1_800..]));
    assert!(4.0 * with <= without, "{with} of {without}");
}

#[test]
fn slow_ticks_lost_answers_and_slow_ones_are_lived_with() {
    for (name, hardship, least) in [
        ("ticks of 101.5 ms", Hardship { tick_us: 101_500, ..KIND }, 0.5),
        ("ticks of 98 ms, windows of 950", Hardship { tick_us: 98_000, window_us: 950_000, ..KIND }, 0.7),
        ("answers take 40 ms", Hardship { answer_us: 20_000, ..KIND }, 0.6),
        ("5 % lost", Hardship { lost_percent: 5, ..KIND }, 0.03),
    ] {
        let (model, coverage) = run(Scenario::X5, 9_001, 3_000, hardship, true);
        let share = level(&model.usage[1_800..]);
        println!("{name}: {share}");
        assert!(share >= least, "{name}: {share} {coverage:?}");
    }
}

#[test]
fn after_a_restart_with_other_ids_it_levels_again() {
    let hardship = Hardship { restart_at: Some(1_500), ..KIND };
    let (model, coverage) = run(Scenario::X5, 9_001, 3_000, hardship, true);
    assert_eq!(coverage.restarts, 1);
    let share = level(&model.usage[2_400..]);
    assert!(share >= 0.7, "{share} {coverage:?}");
}

#[test]
fn a_slot_becomes_one_delay_however_often_it_is_asked_for() {
    let mut watcher = Watcher::new(Lengths::default());
    let (execution, query) = (ExecutionId::new(1, 7), QueryId::simulated(1, 0));
    for (asked_us, queued) in [(0, Vec::new()), (100_000, vec![(execution, query)])] {
        watcher.look(&Look { asked_us, answered_us: asked_us + 1_000, queued });
    }
    let base = watcher.tick().next();
    let slot = |execution, due_tick| SetSlot { execution, due_tick, reason: String::new() };
    let unknown = ExecutionId::new(1, 8);
    let request =
        |set| ControlRequest { client: "poll".to_owned(), epoch: 1, lease_ticks: 10, set, handover: false };
    let in_time = request(vec![slot(execution, base)]);
    assert_eq!(watcher.place(&in_time).0, [], "it runs then anyway");
    let set =
        vec![slot(execution, base.after(3)), slot(execution, base.after(5)), slot(unknown, base.after(3))];
    let (delays, response) = watcher.place(&request(set.clone()));
    assert_eq!(delays, [(execution, 3)]);
    assert_eq!((response.tick, response.tick_ms), (watcher.tick(), 100));
    assert_eq!(response.lease_until, watcher.tick().after(10));
    let told: Vec<(ExecutionId, Option<Tick>)> =
        response.results.iter().map(|result| (result.execution, result.due_tick)).collect();
    let asked: Vec<_> = set.iter().map(|slot| (slot.execution, Some(slot.due_tick))).collect();
    assert_eq!(told, asked);
    assert!(response.results.iter().all(|result| result.result == SetOutcome::Set));
    assert_eq!(watcher.place(&request(set)).0, [], "that delay is on its way");
}

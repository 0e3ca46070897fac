//! Whatever is given to be read, it is read or refused with a reason: configuration, request bodies, a client's state.
//! Entries, outbox rows and snapshots have such tests beside their code; `fuzz/` looks further.

use std::path::Path;

use evenkeel::config::File;
use evenkeel_core::{
    estimator::Estimator,
    journal::{Executed, Outcome, Positions, Record},
    leveller::ClientState,
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::PerResource,
        tick::Tick,
        window::{Extent, Window},
    },
    world::Parameters,
};
use proptest::prelude::*;

use crate::support::World;

const CONFIGURATION: &str = r#"
name = "main"
listen = "127.0.0.1:7070"
scenario = "seed"
seed = 7
mode = "enforce"
delay_budget = 120.0
max_delay_ticks = 1200
[max_delay_ticks_by_query]
d9ab596e-a8b9-56c7-9985-f4d20b7022dc = 5
"#;

const PARAMETERS: &str = r"
query_count = 100
rate = 5.0
tick_ms = 100
bound_cost = { location = 70.0, scale = 15.0, skew = -10.0 }
daily_curve = { amplitude = 0.5, level = 1.5, phase_ticks = 500.0, half_period_ticks = 10000.0 }
bursts = { every_ticks = 300, arrivals = 100 }
";

/// `text` with a piece of it replaced by another text.
fn spoilt(text: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof!["[ -~]{0,6}", "-?[0-9]{1,30}", Just("nan".to_owned()), "\\PC{0,3}"];
    (0..text.len(), 0..12_usize, piece).prop_map(move |(at, length, piece)| {
        let end = (at + length).min(text.len());
        format!("{}{piece}{}", &text[..at], &text[end..])
    })
}

fn some_state() -> Vec<u8> {
    let mut estimator = Estimator::default();
    let mut scheduler = Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None);
    for tick in 0..40 {
        let executed = Executed {
            execution: ExecutionId::new(1, tick.into()),
            query: QueryId::simulated(1, tick as usize % 3),
            queued_tick: Tick(tick),
            due_tick: Tick(tick + 1),
            tick: Tick(tick + 1),
            finished_tick: Tick(tick + 1),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 1,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        };
        let record = Record::Executed(executed);
        estimator.apply(&record);
        scheduler.apply(&record);
        if tick % 10 == 9 {
            let usage = PerResource::from_fn(|_| Extent { average: 40, min: 20, max: 70 });
            estimator.window(&Window {
                first_tick: Tick(tick - 9),
                last_tick: Tick(tick),
                usage,
                executed: 10,
                in_corridor: true,
                running: 0,
                incomplete: false,
            });
        }
    }
    let state =
        ClientState { positions: Positions::default(), estimator, scheduler: Some(scheduler.snapshot()) };
    postcard::to_stdvec(&state).unwrap()
}

/// What is read as a state is restored and used, or refused.
fn use_state(bytes: &[u8]) {
    let Ok(ClientState { estimator, scheduler, .. }) = postcard::from_bytes::<ClientState>(bytes) else {
        return;
    };
    let Some(snapshot) = scheduler else { return };
    let restored =
        Scheduler::restore(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None, snapshot);
    if let Ok(mut scheduler) = restored {
        scheduler.decide(Tick(41), estimator.estimates());
    }
}

proptest! {
    #[test]
    fn any_configuration_is_read_or_refused_with_a_reason(text in prop_oneof!["\\PC{0,80}", spoilt(CONFIGURATION)]) {
        match toml::from_str::<File>(&text) {
            Ok(file) => drop(file.hold_settings().of(Lengths::default())),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_parameters_are_read_or_refused_by_name(text in prop_oneof!["\\PC{0,80}", spoilt(PARAMETERS)]) {
        if let Ok(parameters) = toml::from_str::<Parameters>(&text)
            && let Err(error) = parameters.check()
        {
            let said = error.to_string();
            prop_assert!(said.contains(error.parameter) && said.contains("expected"), "{}", said);
        }
    }

    #[test]
    fn any_bytes_drive_a_session(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        session::drive(&bytes);
    }

    #[test]
    fn any_bytes_are_a_state_that_can_be_used_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use_state(&bytes);
    }

    #[test]
    fn a_state_with_some_bytes_changed_can_be_used_or_is_none(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = some_state();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        use_state(&bytes);
    }
}

/// What the fuzz target `session` does with bytes.
#[path = "../../fuzz/driven/session.rs"]
mod session;

/// A login, statements of both sides, holds that are released, given up and refused, answers, pieces of messages.
fn some_sessions() -> [Vec<u8>; 4] {
    let said = |client: u8, server: u8| vec![0, client, 10, 0, 4, server];
    let interactive =
        [said(0x10, 15), said(0x20, 4), said(0x12, 15), said(0x30, 5), vec![10, 0, 4, 0]].concat();
    let held = [[0, 0x18].as_slice(), &[4, 13], &[4, 0], &[11], &[10, 0], &[4, 3], &[4, 0]].concat();
    let given_up =
        [[0, 0x1a].as_slice(), &[4, 13], &[4, 0], &[12], &[4, 0], &[0, 0x10], &[13], &[4, 0]].concat();
    let pieces =
        [[7, 3, b'Q', 0, 0].as_slice(), &[7, 2, 0, 5], &[9, 0x40, 0, 0, 0, 200, 0], &[8, 2, b'D', 1]]
            .concat();
    [(0, interactive), (0, held), (2, given_up), (11, pieces)]
        .map(|(setting, acts)| [vec![setting], acts].concat())
}

#[test]
fn the_seeds_for_fuzzing_sessions_are_driven() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/session");
    for (number, seed) in some_sessions().into_iter().enumerate() {
        let file = folder.join(number.to_string());
        if std::env::var_os("EVENKEEL_WRITE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &seed).unwrap();
        }
        assert_eq!(std::fs::read(&file).unwrap(), seed);
        session::drive(&seed);
    }
}

/// `EVENKEEL_WRITE=1 cargo test --test it bad_input seed` writes it anew.
#[test]
fn the_seed_for_fuzzing_states_is_a_state() {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/state/learned");
    if std::env::var_os("EVENKEEL_WRITE").is_some() {
        std::fs::create_dir_all(seed.parent().unwrap()).unwrap();
        std::fs::write(&seed, some_state()).unwrap();
    }
    let state: ClientState = postcard::from_bytes(&std::fs::read(seed).unwrap()).unwrap();
    assert_eq!(state.estimator.estimates().iter().count(), 3);
}

#[test]
fn any_body_is_answered_with_a_reason_and_the_server_lives() {
    let world = World::new("x10", &["--mode", "off", "--seed", "3"]);
    let running = world.start();
    running.wait_until_ready();
    let control = r#"{"client":"a test","epoch":1,"lease_ticks":10,"set":[{"execution":"01a1fee0-cda3-74de-869e-ea810930f872","due_tick":9,"reason":"x"}],"handover":false}"#;
    let delay = r#"{"id":"01a1fee0-cda3-74de-869e-ea810930f872","delay":20}"#;
    let bodies = |whole: &'static str| {
        prop_oneof!["\\PC{0,60}", spoilt(whole), r#"\{("[a-z]{1,5}":[0-9]{1,25},?){0,4}\}"#]
    };
    for (path, whole) in [("/delay", delay), ("/api/v1/control", control)] {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 150,
            ..ProptestConfig::default()
        });
        let answered = runner.run(&bodies(whole), |body| {
            let answer = running.post(path, &body);
            prop_assert!([200, 400, 404, 409].contains(&answer.status), "{:?}", answer);
            if answer.status != 200 {
                prop_assert_eq!(&answer.content_type, "application/problem+json");
                let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
                prop_assert!(!detail.is_empty(), "{:?}", answer);
            }
            Ok(())
        });
        answered.unwrap();
    }
    running.wait_until_ready();
    running.kill();
    world.assert_verified();
}

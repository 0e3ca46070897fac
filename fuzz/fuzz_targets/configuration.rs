//! A scenario's parameters, and addresses and names of the command line. The configuration file is in tests/it/bad_input.rs: with
//! the program's crate the fuzzer would take a quarter of an hour to build.
#![no_main]

use evenkeel_actors::stores::redis::Keys;
use evenkeel_actors::stores::redis::Target;
use evenkeel_core::units::tick::Tick;
use evenkeel_core::world::Parameters;
use evenkeel_core::world::World;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(parameters) = toml::from_str::<Parameters>(text) {
        let small = parameters.query_count <= 200 && parameters.rate <= 50.0;
        let calm = parameters.bursts.is_none_or(|bursts| bursts.arrivals <= 1_000);
        if let Some(world) = World::new(parameters, 1).ok().filter(|_| small && calm) {
            for tick in [0, 1, 299, 300, 10_000, u64::MAX / 2] {
                for query in world.arrivals(Tick(tick)) {
                    world.cost(query, Tick(tick));
                }
            }
        }
    }
    let _ = (text.parse::<Target>(), Keys::new(text, "main"));
});

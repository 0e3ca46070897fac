//! The configuration file, a scenario's parameters, and names on the command line.
#![no_main]

use evenkeel::config::File;
use evenkeel_actors::journal::redis::{Keys, Target};
use evenkeel_core::{
    tick::Tick,
    world::{Parameters, World},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(file) = toml::from_str::<File>(text) {
        let _ = file.hold_limits();
    }
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

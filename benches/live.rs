//! Live against virtual: ticks 3,000 to 5,999 of `evenkeel run`, and of `evenkeel server` with `evenkeel client` over
//! Redis, beside `simulate` of the same seed.
//!
//! `cargo bench --bench live [-- SCENARIO SEED …]`: `busy` and `x10` at 40 ticks a second, two seeds, which takes
//! twenty minutes. A late decision costs live share and virtual none, so run it on a machine with nothing else to do.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::path::Path;

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::{
    journal::{EntryId, Record, Stream},
    scheduler::PolicyName,
    server::queue::HoldLimits,
    simulate::{Costs, Simulation, WARM_UP_TICKS},
    world::{Parameters, Scenario, World},
};
use support::pair::Pair;

const TICKS: u64 = 6_000;
/// Four times the default pace: what is measured depends on ticks, not on seconds.
const TICK_MS: u64 = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let pairs: Vec<(Scenario, u64)> = match &chosen[..] {
        [] => [Scenario::Busy, Scenario::X10]
            .into_iter()
            .flat_map(|scenario| [(scenario, 301), (scenario, 302)])
            .collect(),
        chosen => chosen
            .chunks_exact(2)
            .map(|pair| Ok::<_, Box<dyn std::error::Error>>((pair[0].parse()?, pair[1].parse()?)))
            .collect::<Result<_, _>>()?,
    };
    println!("scenario seed    one process  delay    over Redis  delay   virtual share  delay");
    for (scenario, seed) in pairs {
        let parameters = Parameters { tick_ms: TICK_MS, ..scenario.parameters() };
        let (one, one_delay) = one_process(&parameters, seed)?;
        let (two, two_delay) = over_redis(&parameters, seed)?;
        let (share, delay) = simulated(parameters, seed)?;
        println!(
            "{scenario:8} {seed:>4} {one:>14.4} {one_delay:>6.2} {two:>13.4} {two_delay:>6.2} {share:>15.4} {delay:>6.2}"
        );
    }
    Ok(())
}

fn world(parameters: &Parameters, seed: u64) -> Result<support::World, Box<dyn std::error::Error>> {
    let arguments = ["--seed", &seed.to_string(), "--until-tick", &TICKS.to_string()];
    Ok(support::World::with_parameters(&toml::to_string(parameters)?, &arguments))
}

/// Share in the corridor and mean delay of what ran, as the journal says.
fn one_process(parameters: &Parameters, seed: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let world = world(parameters, seed)?;
    let (status, _) = world.start().wait();
    assert!(status.success(), "{status}");
    judge(&world.data_dir())
}

fn over_redis(parameters: &Parameters, seed: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let pair = Pair::new(world(parameters, seed)?);
    let server = pair.start_server();
    let client = pair.start_client();
    let (status, _) = server.wait();
    assert!(status.success(), "{status}\n{}", pair.said());
    client.kill();
    judge(&pair.world.data_dir())
}

fn judge(data_dir: &Path) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let reader = OutboxReader::open(data_dir)?;
    let (mut windows, mut level, mut executed, mut delay) = (0_u32, 0_u32, 0_u32, 0_u64);
    for stream in [Stream::Windows, Stream::Executions] {
        for entry in reader.after(stream, EntryId::default(), usize::MAX)? {
            match entry.record {
                Record::Window(window) if window.first_tick.0 >= WARM_UP_TICKS => {
                    windows += 1;
                    level += u32::from(window.in_corridor);
                }
                Record::Executed(ran) if ran.queued_tick.0 >= WARM_UP_TICKS => {
                    executed += 1;
                    delay += ran.delay_ticks();
                }
                _ => {}
            }
        }
    }
    Ok((f64::from(level) / f64::from(windows.max(1)), delay as f64 / f64::from(executed.max(1))))
}

fn simulated(parameters: Parameters, seed: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let simulation = Simulation {
        warm_up_ticks: WARM_UP_TICKS,
        world: World::new(parameters, seed)?,
        policy: PolicyName::Evenkeel,
        costs: Costs::Learned,
        delay_budget: None,
        limits: HoldLimits::default(),
        ticks: TICKS,
    };
    let report = simulation.run(|_| ()).report;
    Ok((report.in_corridor, report.delay_ticks.mean))
}

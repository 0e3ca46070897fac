//! Live against virtual: `evenkeel run` over ticks 3,000 to 5,999, beside `simulate` of the same seed.
//!
//! `cargo bench --bench live`: `busy` and `x10` at 40 ticks a second, two seeds, which takes ten minutes. A late
//! decision costs live share and virtual none, so run it on a machine with nothing else to do.

use std::{path::Path, process::Command};

use evenkeel_actors::journal::outbox::OutboxReader;
use evenkeel_core::{
    journal::{EntryId, Record, Stream},
    queue::HoldLimits,
    scheduler::PolicyName,
    simulate::{Costs, Simulation, WARM_UP_TICKS},
    world::{Parameters, Scenario, World},
};

const TICKS: u64 = 6_000;
/// Four times the default pace: what is measured depends on ticks, not on seconds.
const TICK_MS: u64 = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("scenario seed   live share  delay   virtual share  delay");
    for scenario in [Scenario::Busy, Scenario::X10] {
        for seed in [301, 302] {
            let parameters = Parameters { tick_ms: TICK_MS, ..scenario.parameters() };
            let (live, live_delay) = live(&parameters, seed)?;
            let (share, delay) = simulated(parameters, seed)?;
            println!("{scenario:8} {seed:>4} {live:>12.4} {live_delay:>6.2} {share:>15.4} {delay:>6.2}");
        }
    }
    Ok(())
}

/// Share in the corridor and mean delay of what ran, as the journal says.
fn live(parameters: &Parameters, seed: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (file, data_dir) = (folder.path().join("scenario.toml"), folder.path().join("data"));
    std::fs::write(&file, toml::to_string(parameters)?)?;
    let mut run = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    run.arg("run").arg("--scenario").arg(&file).arg("--data-dir").arg(&data_dir);
    run.args(["--listen", "127.0.0.1:0", "--seed", &seed.to_string(), "--until-tick", &TICKS.to_string()]);
    let done = run.output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    judge(&data_dir)
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

//! `evenkeel client --poll` against a stand-in of a foreign server, in real time: what the stand-in's own truth
//! says, in steps, beside the same server left alone.
//!
//! `cargo bench --bench poll [-- SECONDS [SEED…]]`. All runs go on at once: one needs a few percent of a core.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::Duration;

use evenkeel_core::{units::resource::Usage, world::Scenario};
use support::{
    evenkeel,
    foreign::{
        Foreign,
        model::{level, median_deviation},
    },
    pause, start,
};

/// Seconds before the client starts: what the server is like without it.
const ALONE_SECONDS: u64 = 30;
/// Steps in which the run is told.
const STEPS: u64 = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seconds = numbers.next().unwrap_or(300);
    let mut seeds: Vec<u64> = numbers.collect();
    if seeds.is_empty() {
        seeds = vec![9_001, 9_002, 9_003];
    }
    let folder = tempfile::TempDir::new()?;
    let runs: Vec<(Scenario, u64)> = [Scenario::X5, Scenario::Seed]
        .into_iter()
        .flat_map(|s| seeds.iter().map(move |seed| (s, *seed)))
        .collect();
    let servers: Vec<Foreign> =
        runs.iter().map(|(scenario, seed)| Foreign::start(*scenario, *seed)).collect();
    pause(Duration::from_secs(ALONE_SECONDS));
    let alone: Vec<Vec<Usage>> = servers.iter().map(Foreign::usage).collect();
    let clients = servers.iter().enumerate().map(|(n, server)| {
        let mut command = evenkeel();
        command.args(["client", "--poll", "--server", &server.url(), "--listen", "127.0.0.1:0"]);
        start(command, &folder.path().join(format!("{n}.txt")))
    });
    let clients: Vec<_> = clients.collect();
    pause(Duration::from_secs(seconds));
    println!(
        "share of stretches of ten ticks in the corridor, and median deviation, by fifths of {seconds} s"
    );
    for (n, ((scenario, seed), client)) in runs.iter().zip(clients).enumerate() {
        let usage = servers[n].usage();
        let with = &usage[alone[n].len()..];
        let steps = with.chunks(with.len().div_ceil(STEPS as usize));
        let told: Vec<String> = steps
            .map(|step| format!("{:.3} {:>3.0} %", level(step), 100.0 * median_deviation(step)))
            .collect();
        let without = 100.0 * median_deviation(&alone[n]);
        let (executed, delays, refused) = servers[n].counts();
        println!(
            "{scenario:6} seed {seed}: {} | without {:.3} {without:.0} %",
            told.join(" | "),
            level(&alone[n])
        );
        client.signal("TERM");
        let (_, lines) = client.wait();
        let last = lines.last().map_or("", |line| line.split_once("seen ").map_or("", |(_, seen)| seen));
        println!("       ran {executed}, delayed {delays}, refused {refused}; the client says: seen {last}");
    }
    Ok(())
}

//! `evenkeel world`: the truth about a simulated database, for evaluation only.

use std::io::Write;

use clap::Args;
use evenkeel_core::{
    units::{resource::Resource, tick::Tick},
    world::World,
};
use serde_json::json;

use crate::{config::ScenarioChoice, exit::Exit, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A scenario's name, or a TOML file of parameters.
    #[arg(long, env = "EVENKEEL_SCENARIO", default_value = "seed", value_parser = super::known::scenarios())]
    scenario: String,
    /// Draws the world.
    #[arg(long, env = "EVENKEEL_SEED", default_value_t = 1)]
    seed: u64,
    /// The tick whose costs and rates are shown: they can drift.
    #[arg(long, default_value_t = 0)]
    tick: u64,
    /// An object a query.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let choice = ScenarioChoice::parse(&options.scenario)?;
    let world = choice.world(options.seed)?;
    output::data(|out| print(out, options, &choice.label, &world))?;
    Ok(Exit::Ok)
}

fn print(out: &mut dyn Write, options: &Options, scenario: &str, world: &World) -> std::io::Result<()> {
    let tick = Tick(options.tick);
    if !options.json {
        writeln!(out, "scenario {scenario}  seed {}  tick {tick}", options.seed)?;
        writeln!(
            out,
            "{:36}  {:7} {:>5} {:>5} {:>6}  arrivals/tick",
            "query", "bound", "cpu", "io", "memory"
        )?;
    }
    for index in 0..world.query_count() {
        let (query, bound) = (world.query(index), world.profile(index));
        let (cost, rate) = (world.cost(index, tick), world.rate(index, tick));
        if options.json {
            let cost = Resource::ALL.map(|resource| (resource.name().to_owned(), json!(cost[resource])));
            let cost: serde_json::Map<_, _> = cost.into_iter().collect();
            writeln!(
                out,
                "{}",
                json!({"query": query, "bound": bound, "cost": cost, "arrivals_per_tick": rate})
            )?;
        } else {
            let bound = bound.name();
            writeln!(out, "{query}  {bound:7} {:>5} {:>5} {:>6}  {rate:.5}", cost.cpu, cost.io, cost.memory)?;
        }
    }
    Ok(())
}

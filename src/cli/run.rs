//! `evenkeel run`: the main job, in one process.

use std::path::PathBuf;

use clap::Args;
use evenkeel_core::control::Mode;

use crate::{
    config::{self, File, ScenarioChoice},
    exit::{Exit, ExitError},
    run::{self, Settings},
    telemetry::{self, LogFormat},
};

/// Flags are optional so that the file can speak where neither flag nor environment does.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Name of the database.
    #[arg(long, env = "EVENKEEL_NAME")]
    name: Option<String>,
    /// Address to listen on [default: 127.0.0.1:7070]
    #[arg(long, env = "EVENKEEL_LISTEN")]
    listen: Option<String>,
    /// A TOML file; environment and flags go before it.
    #[arg(long, env = "EVENKEEL_CONFIG")]
    config: Option<PathBuf>,
    /// Form of the log on stderr [default: text]
    #[arg(long, env = "EVENKEEL_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// A scenario's name, or a TOML file of parameters [default: seed]
    #[arg(long, env = "EVENKEEL_SCENARIO")]
    scenario: Option<String>,
    /// Draws the simulated database [default: 1]
    #[arg(long, env = "EVENKEEL_SEED")]
    seed: Option<u64>,
    /// Where the journal lives [default: ./evenkeel-data]
    #[arg(long, env = "EVENKEEL_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// off, shadow or enforce [default: what it was, at first enforce]
    #[arg(long, env = "EVENKEEL_MODE")]
    mode: Option<Mode>,
    /// Ceiling for the mean delay, in ticks, where 1 is none added [default: where more buys little]
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET")]
    delay_budget: Option<f64>,
    /// Write what the database really ran to this file, for checks.
    #[arg(long, env = "EVENKEEL_TRUTH")]
    truth: Option<PathBuf>,
    /// Stop after this many ticks, counted from the journal's beginning.
    #[arg(long)]
    until_tick: Option<u64>,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let settings = settings(options)?;
    telemetry::init(settings.log_format);
    run::run(settings)
}

fn settings(options: &Options) -> Result<Settings, ExitError> {
    let file = File::read(options.config.as_deref())?;
    let scenario = options.scenario.as_deref().or(file.scenario.as_deref()).unwrap_or("seed");
    Ok(Settings {
        name: options.name.clone().or_else(|| file.name.clone()).unwrap_or_else(|| "main".to_owned()),
        listen: options
            .listen
            .clone()
            .or_else(|| file.listen.clone())
            .unwrap_or_else(|| "127.0.0.1:7070".to_owned()),
        log_format: options.log_format.or(file.log_format).unwrap_or_default(),
        scenario: ScenarioChoice::parse(scenario)?,
        seed: options.seed.or(file.seed).unwrap_or(1),
        data_dir: options
            .data_dir
            .clone()
            .or_else(|| file.data_dir.clone())
            .unwrap_or_else(|| "evenkeel-data".into()),
        mode: options.mode.or(file.mode),
        delay_budget: config::delay_budget(options.delay_budget.or(file.delay_budget))?,
        limits: file.hold_limits()?,
        truth: options.truth.clone(),
        until_tick: options.until_tick,
    })
}

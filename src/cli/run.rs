//! `evenkeel run`: the main job, in one process.

use clap::Args;
use evenkeel_core::units::span::Given as Span;

use super::{
    delays::LevellingOptions,
    layers::Given,
    options::{CommonOptions, ServingOptions},
};
use crate::{
    exit::{Exit, ExitError},
    run::{self, EmbeddedSettings},
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    serving: ServingOptions,
    #[command(flatten)]
    levelling: LevellingOptions,
    /// Give a new journal a past of this length: its ticks run as fast as the disk allows, then in their own time. A time
    /// such as 5m, or ticks [default: none]
    #[arg(long, env = "EVENKEEL_FAST_FORWARD", value_name = "TIME")]
    fast_forward: Option<Span>,
}

pub(super) fn main(options: &Options, given: &Given) -> anyhow::Result<Exit> {
    let settings = settings(options, given)?;
    telemetry::init(settings.common.log_format);
    run::embedded(&settings)
}

fn settings(options: &Options, given: &Given) -> Result<EmbeddedSettings, ExitError> {
    let layers = options.common.layers(given)?;
    let mut serving = options.serving.merge(&layers)?;
    let tick_ms = serving.backend.lengths().tick_ms;
    serving.fast_forward_ticks = options.fast_forward.map_or(0, |span| span.whole_ticks(tick_ms));
    Ok(EmbeddedSettings {
        common: options.common.merge(&layers, "127.0.0.1:7070")?,
        serving,
        levelling: options.levelling.merge(&layers)?,
    })
}

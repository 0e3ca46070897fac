//! `evenkeel run`: the main job, in one process.

use clap::Args;

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
}

pub(super) fn main(options: &Options, given: &Given) -> anyhow::Result<Exit> {
    let settings = settings(options, given)?;
    telemetry::init(settings.common.log_format);
    run::embedded(&settings)
}

fn settings(options: &Options, given: &Given) -> Result<EmbeddedSettings, ExitError> {
    let layers = options.common.layers(given)?;
    Ok(EmbeddedSettings {
        common: options.common.merge(&layers, "127.0.0.1:7070")?,
        serving: options.serving.merge(&layers)?,
        levelling: options.levelling.merge(&layers)?,
    })
}

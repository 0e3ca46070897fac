//! `evenkeel run`: the main job, in one process.

use clap::Args;

use super::options::{CommonOptions, LevellingOptions, ServingOptions};
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

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let settings = settings(options)?;
    telemetry::init(settings.common.log_format);
    run::embedded(&settings)
}

fn settings(options: &Options) -> Result<EmbeddedSettings, ExitError> {
    let file = options.common.file()?;
    Ok(EmbeddedSettings {
        common: options.common.merge(&file, "127.0.0.1:7070")?,
        serving: options.serving.merge(&file)?,
        levelling: options.levelling.merge(&file)?,
    })
}

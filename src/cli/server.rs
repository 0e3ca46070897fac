//! `evenkeel server`: the queue, its ticks and its journal, handed out through Redis.

use clap::Args;

use super::{
    layers::Given,
    options::{CommonOptions, RedisOptions, ServingOptions},
};
use crate::{
    exit::{Exit, ExitError},
    run::{self, ServerSettings},
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    serving: ServingOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

pub(super) fn main(options: &Options, given: &Given) -> anyhow::Result<Exit> {
    let settings = settings(options, given)?;
    telemetry::init(settings.common.log_format);
    run::server(&settings)
}

fn settings(options: &Options, given: &Given) -> Result<ServerSettings, ExitError> {
    let layers = options.common.layers(given)?;
    Ok(ServerSettings {
        common: options.common.merge(&layers, "127.0.0.1:7070")?,
        serving: options.serving.merge(&layers)?,
        redis: options.redis.merge(&layers)?,
    })
}

//! `evenkeel server`: the queue, its ticks and its journal, handed out through Redis.

use clap::Args;

use super::options::{CommonOptions, RedisOptions, ServingOptions};
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

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let settings = settings(options)?;
    telemetry::init(settings.common.log_format);
    run::server(&settings)
}

fn settings(options: &Options) -> Result<ServerSettings, ExitError> {
    let file = options.common.file()?;
    Ok(ServerSettings {
        common: options.common.merge(&file, "127.0.0.1:7070")?,
        serving: options.serving.merge(&file)?,
        redis: options.redis.merge(&file)?,
    })
}

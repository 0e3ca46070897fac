//! `evenkeel client`: learns and levels, from Redis, for a server elsewhere.

use std::path::PathBuf;

use clap::Args;

use super::options::{CommonOptions, LevellingOptions, RedisOptions};
use crate::{
    config::File,
    exit::{Exit, ExitError},
    run::{self, ClientSettings, PollSettings},
    telemetry,
    tokens::Secret,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    levelling: LevellingOptions,
    /// Where the server is, http://host:port.
    #[arg(long, env = "EVENKEEL_SERVER", value_name = "URL")]
    server: Option<String>,
    /// File that holds the bearer token for it, with the scope control.
    #[arg(long, env = "EVENKEEL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    redis: RedisOptions,
    /// Watch a server that offers only /queued, /resources and /delay, without Redis.
    #[arg(long, env = "EVENKEEL_POLL", conflicts_with = "redis")]
    poll: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let file = options.common.file()?;
    let common = options.common.merge(&file, "127.0.0.1:7071")?;
    let levelling = options.levelling.merge(&file)?;
    let server = server(options, &file)?;
    let token_file = options.token_file.as_deref().or(file.token_file.as_deref());
    let token = token_file.map(Secret::read).transpose().map_err(ExitError::usage)?;
    if options.poll {
        telemetry::init(common.log_format);
        return run::poll(&PollSettings { common, levelling, server, token });
    }
    let redis = options.redis.merge(&file)?;
    telemetry::init(common.log_format);
    run::client(&ClientSettings { common, levelling, server, token, redis })
}

fn server(options: &Options, file: &File) -> Result<String, ExitError> {
    let server = options.server.clone().or_else(|| file.server.clone()).ok_or_else(|| {
        ExitError::usage(
            "where is the server? --server http://127.0.0.1:7070, EVENKEEL_SERVER, or `server` in the file",
        )
    })?;
    if !server.starts_with("http://") {
        return Err(ExitError::usage(format!("`{server}` names no server: expected http://host:port")));
    }
    Ok(server)
}

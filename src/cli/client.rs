//! `evenkeel client`: learns and levels, from Redis, for a server elsewhere.

use clap::Args;

use super::{
    delays::LevellingOptions,
    layers::Given,
    options::{CommonOptions, RedisOptions, ServerOptions},
    pace::PaceOptions,
};
use crate::{
    exit::Exit,
    output,
    run::{self, ClientSettings, PollSettings},
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    levelling: LevellingOptions,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    redis: RedisOptions,
    /// Watch a server that offers only /queued, /resources and /delay, without Redis.
    #[arg(long, env = "EVENKEEL_POLL", conflicts_with = "redis")]
    poll: bool,
    #[command(flatten)]
    pace: PaceOptions,
}

pub(super) fn main(options: &Options, given: &Given) -> anyhow::Result<Exit> {
    let layers = options.common.layers(given)?;
    let common = options.common.merge(&layers, "127.0.0.1:7071")?;
    let levelling = options.levelling.merge(&layers)?;
    let (server, token) = options.server.merge(&layers)?;
    let lengths = options.pace.merge(&layers)?;
    if options.poll {
        telemetry::init(common.log_format);
        return run::poll(&PollSettings { common, levelling, lengths, server, token });
    }
    if options.pace.is_given() {
        output::note(
            "--tick-ms, --window-ticks and --default-delay-ticks are for --poll: here the journal tells them",
        );
    }
    let redis = options.redis.merge(&layers)?;
    telemetry::init(common.log_format);
    run::client(&ClientSettings { common, levelling, server, token, redis })
}

//! `evenkeel journal`: read beside a running server, or after it; its own copy, or the one in Redis.

mod adopt;
mod backup;
mod restore;
mod stat;
mod tail;
mod truth_table;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evenkeel_actors::{
    ports::history::{History, ReadError},
    stores::{
        outbox::OutboxReader,
        redis::{Keys, RedisFault, RedisReader, Target},
    },
};

use super::options::RedisSecrets;
use crate::{
    config::Masked,
    exit::{Exit, ExitError},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the last entries.
    Tail(tail::Options),
    /// Print what there is of it.
    Stat(stat::Options),
    /// Let a new data directory, or one that was put back from a copy, go on behind a gap.
    Adopt(adopt::Options),
    /// Copy all of it to a file, also beside a running server.
    Backup(backup::Options),
    /// Put such a copy into an empty directory.
    Restore(restore::Options),
    /// Check that it says everything, once, and nothing else. Exit code 3 when it does not.
    Verify(verify::Options),
}

/// Which journal: a server's own, or the copy in Redis.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Where the journal lives.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data", conflicts_with = "redis")]
    data_dir: PathBuf,
    #[command(flatten)]
    copy: CopyOptions,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// The copy in Redis.
#[derive(Debug, Args)]
struct CopyOptions {
    /// Read the copy in this Redis instead, redis://[user:password@]host[:port], rediss:// for TLS.
    #[arg(long, env = "EVENKEEL_REDIS", value_name = "URL")]
    redis: Option<Masked>,
    #[command(flatten)]
    secrets: RedisSecrets,
    /// Name of the database, whose keys are read.
    #[arg(long, env = "EVENKEEL_NAME", default_value = "main")]
    name: String,
    /// Prefix of the keys.
    #[arg(long, env = "EVENKEEL_PREFIX", default_value = "evenkeel")]
    prefix: String,
}

/// A journal that has been opened.
pub(super) enum Opened {
    Outbox(OutboxReader),
    Redis(RedisReader),
}

impl Opened {
    /// What both can tell.
    pub(super) fn history(self) -> Box<dyn History> {
        match self {
            Self::Outbox(reader) => Box::new(reader),
            Self::Redis(reader) => Box::new(reader),
        }
    }

    fn as_history(&mut self) -> &mut dyn History {
        match self {
            Self::Outbox(reader) => reader,
            Self::Redis(reader) => reader,
        }
    }
}

impl Which {
    pub(super) fn open(&self) -> Result<Opened, ExitError> {
        match self.copy.target()? {
            Some(target) => self.copy.open(&target).map(Opened::Redis),
            None => OutboxReader::open(&self.data_dir).map(Opened::Outbox).map_err(|error| failed(&error)),
        }
    }
}

impl CopyOptions {
    fn keys(&self) -> Result<Keys, ExitError> {
        Keys::new(&self.prefix, &self.name).map_err(ExitError::usage)
    }

    fn target(&self) -> Result<Option<Target>, ExitError> {
        let target = self.redis.as_ref().map(|url| self.secrets.target(url.expose(), None, None));
        target.transpose()
    }

    fn open(&self, target: &Target) -> Result<RedisReader, ExitError> {
        RedisReader::open(target, self.keys()?).map_err(|fault| redis_failed(&fault))
    }
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    match &options.command {
        Command::Tail(options) => tail::main(options),
        Command::Stat(options) => stat::main(options),
        Command::Verify(options) => verify::main(options),
        Command::Adopt(options) => adopt::main(options),
        Command::Backup(options) => backup::main(options),
        Command::Restore(options) => restore::main(options),
    }
}

/// What cannot be read is unreachable; what is read and not whole has failed a check.
pub(super) fn failed(error: &ReadError) -> ExitError {
    let exit = match error {
        ReadError::Damaged(_) => Exit::CheckFailed,
        _ => Exit::Unreachable,
    };
    ExitError { exit, message: error.to_string() }
}

fn redis_failed(fault: &RedisFault) -> ExitError {
    ExitError { exit: Exit::Unreachable, message: fault.to_string() }
}

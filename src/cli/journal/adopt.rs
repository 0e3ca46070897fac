//! `evenkeel journal adopt`: go on with streams whose data directory is gone.

use clap::Args;
use evenkeel_actors::{
    clock::unix_ms,
    journal::{
        outbox::{Limits, Opening, Outbox, OutboxReader},
        redis::{self, AdoptError, Adopted},
    },
};
use serde_json::json;
use uuid::Uuid;

use super::{CopyOptions, failed};
use crate::{
    exit::{Exit, ExitError},
    output,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The new data directory, on which a server has been started once, and been refused.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data")]
    data_dir: std::path::PathBuf,
    #[command(flatten)]
    copy: CopyOptions,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let dir = &options.data_dir;
    let target = options.copy.redis.as_ref().ok_or_else(|| {
        ExitError::usage("whose streams? --redis redis://[user:password@]host[:port] or EVENKEEL_REDIS")
    })?;
    let identity =
        OutboxReader::open(dir).and_then(|reader| reader.meta()).map_err(|error| failed(&error))?.identity;
    let opening = Opening {
        dir,
        identity: &identity,
        name: Some(options.copy.name.as_str()),
        journal: Uuid::new_v4(),
        now_ms: unix_ms(),
        limits: Limits::shipping(),
    };
    let (mut outbox, _) = Outbox::open_as(&opening)?;
    let Adopted { from, up_to, begins } = redis::adopt(target, &options.copy.keys()?, &mut outbox, unix_ms())
        .map_err(|error| {
            let exit = match error {
                AdoptError::Redis(_) => Exit::Unreachable,
                _ => Exit::Failure,
            };
            ExitError { exit, message: error.to_string() }
        })?;
    let journal = outbox.meta().journal;
    output::data(|out| {
        if options.json {
            let adopted =
                json!({"from": from, "up_to_tick": up_to, "begins_tick": begins, "journal": journal});
            return writeln!(out, "{adopted}");
        }
        writeln!(out, "journal {journal} goes on after {from}, which told up to tick {up_to}")?;
        writeln!(out, "it begins at tick {begins}; what waited in the other one is not known here")
    })?;
    Ok(Exit::Ok)
}

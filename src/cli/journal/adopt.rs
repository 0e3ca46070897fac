//! `evenkeel journal adopt`: go on behind a gap, with streams whose data directory is gone, or with a copy of it.

use std::io::Write;

use clap::Args;
use evenkeel_actors::{
    clock::unix_ms,
    ports::ledger::CommitError,
    stores::{
        outbox::{Continued, Identity, Limits, Opening, Outbox, OutboxReader, Purpose},
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
    /// A new data directory on which a server has been started once, and been refused; or an older copy.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data")]
    data_dir: std::path::PathBuf,
    #[command(flatten)]
    copy: CopyOptions,
    /// The clock is right now, and was ahead when the last entries were recorded: go on after them all the same.
    #[arg(long)]
    clock_was_wrong: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let dir = &options.data_dir;
    let reader = OutboxReader::open(dir).map_err(|error| failed(&error))?;
    let mut identity = reader.meta().map_err(|error| failed(&error))?.identity;
    let tick_ms = tick_ms(&identity);
    identity.lengths.tick_ms = tick_ms.unwrap_or(identity.lengths.tick_ms);
    // Ticks of 1 ms are shorter than any, and so more than there can have been.
    let tick_ms = tick_ms.unwrap_or(1);
    let copy = reader.is_copy().map_err(|error| failed(&error))?;
    drop(reader);
    let target = options.copy.target()?;
    if target.is_none() && !copy {
        return Err(ExitError::usage(
            "whose streams? --redis redis://[user:password@]host[:port] or EVENKEEL_REDIS; only what `journal restore` put \
             back can be adopted without",
        )
        .into());
    }
    let opening = Opening {
        dir,
        identity: &identity,
        name: options.copy.redis.is_some().then_some(options.copy.name.as_str()),
        journal: Uuid::new_v4(),
        now_ms: unix_ms(),
        limits: Limits::shipping(),
        purpose: Purpose::Adopt,
        clock_was_wrong: options.clock_was_wrong,
    };
    let (mut outbox, _) = Outbox::open_as(&opening)?;
    let adopted = match &target {
        Some(target) => redis::adopt(target, &options.copy.keys()?, &mut outbox, tick_ms, unix_ms())
            .map_err(|error| {
                let exit = match error {
                    AdoptError::Redis(_) => Exit::Unreachable,
                    _ => Exit::Failure,
                };
                ExitError { exit, message: error.to_string() }
            })?,
        None => alone(&mut outbox, tick_ms)?,
    };
    let journal = outbox.meta().journal;
    output::data(|out| print(out, options.json, &adopted, journal))?;
    Ok(Exit::Ok)
}

/// Without Redis nobody knows more than the copy.
fn alone(outbox: &mut Outbox, tick_ms: u64) -> Result<Adopted, CommitError> {
    let Continued { after, begins, given_up } = outbox.continue_copy(None, 0, tick_ms, unix_ms())?;
    Ok(Adopted { from: outbox.meta().journal.to_string(), up_to: after, begins, given_up })
}

/// The daemon's pace, which is one of the parameters that a directory belongs to.
fn tick_ms(identity: &Identity) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Pace {
        tick_ms: u64,
    }
    toml::from_str(&identity.text).ok().map(|Pace { tick_ms }| tick_ms)
}

fn print(out: &mut dyn Write, as_json: bool, adopted: &Adopted, journal: Uuid) -> std::io::Result<()> {
    let Adopted { from, up_to, begins, given_up } = adopted;
    if as_json {
        let adopted = json!({
            "from": from, "up_to_tick": up_to, "begins_tick": begins, "journal": journal, "given_up": given_up,
        });
        return writeln!(out, "{adopted}");
    }
    let told = up_to.map_or("nothing".to_owned(), |tick| format!("up to tick {tick}"));
    if *from != journal.to_string() {
        writeln!(out, "journal {journal} goes on after {from}, which told {told}")?;
        return writeln!(out, "it begins at tick {begins}; what waited in the other one is not known here");
    }
    writeln!(out, "journal {journal} goes on after a gap: it is known {told}")?;
    writeln!(out, "it begins again at tick {begins}; what ran between is not known here")?;
    for execution in given_up {
        writeln!(out, "given up: {execution} waited in the copy, whether it ran since is not known")?;
    }
    Ok(())
}

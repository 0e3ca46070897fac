//! `evenkeel journal backup`: all of a journal in one file, beside a running server.

use std::{io::Write, path::PathBuf};

use clap::Args;
use evenkeel_actors::{
    clock::unix_ms,
    ports::history::ReadError,
    stores::outbox::{self, Copied, CopyError},
};
use serde_json::{Value, json};

use super::verify::Progress;
use crate::{
    exit::{Exit, ExitError},
    output,
};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the journal lives. A server may be at work in it.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data")]
    data_dir: PathBuf,
    /// The file that is written. It must not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let mut progress = Progress::default();
    let copied =
        outbox::back_up(&options.data_dir, &options.to, unix_ms(), |done, total| progress.show(done, total));
    progress.end();
    let copied = copied.map_err(|error| failed(&error))?;
    output::data(|out| {
        if options.json {
            let mut described = described(&copied);
            described["file"] = json!(options.to);
            return writeln!(out, "{described}");
        }
        writeln!(out, "{} holds journal {}, {}", options.to.display(), copied.journal, copied.label)?;
        print(out, &copied)
    })?;
    Ok(Exit::Ok)
}

/// What a copy holds, for programs.
pub(super) fn described(copied: &Copied) -> Value {
    let Copied { journal, label, made_at_ms, next_tick, entries, waiting } = copied;
    json!({
        "journal": journal, "identity": label, "made_at_ms": made_at_ms, "next_tick": next_tick,
        "entries": entries, "waiting": waiting,
    })
}

/// The same for people.
pub(super) fn print(out: &mut dyn Write, copied: &Copied) -> std::io::Result<()> {
    let Copied { next_tick, entries, waiting, .. } = copied;
    writeln!(
        out,
        "everything before tick {next_tick}: {} executions, {} queue events, {} windows; {waiting} executions waited",
        entries.executions, entries.queue, entries.windows
    )
}

pub(super) fn failed(error: &CopyError) -> ExitError {
    let exit = match error {
        CopyError::Exists(_) | CopyError::NotEmpty(_) | CopyError::NotAlone(_) => Exit::Usage,
        CopyError::NotWhole { .. } | CopyError::Read(ReadError::Damaged(_)) => Exit::CheckFailed,
        CopyError::Read(ReadError::Missing { .. }) => Exit::Unreachable,
        _ => Exit::Failure,
    };
    ExitError { exit, message: error.to_string() }
}

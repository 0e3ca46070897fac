//! `evenkeel journal`: read beside a running server, or after it.

mod stat;
mod tail;
mod verify;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evenkeel_actors::journal::outbox::{OutboxReader, ReadError};

use crate::exit::{Exit, ExitError};

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
    /// Check that it says everything, once, and nothing else. Exit code 3 when it does not.
    Verify(verify::Options),
}

/// Which journal.
#[derive(Debug, Args)]
struct Which {
    /// Where the journal lives.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data")]
    data_dir: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    match &options.command {
        Command::Tail(options) => tail::main(options),
        Command::Stat(options) => stat::main(options),
        Command::Verify(options) => verify::main(options),
    }
}

fn open(data_dir: &Path) -> Result<OutboxReader, ExitError> {
    OutboxReader::open(data_dir).map_err(|error| failed(&error))
}

/// What cannot be read is unreachable; what is read and not whole has failed a check.
fn failed(error: &ReadError) -> ExitError {
    let exit = match error {
        ReadError::Damaged(_) => Exit::CheckFailed,
        _ => Exit::Unreachable,
    };
    ExitError { exit, message: error.to_string() }
}

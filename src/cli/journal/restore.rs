//! `evenkeel journal restore`: puts a backup back, for somebody to decide how it goes on.

use std::path::PathBuf;

use clap::Args;
use evenkeel_actors::{clock::unix_ms, stores::outbox};
use serde_json::json;

use super::{backup, verify::Progress};
use crate::{exit::Exit, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `journal backup` wrote.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Where the journal is to live: a new or an empty directory.
    #[arg(long, env = "EVENKEEL_DATA_DIR", default_value = "./evenkeel-data")]
    data_dir: PathBuf,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let mut progress = Progress::default();
    let dir = &options.data_dir;
    let restored = outbox::restore(&options.from, dir, unix_ms(), |done, total| progress.show(done, total));
    progress.end();
    let restored = restored.map_err(|error| backup::failed(&error))?;
    output::data(|out| {
        if options.json {
            let mut described = backup::described(&restored);
            described["data_dir"] = json!(dir);
            return writeln!(out, "{described}");
        }
        let dir = dir.display();
        writeln!(out, "{dir} holds journal {}, {}, verified", restored.journal, restored.label)?;
        backup::print(out, &restored)?;
        writeln!(out, "what ran since then is not in it: before a server starts on it,")?;
        writeln!(
            out,
            "    evenkeel journal adopt --data-dir {dir}                where `evenkeel run` used it"
        )?;
        writeln!(
            out,
            "    evenkeel journal adopt --data-dir {dir} --redis URL    where `evenkeel server` did"
        )
    })?;
    Ok(Exit::Ok)
}

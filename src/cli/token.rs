//! `evenkeel token`: draws bearer tokens and keeps their hashes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    exit::Exit,
    output,
    tokens::{Scope, Tokens},
};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw a token, print it, and add its hash to the file. It is shown this once.
    New {
        /// Whose it is; the same name twice is a rotation.
        #[arg(long)]
        name: String,
        /// read: see everything; control: place slots, add delays, too; admin: change the mode, too.
        #[arg(long, value_parser = super::known::scopes(), hide_possible_values = true)]
        scope: Scope,
        /// The file that `--tokens` names.
        #[arg(long, env = "EVENKEEL_TOKENS_FILE", value_name = "FILE")]
        tokens: PathBuf,
    },
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let Command::New { name, scope, tokens } = &options.command;
    let secret = Tokens::create(tokens, name, *scope)?;
    let file = tokens.display();
    output::data(|out| writeln!(out, "{secret}")).map_err(|error| {
        // Nobody has it: a closed pipe is no end without a word here.
        anyhow::anyhow!(
            "{error}: the token is lost, and its hash is in {file}: remove that line, and draw another one"
        )
    })?;
    output::note(format!(
        "the hash of this token is in {file}; a running server takes it within a second. To revoke it, remove the line."
    ));
    Ok(Exit::Ok)
}

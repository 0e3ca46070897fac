//! `evenkeel journal`.

use clap::Args;

use crate::exit::Exit;

#[derive(Debug, Args)]
pub struct Options {}

/// x
pub fn main(_options: &Options) -> anyhow::Result<Exit> {
    Ok(Exit::Ok)
}

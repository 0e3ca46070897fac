//! `evenkeel config show`: each value that is in force, and where it comes from.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{
    delays::LevellingOptions,
    layers::{Given, Setting},
    options::{CommonOptions, RedisOptions, ServerOptions, ServingOptions},
    pace::PaceOptions,
};
use crate::{exit::Exit, output};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print each value that is in force and where it comes from: default, file and line, variable or flag.
    Show(Box<Show>),
}

#[derive(Debug, Args)]
struct Show {
    /// Whose configuration: the commands have different defaults.
    #[arg(long = "for", value_enum, default_value = "run")]
    command: For,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonOptions,
    #[command(flatten)]
    serving: ServingOptions,
    #[command(flatten)]
    levelling: LevellingOptions,
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    pace: PaceOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    Run,
    Server,
    Client,
}

/// What cannot be is an error here, too, after everything has been shown.
pub(super) fn main(options: &Options, given: &Given) -> anyhow::Result<Exit> {
    let Command::Show(show) = &options.command;
    let layers = show.common.layers(given)?;
    let listen = if show.command == For::Client { "127.0.0.1:7071" } else { "127.0.0.1:7070" };
    let mut settings = show.common.settings(&layers, listen);
    if show.command != For::Client {
        settings.extend(show.serving.settings(&layers));
    }
    if show.command != For::Server {
        settings.push(show.levelling.settings(&layers));
    }
    if show.command != For::Run {
        settings.extend(show.redis.settings(&layers));
    }
    if show.command == For::Client {
        settings.extend(show.server.settings(&layers));
        settings.extend(show.pace.settings(&layers));
    }
    output::data(|out| print(out, &settings, show.json))?;
    show.common.merge(&layers, listen)?;
    if show.command != For::Client {
        show.serving.merge(&layers)?;
    }
    show.levelling.merge(&layers)?;
    show.pace.merge(&layers)?;
    Ok(Exit::Ok)
}

fn print(out: &mut dyn Write, settings: &[Setting], json: bool) -> std::io::Result<()> {
    if json {
        for Setting { name, value, origin } in settings {
            let place = (origin.kind() != "default").then(|| origin.to_string());
            let line = json!({"setting": name, "value": value, "from": origin.kind(), "where": place});
            writeln!(out, "{line}")?;
        }
        return out.flush();
    }
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let widest = settings.iter().map(|setting| shown(&setting.value).chars().count()).max().unwrap_or(0);
    // Longer values push what comes after them aside.
    let width = widest.clamp(5, 40);
    writeln!(out, "{:20} {:width$} from", "setting", "value")?;
    for Setting { name, value, origin } in settings {
        writeln!(out, "{name:20} {:width$} {origin}", shown(value))?;
    }
    out.flush()
}

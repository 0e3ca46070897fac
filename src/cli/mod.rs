//! The command line. One file a command; here is what they share.

mod client;
mod comparison;
mod config;
mod delays;
#[cfg(test)]
mod documents;
mod environment;
mod healthcheck;
pub mod journal;
mod known;
mod layers;
mod options;
mod pace;
mod postgres;
mod progress;
mod remote;
mod replay;
mod report;
mod run;
mod server;
mod simulate;
mod status;
mod token;
mod world;

use std::{io::IsTerminal as _, process::ExitCode, sync::Arc};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use self::layers::Given;
use crate::{
    exit::{Exit, ExitError},
    output::{self, DataError},
};

/// Keep a database on an even keel: record every query, learn what it costs, level the load.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process: the simulated database, the journal, the levelling. No service needed.
    Run(run::Options),
    /// The simulated database, its queue and its journal, handed out through Redis to a client elsewhere.
    Server(server::Options),
    /// Learns and levels for a server elsewhere, from the journal in Redis.
    Client(client::Options),
    /// The same decisions in virtual time, judged.
    Simulate(simulate::Options),
    /// A recorded journal as it was, and as it would have been under other policies and budgets.
    Replay(replay::Options),
    /// Read the journal, beside a running server or after it.
    Journal(journal::Options),
    /// What the simulated database is made of. For evaluation: nothing that levels may know it.
    World(world::Options),
    /// How a running server is, as its page says it.
    Status(status::Options),
    /// What levelling brings a running server, or would bring: as it is beside a twin, over an hour and a day.
    Report(report::Options),
    /// Who decides when executions run, at a running server.
    Mode(remote::ModeOptions),
    /// Why an execution was held, and why it was let go, in a sentence.
    Explain(remote::ExplainOptions),
    /// What is configured, and where each value comes from.
    Config(config::Options),
    /// Draw bearer tokens for those who ask over HTTP.
    Token(token::Options),
    /// Ask a server whether it answers.
    Healthcheck(healthcheck::Options),
    /// Print completions for a shell, e.g. `evenkeel completions bash > /etc/bash_completion.d/evenkeel`.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Runs the command that was typed.
pub fn main() -> ExitCode {
    let ended = std::panic::catch_unwind(|| {
        prepare()?;
        let mut command = environment::heeding(Arguments::command());
        let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
            let given = Given::of(&matches, &command);
            Ok((Arguments::from_arg_matches(&matches)?, given))
        });
        match parsed {
            Ok((arguments, given)) => obey(arguments, &given),
            Err(error) => explain(&error, &command),
        }
    });
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => failed(&error),
        Err(_panic) => {
            output::error(
                "it ended by a fault of its own, told above: what is durable is found at the next start",
            );
            Exit::Failure
        }
    };
    output::flush();
    exit.into()
}

/// What must hold before anything is done: nothing ends the process without a word.
fn prepare() -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(output::panicked));
    // A file that may not grow is an error of whoever writes to it, not the end.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
    Ok(())
}

/// Help and version are data; a command line that cannot be is not.
fn explain(error: &clap::Error, command: &clap::Command) -> anyhow::Result<Exit> {
    let text = error.render();
    if error.use_stderr() {
        if let Some(text) = environment::altered(error, command) {
            output::raw(text);
            return Ok(Exit::Usage);
        }
        output::raw(if output::is_coloured() { text.ansi().to_string() } else { text.to_string() });
        return Ok(Exit::Usage);
    }
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output::data(|out| if coloured { write!(out, "{}", text.ansi()) } else { write!(out, "{text}") })?;
    Ok(Exit::Ok)
}

fn failed(error: &anyhow::Error) -> Exit {
    if matches!(error.downcast_ref(), Some(DataError::Closed)) {
        return Exit::Closed;
    }
    output::error(format!("{error:#}"));
    error.downcast_ref::<ExitError>().map_or(Exit::Failure, |error| error.exit)
}

fn obey(arguments: Arguments, given: &Given) -> anyhow::Result<Exit> {
    match arguments.command {
        Command::Run(options) => run::main(&options, given),
        Command::Server(options) => server::main(&options, given),
        Command::Client(options) => client::main(&options, given),
        Command::Config(options) => config::main(&options, given),
        Command::Simulate(options) => simulate::main(&options),
        Command::Replay(options) => replay::main(&options),
        Command::Journal(options) => journal::main(&options),
        Command::World(options) => world::main(&options),
        Command::Status(options) => status::main(&options),
        Command::Report(options) => report::main(&options),
        Command::Mode(options) => remote::mode(&options),
        Command::Explain(options) => remote::explain(&options),
        Command::Token(options) => token::main(&options),
        Command::Healthcheck(options) => healthcheck::main(&options),
        Command::Completions { shell } => {
            // It panics at a writer that fails.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "evenkeel", &mut script);
            output::data(|out| out.write_all(&script))?;
            Ok(Exit::Ok)
        }
    }
}

/// Seeds `A..B`, both included, or one.
#[derive(Clone, Debug)]
pub struct Seeds(pub std::ops::RangeInclusive<u64>);

impl std::str::FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) if from <= to => Ok(Self(from..=to)),
            _ => Err(format!("`{text}` are no seeds: expected A..B with A ≤ B, both included, or one")),
        }
    }
}

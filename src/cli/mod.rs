//! The command line. One file a command; here is what they share.

mod client;
mod healthcheck;
pub mod journal;
mod options;
mod remote;
mod run;
mod server;
mod simulate;
mod token;
mod world;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::exit::{Exit, ExitError};

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
    /// Read the journal, beside a running server or after it.
    Journal(journal::Options),
    /// What the simulated database is made of. For evaluation: nothing that levels may know it.
    World(world::Options),
    /// Who decides when executions run, at a running server.
    Mode(remote::ModeOptions),
    /// Why an execution was held, and why it was let go, in a sentence.
    Explain(remote::ExplainOptions),
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
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version end here, too, and are no error. A closed terminal is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let done = match arguments.command {
        Command::Run(options) => run::main(&options),
        Command::Server(options) => server::main(&options),
        Command::Client(options) => client::main(&options),
        Command::Simulate(options) => simulate::main(&options),
        Command::Journal(options) => journal::main(&options),
        Command::World(options) => world::main(&options),
        Command::Mode(options) => remote::mode(&options),
        Command::Explain(options) => remote::explain(&options),
        Command::Token(options) => token::main(&options),
        Command::Healthcheck(options) => healthcheck::main(&options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "evenkeel", &mut std::io::stdout());
            Ok(Exit::Ok)
        }
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            if is_closed_pipe(&error) {
                return ExitCode::SUCCESS;
            }
            eprintln!("evenkeel: {error:#}");
            error.downcast_ref::<ExitError>().map_or(Exit::Failure, |error| error.exit).into()
        }
    }
}

/// Whoever read the output has seen enough, as `| head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
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

//! Asking a running server: `evenkeel mode`, `evenkeel explain`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use evenkeel_actors::remote::{
    reach::{self, Server},
    secret::Secret,
};
use evenkeel_core::{journal::Mode, units::ids::ExecutionId};
use serde_json::{Value, json};

use crate::{
    config::Masked,
    exit::{Exit, ExitError},
    output::{self, DataError},
};

/// A server that needs longer is away.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct ServerOptions {
    /// Where the server is.
    #[arg(
        long,
        global = true,
        env = "EVENKEEL_SERVER",
        visible_alias = "url",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    server: Masked,
    /// File of authorities, PEM, that sign its certificate, in place of those that the system trusts.
    #[arg(long, global = true, env = "EVENKEEL_SERVER_CA", value_name = "FILE")]
    server_ca: Option<PathBuf>,
    /// File that holds the bearer token.
    #[arg(long, global = true, env = "EVENKEEL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ModeOptions {
    #[command(subcommand)]
    command: ModeCommand,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum ModeCommand {
    /// Who decides when executions run: off, shadow or enforce.
    Get,
    /// Change that; what was set survives restarts.
    Set {
        /// off, shadow or enforce
        #[arg(value_parser = super::known::modes(), hide_possible_values = true)]
        mode: Mode,
    },
}

#[derive(Debug, Args)]
pub(super) struct ExplainOptions {
    /// The execution's id, as /queued, the journal and the dashboard show it.
    execution: ExecutionId,
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) fn mode(options: &ModeOptions) -> anyhow::Result<Exit> {
    let answer = match options.command {
        ModeCommand::Get => ask(&options.server, "/api/v1/mode", None)?,
        ModeCommand::Set { mode } => ask(&options.server, "/api/v1/mode", Some(&json!({"mode": mode})))?,
    };
    print(&options.server, &answer, "mode")?;
    Ok(Exit::Ok)
}

pub(super) fn explain(options: &ExplainOptions) -> anyhow::Result<Exit> {
    let answer = ask(&options.server, &format!("/api/v1/decisions/{}", options.execution), None)?;
    print(&options.server, &answer, "sentence")?;
    if !options.server.json
        && let Some(statement) = statement(&answer)
    {
        output::data(|out| writeln!(out, "{statement}"))?;
    }
    Ok(Exit::Ok)
}

/// Whose statement of a real database it is, and what it asks.
fn statement(answer: &Value) -> Option<String> {
    let said = answer["statement"].as_object()?;
    let word = |name: &str| match &said[name] {
        Value::Null => String::new(),
        Value::String(text) => format!(" {name}={text}"),
        other => format!(" {name}={other}"),
    };
    let names =
        ["class", "user", "database", "application", "client", "session", "transaction", "pid", "tag"];
    let whose: String = names.map(word).concat();
    let asks = answer["text"]["text"].as_str().unwrap_or("(its text is not kept)");
    Some(format!("{asks}\n{}", whose.trim_start()))
}

fn print(options: &ServerOptions, answer: &Value, field: &str) -> Result<(), DataError> {
    output::data(|out| match (options.json, answer[field].as_str()) {
        (false, Some(text)) => writeln!(out, "{text}"),
        _ => writeln!(out, "{answer}"),
    })
}

/// GETs `path`, or PUTs `body` to it.
pub(super) fn ask(options: &ServerOptions, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let token = options.token_file.as_deref().map(Secret::read).transpose().map_err(ExitError::usage)?;
    let server =
        Server::new(options.server.expose(), options.server_ca.as_deref()).map_err(ExitError::usage)?;
    let url = server.url(path);
    actix::System::new().block_on(async {
        let http = server.client(TIMEOUT, TIMEOUT);
        let open = |request| reach::opened(request, token.as_ref());
        let unreachable = |cause: String| ExitError {
            exit: Exit::Unreachable,
            message: format!("{server} does not answer: {cause}"),
        };
        let sent = match body {
            Some(body) => open(http.put(&url)).send_json(body).await,
            None => open(http.get(&url)).send().await,
        };
        let mut answer = sent.map_err(|error| unreachable(reach::cause(&error)))?;
        let status = answer.status();
        let value: Value = answer.json().await.map_err(|error| {
            unreachable(format!("it answered {status}, and not with what evenkeel answers ({error})"))
        })?;
        if status.is_success() {
            return Ok(value);
        }
        let detail = value["detail"].as_str().unwrap_or("no reason was given");
        Err(ExitError { exit: Exit::Failure, message: format!("{status}: {detail}") }.into())
    })
}

//! `evenkeel healthcheck`: for containers without a shell.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use clap::Args;

use crate::{
    exit::{Exit, ExitError},
    output,
};

/// A server that needs longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A status line and a short body.
const ANSWER_BYTES_MAX: u64 = 4096;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What to ask.
    #[arg(long, env = "EVENKEEL_URL", default_value = "http://127.0.0.1:7070/healthz")]
    url: String,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    match ask(&options.url)? {
        200 => Ok(Exit::Ok),
        status => {
            output::error(format!("{} answered {status}", options.url));
            Ok(Exit::CheckFailed)
        }
    }
}

/// The status of one plain GET. A health check asks its own host, so this is all of HTTP that it needs.
fn ask(url: &str) -> Result<u16, ExitError> {
    let not_http = || ExitError::usage(format!("`{url}`: expected http://host:port/path"));
    let rest = url.strip_prefix("http://").ok_or_else(not_http)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let unreachable = |error: std::io::Error| ExitError {
        exit: Exit::Unreachable,
        message: format!("{url} does not answer: {error}"),
    };
    let address = authority.to_socket_addrs().map_err(unreachable)?.next().ok_or_else(not_http)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(unreachable)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(unreachable)?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
        .map_err(unreachable)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(unreachable)?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| unreachable(std::io::Error::other("the answer is not HTTP")))
}

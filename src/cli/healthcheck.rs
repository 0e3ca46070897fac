//! `evenkeel healthcheck`: for containers without a shell.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use clap::Args;
use evenkeel_actors::address::Address;

use crate::{
    config::Masked,
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
    url: Masked,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let url = options.url.expose();
    match ask(url)? {
        200 => Ok(Exit::Ok),
        status => {
            output::error(format!("it answered {status}"));
            Ok(Exit::CheckFailed)
        }
    }
}

/// The status of one plain GET. A health check asks its own host, so this is all of HTTP that it needs.
fn ask(url: &str) -> Result<u16, ExitError> {
    let wrong = |why: &dyn std::fmt::Display| {
        ExitError::usage(format!("the address to ask cannot be used: {why}; expected http://host:port/path"))
    };
    let address = Address::parse(url, &["http"], "http://").map_err(|error| wrong(&error))?;
    if address.has_user_info() {
        return Err(wrong(&"it has a user or password"));
    }
    let url = address.expose();
    let (host, port) = (url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
    let unreachable = |error: std::io::Error| ExitError {
        exit: Exit::Unreachable,
        message: format!("{address} does not answer: {error}"),
    };
    let mut found = format!("{host}:{port}").to_socket_addrs().map_err(unreachable)?;
    let found = found.next().ok_or_else(|| wrong(&"its host has no address"))?;
    let mut stream = TcpStream::connect_timeout(&found, TIMEOUT).map_err(unreachable)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(unreachable)?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = format!("{}{query}", url.path());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")
        .map_err(unreachable)?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).map_err(unreachable)?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| unreachable(std::io::Error::other("the answer is not HTTP")))
}

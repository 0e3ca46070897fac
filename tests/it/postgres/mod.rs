//! PostgreSQL's clients through evenkeel: each behaviour of the front has its number in the test's name.

mod drivers;
mod eighteen;
mod holding;
mod logins;
mod observing;
mod pacing;
mod passing;
mod raw;
mod recording;
mod rust_driver;

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    before::{Before, client, psql},
    output,
    postgres::{Postgres, programs},
    redis::{Redis, free_port},
    text, wait_until,
};

/// Where it listens.
fn address_of(postgres: &Postgres) -> SocketAddr {
    ([127, 0, 0, 1], postgres.port()).into()
}

/// One whose journal is handed out through Redis.
fn over(redis: &Redis, postgres: &Postgres) -> Before {
    let url = redis.url("server");
    let arguments = ["server", "--listen", "127.0.0.1:0", "--redis", &url, "--mode", "shadow"];
    let mut before = Before::not_started(&postgres.url("postgres", "postgres"), &arguments);
    before.start();
    before.running().wait_until_ready();
    before
}

/// What a program printed, once it succeeded.
fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

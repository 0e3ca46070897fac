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
    Running, evenkeel, output,
    postgres::{Postgres, programs},
    redis::{Redis, free_port},
    start, text, wait_until,
};

/// A client of PostgreSQL's at `address`, in the database `postgres`.
fn client(program: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(programs().join(program));
    command.env("PGDATABASE", "postgres").env("PGUSER", "postgres").env("PGHOST", address.ip().to_string());
    command.env("PGPORT", address.port().to_string()).stdin(Stdio::null());
    command
}

/// psql at `address`, which prints values alone and reads no file of the user's.
fn psql(address: SocketAddr) -> Command {
    let mut command = client("psql", address);
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
    command
}

/// Where it listens.
fn address_of(postgres: &Postgres) -> SocketAddr {
    ([127, 0, 0, 1], postgres.port()).into()
}

/// An evenkeel before a PostgreSQL.
struct Before {
    folder: TempDir,
    port: u16,
    /// `run`, or `server`.
    role: &'static str,
    arguments: Vec<String>,
    running: Option<Running>,
}

impl Before {
    /// One that holds nothing.
    fn shadow(postgres: &Postgres) -> Self {
        Self::with(postgres, &["--mode", "shadow"])
    }

    /// One that holds what is deferrable, and lets one statement of that kind run.
    fn enforce(postgres: &Postgres) -> Self {
        Self::with(postgres, &["--mode", "enforce", "--at-once", "1"])
    }

    fn with(postgres: &Postgres, arguments: &[&str]) -> Self {
        Self::at(&postgres.url("postgres", "postgres"), arguments)
    }

    fn at(url: &str, arguments: &[&str]) -> Self {
        Self::of("run", url, arguments)
    }

    /// One whose journal is handed out through Redis.
    fn over(redis: &Redis, postgres: &Postgres) -> Self {
        let url = redis.url("server");
        Self::of("server", &postgres.url("postgres", "postgres"), &["--redis", &url, "--mode", "shadow"])
    }

    fn of(role: &'static str, url: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let mut all = vec!["--postgres".to_owned(), url.to_owned(), "--pg-listen".to_owned()];
        all.push(format!("127.0.0.1:{port}"));
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut before = Self { folder, port, role, arguments: all, running: None };
        before.start();
        before
    }

    fn start(&mut self) {
        let mut command = evenkeel();
        command.arg(self.role).args(&self.arguments).args(["--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(self.data_dir());
        let running = start(command, &self.folder.path().join("stderr.txt"));
        running.wait_until_ready();
        self.running = Some(running);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What psql says to `statements`, each in its own `-c`.
    fn psql(&self, statements: &[&str]) -> Output {
        let mut command = psql(self.address());
        for statement in statements {
            command.args(["-c", statement]);
        }
        command.output().unwrap()
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Output {
        client(program, self.address()).args(arguments).output().unwrap()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.running().get(path);
        if answer.status == 204 { Value::Null } else { answer.json() }
    }

    /// How many statements wait.
    fn queued(&self) -> usize {
        self.get("/queued").as_array().map_or(0, Vec::len)
    }

    fn set_mode(&self, mode: &str) {
        let body = format!("{{\"mode\":\"{mode}\"}}");
        let answer = self.running().request("PUT", "/api/v1/mode", "application/json", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Entries of the journal, as it tells them in JSON.
    fn entries(&self) -> Vec<Value> {
        let told =
            output(&["journal", "tail", "--data-dir", text(&self.data_dir()), "--json", "--lines", "100000"]);
        let lines = String::from_utf8(told.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends it in order; its journal is whole.
    fn ends_well(mut self) {
        let running = self.running.take().expect("it runs");
        running.signal("TERM");
        let (status, _) = running.wait();
        assert!(status.success(), "{status}");
        self.verified();
    }

    fn verified(&self) {
        let verified = output(&["journal", "verify", "--data-dir", text(&self.data_dir())]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
    }
}

/// What a program printed, once it succeeded.
fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

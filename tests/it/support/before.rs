//! An evenkeel before a real PostgreSQL, for one test.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    Running, evenkeel, output, pause,
    postgres::{Postgres, programs},
    redis::free_port,
    start, text,
};

/// A client of PostgreSQL's at `address`, in the database `postgres`.
pub fn client(program: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(programs().join(program));
    command.env("PGDATABASE", "postgres").env("PGUSER", "postgres").env("PGHOST", address.ip().to_string());
    command.env("PGPORT", address.port().to_string()).stdin(Stdio::null());
    command
}

/// psql at `address`, which prints values alone and reads no file of the user's.
pub fn psql(address: SocketAddr) -> Command {
    let mut command = client("psql", address);
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]);
    command
}

/// An evenkeel before a PostgreSQL.
pub struct Before {
    pub folder: TempDir,
    pub port: u16,
    /// What surrounds the process, for builds that look at it.
    pub environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
    running: Option<Running>,
}

impl Drop for Before {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what there was is kept in {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

impl Before {
    /// One that holds nothing.
    pub fn shadow(postgres: &Postgres) -> Self {
        Self::with(postgres, &["--mode", "shadow"])
    }

    /// One that holds what is deferrable, and lets one statement of that kind run.
    pub fn enforce(postgres: &Postgres) -> Self {
        Self::with(postgres, &["--mode", "enforce", "--at-once", "1"])
    }

    pub fn with(postgres: &Postgres, arguments: &[&str]) -> Self {
        Self::at(&postgres.url("postgres", "postgres"), arguments)
    }

    pub fn at(url: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["run", "--listen", "127.0.0.1:0"];
        all.extend_from_slice(arguments);
        let mut before = Self::not_started(url, &all);
        before.start();
        before.running().wait_until_ready();
        before
    }

    /// One whose command, `run` or `server`, and its address are given.
    pub fn not_started(url: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let mut all: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--postgres".to_owned(), url.to_owned(), "--pg-listen".to_owned()]);
        all.push(format!("127.0.0.1:{port}"));
        Self { folder, port, environment: Vec::new(), arguments: all, running: None }
    }

    fn command(&self) -> Command {
        let mut command = evenkeel();
        command.args(&self.arguments).arg("--data-dir").arg(self.data_dir());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) {
        self.running = Some(start(self.command(), &self.folder.path().join("stderr.txt")));
    }

    /// Starts it with something that it may die of, even before it listens; whether it has died of that within `time`. It
    /// is gone afterwards.
    pub fn dies_of(&self, fault: &str, time: Duration) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("stderr.txt"));
        let mut command = self.command();
        command.env("EVENKEEL_FAULT", fault).stdout(Stdio::null()).stderr(log.unwrap());
        let mut process = command.spawn().unwrap();
        let begun = Instant::now();
        let died = loop {
            match process.try_wait().unwrap() {
                None if begun.elapsed() > time => break false,
                None => pause(Duration::from_millis(2)),
                Some(_) => break true,
            }
        };
        let _ = process.kill();
        process.wait().unwrap();
        died
    }

    /// What it has said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr.txt")).unwrap_or_default()
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs")
    }

    pub fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What psql says to `statements`, each in its own `-c`.
    pub fn psql(&self, statements: &[&str]) -> Output {
        let mut command = psql(self.address());
        for statement in statements {
            command.args(["-c", statement]);
        }
        command.output().unwrap()
    }

    pub fn client(&self, program: &str, arguments: &[&str]) -> Output {
        client(program, self.address()).args(arguments).output().unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.running().get(path);
        if answer.status == 204 { Value::Null } else { answer.json() }
    }

    /// How many statements wait.
    pub fn queued(&self) -> usize {
        self.get("/queued").as_array().map_or(0, Vec::len)
    }

    pub fn set_mode(&self, mode: &str) {
        let body = format!("{{\"mode\":\"{mode}\"}}");
        let answer = self.running().request("PUT", "/api/v1/mode", "application/json", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Entries of the journal, as it tells them in JSON.
    pub fn entries(&self) -> Vec<Value> {
        let told =
            output(&["journal", "tail", "--data-dir", text(&self.data_dir()), "--json", "--lines", "100000"]);
        let lines = String::from_utf8(told.stdout).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Ends it in order.
    pub fn terminate(&mut self) {
        let running = self.running.take().expect("it runs");
        running.signal("TERM");
        let (status, _) = running.wait();
        assert!(status.success(), "{status}");
    }

    /// The same; its journal is whole.
    pub fn ends_well(mut self) {
        self.terminate();
        self.verified();
    }

    pub fn verified(&self) {
        let verified = output(&["journal", "verify", "--data-dir", text(&self.data_dir())]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
    }
}

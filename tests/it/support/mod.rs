//! A world per test: a real `evenkeel run` in a temporary folder, on a free port, that ends with the test.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]
// A helper that fails fails the test.
#![allow(clippy::unwrap_used, missing_docs)]

pub mod before;
pub mod cgroup;
pub mod foreign;
pub mod journal;
pub mod pair;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod three;
pub mod tls;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::{
    estimator::Estimator,
    journal::{Entry, EntryId, Positions, Stream},
    leveller::ClientState,
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::lengths::Lengths,
};
use serde_json::Value;
use tempfile::TempDir;

/// Longest that a test waits for something to become true; nothing is measured with it.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The program under test.
pub fn evenkeel() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    // What the developer has set must not decide what a test sees.
    for (name, _) in std::env::vars() {
        if name.starts_with("EVENKEEL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `evenkeel` with `arguments` to its end.
pub fn output(arguments: &[&str]) -> Output {
    evenkeel().args(arguments).output().unwrap()
}

/// A folder for one server's data, and what it is started with.
pub struct World {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what there was is kept in {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

impl World {
    /// A world of `scenario`; further `arguments` go to every start.
    pub fn new(scenario: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--scenario".to_owned(), scenario.to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Self { folder: TempDir::new().unwrap(), arguments: all }
    }

    /// A world whose parameters are `toml`.
    pub fn with_parameters(toml: &str, arguments: &[&str]) -> Self {
        let mut world = Self::new("", arguments);
        let file = world.path("scenario.toml");
        std::fs::write(&file, toml).unwrap();
        world.arguments[1] = file.display().to_string();
        world
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where its journal lives.
    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Where its database writes what it really ran.
    pub fn truth(&self) -> PathBuf {
        self.path("truth.txt")
    }

    /// The command that starts it: `run`, or `server` with an address and a Redis.
    pub fn command(&self, name: &str) -> Command {
        let mut command = evenkeel();
        command.arg(name).args(&self.arguments).arg("--data-dir");
        command.arg(self.data_dir()).arg("--truth").arg(self.truth());
        command
    }

    /// Starts `run`, and waits until it listens.
    pub fn start(&self) -> Running {
        let mut command = self.command("run");
        command.args(["--listen", "127.0.0.1:0"]);
        start(command, &self.path("stderr.txt"))
    }

    /// `evenkeel journal verify` against the truth file.
    pub fn verify(&self) -> Output {
        let (data_dir, truth) = (self.data_dir(), self.truth());
        output(&["journal", "verify", "--data-dir", text(&data_dir), "--truth", text(&truth)])
    }

    /// Asserts that the journal is whole and agrees with the truth.
    pub fn assert_verified(&self) {
        let verified = self.verify();
        let (out, err) =
            (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert_eq!(verified.status.code(), Some(0), "{out}{err}");
    }

    /// Waits until so many executions more have run.
    pub fn goes_on(&self, executions: usize) {
        let rows = || std::fs::read_to_string(self.truth()).unwrap_or_default().lines().count();
        let before = rows();
        wait_until("queries run", || rows() > before + executions);
    }
}

/// The value of the metric whose line begins so.
pub fn number(metrics: &str, begin: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(begin));
    line.unwrap_or_else(|| panic!("no {begin} in {metrics}")).trim().parse::<f64>().unwrap() as u64
}

/// Starts a long-running command, and waits until it listens.
pub fn start(mut command: Command, stderr: &Path) -> Running {
    let log = std::fs::File::options().create(true).append(true).open(stderr).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let base = loop {
        let Some(Ok(line)) = lines.next() else {
            let said = std::fs::read_to_string(stderr).unwrap();
            panic!("it ended before it listened: {:?}\n{said}", child.wait());
        };
        if let Some(rest) = line.strip_prefix("API") {
            let address = rest.split_whitespace().next().unwrap();
            break address.trim_end_matches('/').to_owned();
        }
    };
    // Somebody must read what it prints, or it would wait for that.
    let printed = thread::spawn(move || lines.map_while(Result::ok).collect());
    Running { child, base, printed: Some(printed) }
}

/// Lets `command` take its time of day from `FAKETIME`. Ticks go by the monotonic clock, which no clock setting touches.
/// Preloaded by hand: `faketime` would stay between the test and the process.
pub fn fake_clock(command: &mut Command) -> &mut Command {
    command.env("LD_PRELOAD", libfaketime()).env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Where Debian's package puts it, whatever the machine is called.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("faketime is installed: apt-get install faketime")
}

/// `kill -NAME PID`.
pub fn signal(pid: u32, name: &str) {
    let killed = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(killed.success());
}

/// The client's state, made anew from the journal's entries up to `positions`, stream after stream.
pub fn fold(world: &World, positions: Positions) -> ClientState {
    let reader = OutboxReader::open(&world.data_dir()).unwrap();
    fold_of(|stream| reader.after(stream, EntryId::default(), usize::MAX).unwrap(), positions)
}

/// The same from `entries`, each stream from its beginning.
pub fn fold_of(mut entries: impl FnMut(Stream) -> Vec<Entry>, positions: Positions) -> ClientState {
    let mut estimator = Estimator::default();
    let mut scheduler = Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None);
    for stream in [Stream::Windows, Stream::Queue, Stream::Executions] {
        for entry in entries(stream).iter().take_while(|entry| entry.id <= positions.get(stream)) {
            estimator.apply(&entry.record);
            scheduler.apply(&entry.record);
        }
    }
    ClientState { positions, estimator, scheduler: Some(scheduler.snapshot()) }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A running server; killed when the test ends, however it ends.
pub struct Running {
    child: Child,
    /// `http://127.0.0.1:port`
    pub base: String,
    printed: Option<thread::JoinHandle<Vec<String>>>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub allow: String,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Running {
    /// One that `child` is, which listens at `base`, and whose output is the test's own matter.
    pub fn unheard(child: Child, base: String) -> Self {
        Self { child, base, printed: None }
    }

    /// A request, whatever its status.
    pub fn request(&self, method: &str, path: &str, content_type: &str, body: &str) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", content_type)
            .body(body.to_owned())
            .unwrap();
        let mut response = agent.run(request).unwrap();
        let header = |name| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (content_type, allow) = (header("content-type"), header("allow"));
        let status = response.status().as_u16();
        Answer { status, content_type, allow, body: response.body_mut().read_to_string().unwrap() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "text/plain", "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, "application/json", body)
    }

    /// The last tick that has begun, as the control endpoint tells it; takes the lease of an epoch that
    /// nobody else has.
    pub fn wait_until_ready(&self) {
        wait_until("the server is ready", || self.get("/readyz").status == 200);
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -NAME`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end; its status and what it printed.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        let printed = self.printed.take().map(|printed| printed.join().unwrap());
        (status, printed.unwrap_or_default())
    }

    /// Ends in order, and what it recorded of `world` is whole.
    pub fn ends_well(self, world: &World) {
        self.signal("TERM");
        let (status, _) = self.wait();
        assert!(status.success(), "{status}");
        world.assert_verified();
    }

    /// kill -9, and gone.
    pub fn kill(self) -> Vec<String> {
        self.signal("KILL");
        self.wait().1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already when the test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `holds`, or fails the test, saying what it waited for.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        pause(Duration::from_millis(20));
    }
}

/// Lets the other processes work.
#[allow(clippy::disallowed_methods, reason = "a test's own thread has no arbiter to block")]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

//! A server and a client over a Redis, each a process of its own.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use super::{
    Running, World, fake_clock, output,
    proxy::Proxy,
    redis::{Redis, free_port},
    start, text, wait_until,
};

/// What the two are started with.
pub struct Pair {
    pub world: World,
    pub redis: Redis,
    /// What the two are to die of, or panic at: named points and how often, for builds that have them.
    pub fault: Option<String>,
    /// What both do wrongly, for builds that can.
    pub mutant: Option<&'static str>,
    /// The way to Redis of both, where it is not the direct one.
    pub way: Option<Proxy>,
    /// The file whose text both take for the time of day: `-1h`, `+5s`.
    clock: Option<PathBuf>,
    server_port: u16,
}

impl Pair {
    /// A pair for `world` over a new Redis; nothing but that is started yet.
    pub fn new(world: World) -> Self {
        Self {
            world,
            redis: Redis::start(),
            fault: None,
            mutant: None,
            way: None,
            clock: None,
            server_port: free_port(),
        }
    }

    /// Where `user` is told that Redis is.
    fn url(&self, user: &str) -> String {
        self.way.as_ref().map_or_else(|| self.redis.url(user), |way| Redis::url_at(user, way.address))
    }

    fn server(&self) -> Command {
        let mut command = self.world.command("server");
        command.args(["--redis", &self.url("server")]);
        command.args(["--listen", &format!("127.0.0.1:{}", self.server_port)]);
        self.surround(&mut command);
        command
    }

    /// What tests do to a process from its first moment on.
    fn surround(&self, command: &mut Command) {
        if let Some(fault) = &self.fault {
            command.env("EVENKEEL_FAULT", fault);
        }
        if let Some(mutant) = self.mutant {
            command.env("EVENKEEL_MUTANT", mutant);
        }
        if let Some(clock) = &self.clock {
            fake_clock(command).env("FAKETIME_TIMESTAMP_FILE", clock).env("FAKETIME_CACHE_DURATION", "1");
        }
    }

    /// From now on both take `offset` for the difference of their clock from the machine's, within a second.
    pub fn set_clock(&mut self, offset: &str) {
        let clock = self.clock.get_or_insert_with(|| self.world.path("clock"));
        std::fs::write(clock, offset).unwrap();
    }

    /// Starts the server, and waits until it listens.
    pub fn start_server(&self) -> Running {
        start(self.server(), &self.world.path("server.stderr.txt"))
    }

    /// Starts the server, and waits until it has died by itself, perhaps before it listened.
    pub fn run_server_to_its_end(&self) {
        let mut server = self.server().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the server dies", || server.try_wait().unwrap().is_some());
    }

    /// Another server on the same data directory; what it says.
    pub fn second_server(&self) -> Output {
        let mut command = self.world.command("server");
        command.args(["--redis", &self.redis.url("server"), "--listen", "127.0.0.1:0"]);
        command.output().unwrap()
    }

    /// Starts a client, and waits until it listens.
    pub fn start_client(&self) -> Running {
        let mut command = super::evenkeel();
        let server = format!("http://127.0.0.1:{}", self.server_port);
        command.args([
            "client",
            "--redis",
            &self.url("client"),
            "--server",
            &server,
            "--listen",
            "127.0.0.1:0",
        ]);
        self.surround(&mut command);
        start(command, &self.world.path("client.stderr.txt"))
    }

    /// `evenkeel journal verify` against Redis and the truth file.
    pub fn verify_redis(&self) -> Output {
        let truth = self.world.truth();
        output(&["journal", "verify", "--redis", &self.redis.url("inspection"), "--truth", text(&truth)])
    }

    /// Asserts that both copies are whole and agree with the truth.
    pub fn assert_verified(&self) {
        self.world.assert_verified();
        let verified = self.verify_redis();
        let (out, err) =
            (String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert_eq!(verified.status.code(), Some(0), "Redis: {out}{err}\n{}", self.said());
    }

    /// What the two have logged.
    pub fn said(&self) -> String {
        let read = |name| std::fs::read_to_string(self.world.path(name)).unwrap_or_default();
        format!("server:\n{}client:\n{}", read("server.stderr.txt"), read("client.stderr.txt"))
    }

    /// The last tick that Redis tells.
    pub fn told(&self) -> u64 {
        self.redis.cli(&["HGET", "evenkeel:{main}:meta", "tick"]).parse().unwrap_or(0)
    }
}

//! A server and a client over a Redis, each a process of its own.

use std::process::Output;

use super::{
    Running, World, output,
    redis::{Redis, free_port},
    start, text,
};

/// What the two are started with.
pub struct Pair {
    pub world: World,
    pub redis: Redis,
    server_port: u16,
}

impl Pair {
    /// A pair for `world` over a new Redis; nothing but that is started yet.
    pub fn new(world: World) -> Self {
        Self { world, redis: Redis::start(), server_port: free_port() }
    }

    /// Starts the server, and waits until it listens.
    pub fn start_server(&self) -> Running {
        let mut command = self.world.command("server");
        command.args([
            "--redis",
            &self.redis.url("server"),
            "--listen",
            &format!("127.0.0.1:{}", self.server_port),
        ]);
        start(command, &self.world.path("server.stderr.txt"))
    }

    /// Starts a client, and waits until it listens.
    pub fn start_client(&self) -> Running {
        let mut command = super::evenkeel();
        let server = format!("http://127.0.0.1:{}", self.server_port);
        command.args([
            "client",
            "--redis",
            &self.redis.url("client"),
            "--server",
            &server,
            "--listen",
            "127.0.0.1:0",
        ]);
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

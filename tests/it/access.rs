//! Who may ask what: tokens, scopes, sessions, hosts, origins, rates; and that no secret is ever shown.

use std::{collections::BTreeMap, path::PathBuf};

use crate::support::{self, PATIENCE, Running, World, evenkeel, output, pair::Pair, start, text, wait_until};

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn ask(running: &Running, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", running.base));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    Answer {
        status: response.status().as_u16(),
        headers,
        body: response.body_mut().read_to_string().unwrap(),
    }
}

fn status(running: &Running, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    ask(running, method, path, headers, "{}").status
}

/// A world with a file of tokens.
struct Guarded {
    world: World,
    file: PathBuf,
}

impl Guarded {
    fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let file = folder.join("tokens");
        std::fs::write(&file, "# tokens\n").unwrap();
        let arguments = [&["--tokens", text(&file)], more].concat();
        Self { world: World::new("busy", &arguments), file }
    }

    fn token(&self, name: &str, scope: &str) -> String {
        let made = output(&["token", "new", "--name", name, "--scope", scope, "--tokens", text(&self.file)]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.file.parent().unwrap());
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn each_scope_opens_what_it_should_and_no_more() {
    let guarded = Guarded::new(&[]);
    let tokens = ["read", "control", "admin"].map(|scope| (scope, bearer(&guarded.token(scope, scope))));
    let running = guarded.world.start();
    wait_until("it is ready, which needs no token", || status(&running, "GET", "/readyz", &[]) == 200);
    assert_eq!(status(&running, "GET", "/healthz", &[]), 200);
    assert_eq!(status(&running, "GET", "/", &[]), 200, "the page holds no data");
    // What there is, and the scopes that get in; the others are told so.
    for (method, path, least) in [
        ("GET", "/queued", 0),
        ("GET", "/resources", 0),
        ("GET", "/metrics", 0),
        ("GET", "/api/v1/status", 0),
        ("GET", "/api/docs/", 0),
        ("GET", "/nothing", 0),
        ("POST", "/delay", 1),
        ("POST", "/api/v1/control", 1),
        ("PUT", "/api/v1/mode", 2),
    ] {
        let without = ask(&running, method, path, &[], "{}");
        assert_eq!(without.status, 401, "{method} {path}");
        assert!(without.headers["www-authenticate"].starts_with("Bearer"), "{:?}", without.headers);
        for wrong in ["Bearer evk_wrong", "Bearer", "Basic dXNlcjpwYXNz", "bearer  "] {
            assert_eq!(status(&running, method, path, &[("authorization", wrong)]), 401, "{wrong}");
        }
        for (at, (scope, token)) in tokens.iter().enumerate() {
            let answered = status(&running, method, path, &[("authorization", token)]);
            assert_eq!(answered == 403, at < least, "{method} {path} with {scope}: {answered}");
            assert_ne!(answered, 401);
        }
    }
}

#[test]
fn a_token_lives_from_its_line_to_the_end_of_it() {
    let guarded = Guarded::new(&[]);
    let running = guarded.world.start();
    let old = bearer(&guarded.token("grafana", "read"));
    let live = |token: &str| status(&running, "GET", "/api/v1/status", &[("authorization", token)]) != 401;
    wait_until("the new token is taken", || live(&old));
    let new = bearer(&guarded.token("grafana", "read"));
    wait_until("both live", || live(&new) && live(&old));
    // A slip of the pen locks nobody out.
    let lines = std::fs::read_to_string(&guarded.file).unwrap();
    std::fs::write(&guarded.file, format!("{lines}nonsense\n")).unwrap();
    support::pause(std::time::Duration::from_millis(1_500));
    assert!(live(&new) && live(&old));
    let only_new: Vec<_> = lines.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
    std::fs::write(&guarded.file, only_new.join("\n")).unwrap();
    wait_until("the old one is dead", || !live(&old));
    assert!(live(&new));
}

#[test]
fn a_browser_exchanges_a_token_for_a_cookie_that_scripts_cannot_read() {
    let guarded = Guarded::new(&[]);
    let token = guarded.token("me", "admin");
    let running = guarded.world.start();
    let json = [("content-type", "application/json")];
    let wrong = ask(&running, "POST", "/login", &json, r#"{"token":"evk_wrong"}"#);
    assert_eq!(wrong.status, 401);
    assert_eq!(ask(&running, "POST", "/login", &json, "{").status, 400);
    let login = ask(&running, "POST", "/login", &json, &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(login.status, 204);
    let cookie = &login.headers["set-cookie"];
    let port = running.base.rsplit_once(':').unwrap().1;
    let name = format!("evenkeel_session_{port}=");
    assert!(cookie.starts_with(&name), "cookies ignore ports, and two servers have two sessions: {cookie}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/;", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains(&token), "the cookie is not the token");
    let form = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-proto", "https")];
    let from_form = ask(&running, "POST", "/login", &form, &format!("token={token}"));
    assert_eq!((from_form.status, from_form.headers["location"].as_str()), (303, "/"));
    assert!(from_form.headers["set-cookie"].contains("Secure"), "{:?}", from_form.headers);
    let session = cookie.split(';').next().unwrap().to_owned();
    let with = [("cookie", session.as_str())];
    let scopes = ask(&running, "GET", "/api/v1/session", &with, "");
    assert!(scopes.body.contains("admin") && scopes.body.contains("\"open\":false"), "{}", scopes.body);
    assert_eq!(status(&running, "GET", "/api/v1/status", &with), 200);
    assert_eq!(ask(&running, "POST", "/logout", &with, "").status, 204);
    assert_eq!(status(&running, "GET", "/api/v1/status", &with), 401);
}

#[test]
fn whoever_has_a_token_gets_in_whatever_others_try() {
    let guarded = Guarded::new(&["--requests-per-second", "5"]);
    let token = guarded.token("me", "read");
    let running = guarded.world.start();
    let login = |token: &str| ask(&running, "POST", "/login", &[], &format!(r#"{{"token":"{token}"}}"#));
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..100 {
                        assert_eq!(
                            status(&running, "GET", "/api/v1/status", &[]),
                            401,
                            "asked without a token"
                        );
                    }
                })
            })
            .collect();
        for _ in 0..15 {
            assert_eq!(login(&token).status, 204);
        }
        for other in others {
            other.join().unwrap();
        }
    });
    // Failures of this address are counted, and only failures are told to wait.
    let failed: Vec<_> = (0..15).map(|_| login("evk_wrong")).collect();
    assert!(failed[..10].iter().all(|answer| answer.status == 401));
    let refused = failed.iter().find(|answer| answer.status == 429).expect("the eleventh at once is refused");
    assert!(
        refused.headers.contains_key("retry-after") && refused.body.contains("this address"),
        "{}",
        refused.body
    );
    assert_eq!(login(&token).status, 204);
}

#[test]
fn a_path_in_disguise_changes_nothing() {
    let guarded = Guarded::new(&["--mode", "shadow"]);
    let control = bearer(&guarded.token("client", "control"));
    let running = guarded.world.start();
    wait_until("it is ready", || status(&running, "GET", "/readyz", &[]) == 200);
    let headers = [("authorization", control.as_str())];
    for path in ["/api/v1/mode", "/api/v1/mod%65", "/%61pi/v1/mode", "/api%2fv1/mode", "//api/v1/mode"] {
        let answer = ask(&running, "PUT", path, &headers, r#"{"mode":"off"}"#);
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    assert!(ask(&running, "GET", "/api/v1/mode", &headers, "").body.contains("shadow"));
}

#[test]
fn a_path_of_its_own_is_taken_off_and_stands_in_what_browsers_keep() {
    let guarded = Guarded::new(&["--base-path", "/evenkeel/"]);
    let token = guarded.token("me", "read");
    let running = guarded.world.start();
    wait_until("it is ready", || status(&running, "GET", "/evenkeel/readyz", &[]) == 200);
    assert_eq!(status(&running, "GET", "/readyz", &[]), 200, "a proxy may have taken it off already");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let login = ask(&running, "POST", "/evenkeel/login", &form, &format!("token={token}"));
    assert_eq!((login.status, login.headers["location"].as_str()), (303, "/evenkeel/"));
    let cookie = &login.headers["set-cookie"];
    assert!(cookie.contains("Path=/evenkeel/;"), "{cookie}");
    let with = [("cookie", cookie.split(';').next().unwrap())];
    assert_eq!(status(&running, "GET", "/evenkeel/api/v1/status", &with), 200);
    assert_eq!(status(&running, "GET", "/evenkeel/api/v1/status", &[]), 401);
    assert_eq!(status(&running, "GET", "/evenkeeler/readyz", &[]), 401, "there is nothing of that name");
    let slash = ask(&running, "GET", "/evenkeel", &[], "");
    assert_eq!((slash.status, slash.headers["location"].as_str()), (308, "/evenkeel/"));
    let wrong = guarded.world.command("run").args(["--base-path", "evenkeel"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
}

#[test]
fn pages_of_others_reach_nothing() {
    let world = World::new("busy", &["--allow-host", "evenkeel.internal"]);
    let running = world.start();
    running.wait_until_ready();
    let host = running.base.strip_prefix("http://").unwrap();
    let port = host.rsplit_once(':').unwrap().1;
    for (name, known) in [
        ("attacker.example", false),
        ("127.0.0.1.attacker.example", false),
        ("evenkeel.internal", true),
        ("EVENKEEL.internal:7070", true),
        ("[::1]:7070", true),
        (&format!("localhost:{port}"), true),
    ] {
        let answered = status(&running, "GET", "/resources", &[("host", name)]);
        assert_eq!(answered, if known { 200 } else { 403 }, "{name}");
    }
    let put = |origin: &str| {
        let headers = [("origin", origin), ("content-type", "application/json")];
        ask(&running, "PUT", "/api/v1/mode", &headers, r#"{"mode":"enforce"}"#).status
    };
    assert_eq!(put(&running.base), 200);
    for origin in ["http://attacker.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(put(origin), 403, "{origin}");
        assert_eq!(
            status(&running, "GET", "/resources", &[("origin", origin)]),
            200,
            "reading changes nothing"
        );
    }
}

#[test]
fn listening_to_everybody_needs_tokens_or_saying_so() {
    let world = World::new("quiet", &[]);
    let refused = world.command("run").args(["--listen", "0.0.0.0:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--tokens") && said.contains("--no-auth"), "{said}");
    let missing = world.command("run").args(["--tokens", "/nowhere/tokens"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{}", String::from_utf8_lossy(&missing.stderr));
    let mut open = world.command("run");
    open.args(["--listen", "0.0.0.0:0", "--no-auth"]);
    let log = world.path("stderr.txt");
    let running = start(open, &log);
    assert!(std::fs::read_to_string(log).unwrap().contains("whoever reaches"));
    drop(running);
}

#[test]
fn the_wire_can_be_opened_for_clients_that_know_of_no_token() {
    let guarded = Guarded::new(&["--open-wire"]);
    let running = guarded.world.start();
    wait_until("it is ready", || status(&running, "GET", "/readyz", &[]) == 200);
    assert_eq!(status(&running, "GET", "/resources", &[]), 200);
    assert_eq!(status(&running, "POST", "/delay", &[]), 400, "it is read, and is no delay");
    assert_eq!(status(&running, "GET", "/api/v1/status", &[]), 401);
    assert_eq!(status(&running, "POST", "/api/v1/control", &[]), 401);
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let guarded = Guarded::new(&["--requests-per-second", "5"]);
    let (busy, other) = (bearer(&guarded.token("busy", "read")), bearer(&guarded.token("other", "read")));
    let running = guarded.world.start();
    let mut answers = Vec::new();
    wait_until("it is refused", || {
        let answer = ask(&running, "GET", "/api/v1/mode", &[("authorization", &busy)], "");
        answers.push(answer.status);
        answer.status == 429 && answer.headers.contains_key("retry-after")
    });
    assert!(answers.len() >= 5, "{answers:?}");
    assert_ne!(status(&running, "GET", "/api/v1/mode", &[("authorization", &other)]), 429);
    assert_eq!(status(&running, "GET", "/healthz", &[]), 200);
}

#[test]
fn a_client_with_a_token_levels_a_server_that_asks_for_one() {
    let guarded = Guarded::new(&[]);
    let token = guarded.token("client", "control");
    let secret = guarded.file.with_file_name("client-token");
    std::fs::write(&secret, &token).unwrap();
    let pair = Pair::new(World::new("x10", &["--tokens", text(&guarded.file)]));
    let server = pair.start_server();
    let mut command = evenkeel();
    let redis = pair.redis.url("client").replace("only-for-these-tests", "wrong");
    command.args(["client", "--redis", &redis, "--server", &server.base]);
    command.args(["--listen", "127.0.0.1:0", "--token-file", text(&secret)]);
    // The password may stand in a file, and then goes before what the address says.
    let password = guarded.file.with_file_name("redis-password");
    std::fs::write(&password, "only-for-these-tests\n").unwrap();
    command.args(["--redis-password-file", text(&password)]);
    let _client = start(command, &pair.world.path("client.stderr.txt"));
    wait_until("slots decide", || {
        ask(&server, "GET", "/api/v1/status", &[("authorization", &bearer(&token))], "")
            .body
            .contains("\"levelled\":true")
    });
    let said = output(&["mode", "get", "--server", &server.base, "--token-file", text(&secret)]);
    assert_eq!(said.stdout, b"enforce\n");
    let said = output(&["mode", "set", "off", "--server", &server.base, "--token-file", text(&secret)]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("scope admin"), "{said:?}");
}

/// What is said about addresses that hold `secret`, wherever addresses are read.
fn said_about_addresses(world: &World, secret: &str) -> String {
    let forms = [
        "redis://server:SECRET@127.0.0.1:1",
        "redis://SECRET@127.0.0.1:1",
        "redis://127.0.0.1:1?password=SECRET",
        "redis://127.0.0.1:1/?pass=SECRET",
        "redis://127.0.0.1:1/?SECRET=1",
        "redis://127.0.0.1:1/#SECRET",
        "redis:/x:SECRET@h",
        "redis:x:SECRET@h",
        "redis://x:1/SECRET@h",
        "redis://x:a/b?c#SECRET@h",
        "redis+unix:///nowhere/redis.sock?pass=SECRET",
        "unix:/nowhere/x:SECRET@h",
        "rediss://server:SECRET@127.0.0.1:1",
        "http://x:SECRET@127.0.0.1:1",
        "http:/x:SECRET@h",
        "http://127.0.0.1:1?token=SECRET",
        "https://x:SECRET@127.0.0.1:1",
        "x:SECRET@h",
        "\"redis://x:SECRET@h\"",
    ];
    let file = world.path("evenkeel.toml");
    let mut seen = String::new();
    let mut run = |command: &mut std::process::Command| {
        let said = command.output().unwrap();
        seen.push_str(&String::from_utf8_lossy(&said.stderr));
        seen.push_str(&String::from_utf8_lossy(&said.stdout));
        said.status.success()
    };
    let mut refused = |arguments: &[&str]| assert!(!run(evenkeel().args(arguments)), "{arguments:?}");
    for form in forms {
        let url = form.replace("SECRET", secret);
        refused(&[
            "server",
            "--redis",
            &url,
            "--data-dir",
            text(&world.path("none")),
            "--listen",
            "127.0.0.1:0",
        ]);
        refused(&["client", "--poll", "--server", &url, "--listen", "127.0.0.1:0"]);
        refused(&["journal", "verify", "--redis", &url]);
        refused(&["mode", "get", "--server", &url]);
        refused(&["healthcheck", "--url", &url]);
        // Where no address belongs.
        refused(&["run", &url]);
        refused(&["run", "--seed", &url]);
        refused(&["run", &format!("--redis={url}")]);
        for line in
            [format!("redis = {url}"), format!("redis = \"{url}"), format!("seed = {url:?}"), url.clone()]
        {
            std::fs::write(&file, format!("listen = \"nowhere\"\n{line}\n")).unwrap();
            refused(&["run", "--config", text(&file)]);
        }
    }
    for form in forms {
        let url = form.replace("SECRET", secret);
        std::fs::write(&file, format!("redis = {url:?}\nserver = {url:?}\n")).unwrap();
        run(evenkeel().args(["config", "show", "--for", "client", "--config", text(&file)]));
        run(evenkeel().args(["config", "show", "--for", "client"]).env("EVENKEEL_REDIS", &url));
        run(evenkeel().args(["mode", "get"]).env("EVENKEEL_SERVER", &url));
        run(evenkeel().args(["client", "--help"]).env("EVENKEEL_SERVER", &url).env("EVENKEEL_REDIS", &url));
        run(evenkeel().arg("run").env("EVENKEEL_SEED", &url));
    }
    seen
}

/// A secret that is sent through everything: no answer, log, metric or error shows it.
#[test]
fn a_canary_is_found_nowhere() {
    const CANARY: &str = "canary-7f3a9c";
    let guarded = Guarded::new(&[]);
    let token = guarded.token("canary", "admin");
    let pair = Pair::new(World::new("busy", &["--tokens", text(&guarded.file)]));
    let server = pair.start_server();
    let mut seen = String::new();
    let authorization = bearer(&token);
    let wrong = bearer(CANARY);
    for (method, path) in [
        ("GET", "/api/v1/status"),
        ("GET", "/api/v1/journal"),
        ("GET", "/api/v1/actors"),
        ("GET", "/api/v1/session"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/readyz"),
        ("POST", "/delay"),
        ("POST", "/login"),
        ("PUT", "/api/v1/mode"),
    ] {
        let cookie = format!("evenkeel_session_{}={CANARY}", server.base.rsplit_once(':').unwrap().1);
        for headers in [
            vec![("authorization", authorization.as_str())],
            vec![("authorization", wrong.as_str()), ("cookie", cookie.as_str())],
        ] {
            let answer = ask(&server, method, path, &headers, &format!(r#"{{"token":"{CANARY}"}}"#));
            seen.push_str(&answer.body);
            seen.extend(answer.headers.into_values());
        }
    }
    // A token that was put where a hash belongs, and a password in an address that nobody answers.
    std::fs::write(&guarded.file, format!("me admin {CANARY}\n")).unwrap();
    support::pause(std::time::Duration::from_millis(1_500));
    let world = World::new("quiet", &[]);
    for arguments in [
        vec!["--tokens", text(&guarded.file)],
        vec!["--redis", "redis://server:canary-7f3a9c@127.0.0.1:1"],
        vec!["--redis", "http://server:canary-7f3a9c@127.0.0.1:1"],
    ] {
        let name = if arguments[0] == "--tokens" { "run" } else { "server" };
        let said = world.command(name).args(&arguments).output().unwrap();
        assert!(!said.status.success());
        seen.push_str(&String::from_utf8_lossy(&said.stderr));
        seen.push_str(&String::from_utf8_lossy(&said.stdout));
    }
    seen.push_str(&said_about_addresses(&world, CANARY));
    server.signal("TERM");
    let (_, printed) = server.wait();
    seen.push_str(&printed.join("\n"));
    seen.push_str(&pair.said());
    for secret in [CANARY, token.strip_prefix("evk_").unwrap(), "only-for-these-tests"] {
        let at =
            seen.find(secret).map(|at| seen[at.saturating_sub(200)..].chars().take(400).collect::<String>());
        assert_eq!(at, None, "{secret} was shown");
    }
}

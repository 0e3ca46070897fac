//! Redis and the server behind TLS: certificates are verified, and what is wrong with one is said.

use std::net::SocketAddr;

use crate::support::{
    World, evenkeel, output,
    pair::Pair,
    redis::{PASSWORD, Redis, free_port},
    start, text,
    tls::{Authority, edge},
    wait_until,
};

fn rediss(user: &str, address: SocketAddr) -> String {
    Redis::url_at(user, address).replace("redis://", "rediss://")
}

/// What is said to certificates that must not be believed; each exits with 4.
fn assert_disbelieved(
    behind: SocketAddr,
    ca: &str,
    arguments: impl Fn(SocketAddr) -> Vec<String>,
    flag: &str,
) {
    let (stranger, namesake, ours) =
        (Authority::new("another"), Authority::new("ours"), Authority::new("ours"));
    ours.write(ca.as_ref());
    let far = 2999;
    for (what, certified, says) in [
        ("another authority", stranger.certify("127.0.0.1", far), flag),
        ("an authority of the same name", namesake.certify("127.0.0.1", far), flag),
        ("another name", ours.certify("evenkeel.example", far), "valid for"),
        ("expired", ours.certify("127.0.0.1", 2021), "expired"),
    ] {
        let arguments = arguments(edge(behind, &certified));
        let said = evenkeel().args(&arguments).arg(flag).arg(ca).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(4), "{what}: {text}");
        assert!(
            text.contains("certificate") && text.contains(says) && !text.contains(PASSWORD),
            "{what}: {text}"
        );
    }
}

#[test]
fn a_redis_with_tls_is_reached_and_its_certificate_verified() {
    let world = World::new("busy", &[]);
    let authority = Authority::new("ours");
    let ca = world.path("ca.pem");
    authority.write(&ca);
    let mut redis = Redis::start();
    redis.kill();
    let [certificate, key] = authority.certify("127.0.0.1", 2999).write(redis.folder());
    let port = free_port();
    redis.restart_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        text(&certificate),
        "--tls-key-file",
        text(&key),
        "--tls-ca-cert-file",
        text(&ca),
        "--tls-auth-clients",
        "no",
    ]);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut server = world.command("server");
    server.args(["--redis", &rediss("server", address), "--redis-ca", text(&ca), "--listen", "127.0.0.1:0"]);
    let _server = start(server, &world.path("server.stderr.txt"));
    wait_until("it ships", || redis.cli(&["XLEN", "evenkeel:{main}:queue"]).parse().unwrap_or(0) > 0);
    let stat = |url: &str| output(&["journal", "stat", "--redis", url, "--redis-ca", text(&ca)]);
    let done = stat(&rediss("inspection", address));
    assert!(done.status.success(), "{done:?}");
    // Asked for in clear where TLS is spoken.
    let done = stat(&Redis::url_at("inspection", address));
    assert_eq!(done.status.code(), Some(4), "{done:?}");
    let foreign =
        |address| ["journal", "stat", "--redis", &rediss("inspection", address)].map(str::to_owned).to_vec();
    assert_disbelieved(redis.address(), text(&world.path("other.pem")), foreign, "--redis-ca");
    let none =
        output(&["journal", "stat", "--redis", "rediss://h", "--redis-ca", text(&world.path("truth.txt"))]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
}

#[test]
fn a_server_and_a_redis_behind_an_edge_are_levelled() {
    let authority = Authority::new("ours");
    let pair = Pair::new(World::new("x10", &[]));
    let ca = pair.world.path("ca.pem");
    authority.write(&ca);
    let server = pair.start_server();
    let behind: SocketAddr = server.base.strip_prefix("http://").unwrap().parse().unwrap();
    let certified = authority.certify("127.0.0.1", 2999);
    let https = format!("https://{}", edge(behind, &certified));
    let mut client = evenkeel();
    client.args(["client", "--server", &https, "--server-ca", text(&ca), "--listen", "127.0.0.1:0"]);
    client.args([
        "--redis",
        &rediss("client", edge(pair.redis.address(), &certified)),
        "--redis-ca",
        text(&ca),
    ]);
    let _client = start(client, &pair.world.path("client.stderr.txt"));
    wait_until("slots decide", || server.get("/api/v1/status").body.contains("\"levelled\":true"));
    let status = output(&["status", "--url", &https, "--server-ca", text(&ca)]);
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && said.contains("enforce, slots decide"), "{status:?}");
    let get = |address| {
        vec!["mode".to_owned(), "get".to_owned(), "--server".to_owned(), format!("https://{address}")]
    };
    assert_disbelieved(behind, text(&pair.world.path("other.pem")), get, "--server-ca");
    let poll = |address| {
        let mut arguments = vec!["client".to_owned(), "--poll".to_owned(), "--server".to_owned()];
        arguments.extend([format!("https://{address}"), "--listen".to_owned(), "127.0.0.1:0".to_owned()]);
        arguments
    };
    assert_disbelieved(behind, text(&pair.world.path("third.pem")), poll, "--server-ca");
}

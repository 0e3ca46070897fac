//! What holds for all answers: HEAD wherever there is GET, gzip for who asks, one form of the metrics for each reader.
//! And a signal that ends nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::support::{PATIENCE, Running, World, pair::Pair, wait_until};

/// What one request over a connection of its own gets, as it comes over the wire.
struct Raw {
    head: String,
    body: Vec<u8>,
}

impl Raw {
    fn ask(running: &Running, method: &str, path: &str, headers: &str) -> Self {
        let address = running.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n")
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_ascii_lowercase();
        Self { head, body: all[end + 4..].to_vec() }
    }

    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let begin = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(begin.as_str()))
    }

    fn is_gzip(&self) -> bool {
        self.header("content-encoding") == Some("gzip")
    }

    fn unpacked(&self) -> String {
        let mut text = String::new();
        GzDecoder::new(&*self.body).read_to_string(&mut text).unwrap();
        text
    }
}

fn started() -> (World, Running) {
    let world = World::new("x10", &["--seed", "5", "--mode", "off"]);
    let running = world.start();
    running.wait_until_ready();
    (world, running)
}

#[test]
fn head_is_get_without_a_body_wherever_there_is_get() {
    let (_world, running) = started();
    let document = running.get("/api/v1/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    let described = paths.iter().filter(|(path, item)| item.get("get").is_some() && !path.contains('{'));
    let mut all: Vec<&str> = described.map(|(path, _)| path.as_str()).collect();
    all.extend(["/", "/login", "/api/docs/", "/api/v1/openapi.json", "/api/v1/queries/x", "/nothing"]);
    assert!(all.contains(&"/api/v1/events") && all.len() > 15, "{all:?}");
    for path in all {
        // Events have no end: what they would answer is known.
        let get = if path == "/api/v1/events" { 200 } else { running.get(path).status };
        let head = Raw::ask(&running, "HEAD", path, "");
        // The queue may have emptied meanwhile.
        assert!(head.status() == get || path == "/queued", "{path}: {get} and {}", head.head);
        assert!(head.body.is_empty(), "{path}: {:?}", String::from_utf8_lossy(&head.body));
    }
    let length: usize =
        Raw::ask(&running, "HEAD", "/api/v1/status", "").header("content-length").unwrap().parse().unwrap();
    assert!(length > 100);
    wait_until("nobody reads events", || running.get("/metrics").body.contains("evenkeel_event_readers 0.0"));
}

#[test]
fn what_is_long_is_compressed_for_who_asks_and_events_never() {
    let (_world, running) = started();
    wait_until("much is queued and ran", || {
        running.get("/api/v1/executions?limit=100").json()["next"].is_string()
            && running.get("/queued").body.len() > 1_400
    });
    let gzip = "Accept-Encoding: gzip, deflate, br\r\n";
    for path in ["/api/v1/executions?limit=100", "/api/v1/openapi.json", "/metrics"] {
        let answer = Raw::ask(&running, "GET", path, gzip);
        assert!(
            answer.is_gzip() && answer.header("vary") == Some("accept-encoding"),
            "{path}: {}",
            answer.head
        );
        assert!(answer.unpacked().len() > 2 * answer.body.len(), "{path}");
        assert_eq!(answer.header("content-length").unwrap().parse(), Ok(answer.body.len()), "{path}");
        for plain in ["", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0\r\n"] {
            let answer = Raw::ask(&running, "GET", path, plain);
            assert!(!answer.is_gzip() && answer.status() == 200, "{path}: {}", answer.head);
        }
    }
    let json = Raw::ask(&running, "GET", "/api/v1/executions?limit=100", gzip).unpacked();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["executions"].as_array().unwrap().len(), 100);
    // The wire endpoints, too, whose answers are kept.
    wait_until("the queue is long once more", || {
        let answer = Raw::ask(&running, "GET", "/queued", gzip);
        answer.is_gzip() && answer.unpacked().starts_with("[{\"query\":")
    });
    for short in ["/resources", "/healthz", "/api/v1/mode"] {
        assert!(!Raw::ask(&running, "GET", short, gzip).is_gzip(), "{short}");
    }
    // The first event arrives as it is, before there is enough for a block.
    let address = running.base.strip_prefix("http://").unwrap();
    let mut events = TcpStream::connect(address).unwrap();
    events.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(events, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n{gzip}\r\n").unwrap();
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("event: snapshot") {
        let mut some = [0; 4_096];
        let n = events.read(&mut some).unwrap();
        assert!(n > 0);
        read.extend_from_slice(&some[..n]);
    }
    assert!(!String::from_utf8_lossy(&read).to_ascii_lowercase().contains("content-encoding"));
}

#[test]
fn the_description_for_people_is_found_without_its_last_slash() {
    let (_world, running) = started();
    let answer = Raw::ask(&running, "GET", "/api/docs", "");
    assert_eq!((answer.status(), answer.header("location")), (308, Some("docs/")));
    let page = running.get("/api/docs");
    assert_eq!((page.status, page.content_type.as_str()), (200, "text/html"));
}

#[test]
fn metrics_have_the_form_that_their_reader_asks_for() {
    let (_world, running) = started();
    let metrics = |accept: &str| {
        let answer = Raw::ask(&running, "GET", "/metrics", &format!("{accept}Accept-Encoding: identity\r\n"));
        let content_type = answer.header("content-type").unwrap().to_owned();
        (content_type, String::from_utf8(answer.body).unwrap())
    };
    for accept in ["", "Accept: */*\r\n", "Accept: application/openmetrics-text\r\n"] {
        let (content_type, text) = metrics(accept);
        assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{content_type}");
        assert!(text.ends_with("# EOF\n") && text.contains("# TYPE evenkeel_late_ticks counter\n"), "{text}");
    }
    let (content_type, text) = metrics("Accept: text/plain\r\n");
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    assert!(text.contains("# TYPE evenkeel_late_ticks_total counter\nevenkeel_late_ticks_total "), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
    // Each sample has the type of a line before it.
    let types: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(types.contains(&name) || of_histogram.is_some_and(|name| types.contains(&name)), "{line}");
    }
}

#[test]
fn a_hangup_ends_nothing() {
    let (world, running) = started();
    let pair = Pair::new(World::new("x10", &[]));
    let (server, client) = (pair.start_server(), pair.start_client());
    for running in [&running, &server, &client] {
        running.signal("HUP");
        running.signal("HUP");
    }
    let said = || std::fs::read_to_string(world.path("stderr.txt")).unwrap();
    wait_until("it is said what that does", || said().contains("SIGHUP: files of secrets"));
    for running in [&running, &server, &client] {
        wait_until("it is ready all the same", || running.get("/readyz").status == 200);
    }
    running.ends_well(&world);
}

//! Server-sent events: everything first, then what changes; resumed where they ended; nobody waits for a reader.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use crate::support::{PATIENCE, Running, World, wait_until};

/// A reader with a connection of its own.
struct Reader(BufReader<TcpStream>);

#[derive(Debug)]
struct Event {
    name: String,
    id: u64,
    data: Value,
}

impl Reader {
    fn new(running: &Running, more: &str) -> Self {
        let address = running.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n{more}\r\n").unwrap();
        let mut reader = Self(BufReader::new(stream));
        let mut line = String::new();
        reader.0.read_line(&mut line).unwrap();
        assert!(line.contains("200"), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.0.read_line(&mut line).unwrap();
        }
        reader
    }

    /// The next event; none when the server has ended the stream.
    fn next(&mut self) -> Option<Event> {
        let (mut name, mut id, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // Lengths of chunks stand between the lines that matter.
            if let Some(text) = line.strip_prefix("event: ") {
                text.trim().clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.trim().parse().unwrap();
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
                return Some(Event { name, id, data });
            }
        }
    }
}

fn first_ticks(event: &Event) -> Vec<u64> {
    event.data["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["first_tick"].as_u64().unwrap())
        .collect()
}

fn started() -> (World, Running) {
    let world = World::new("busy", &[]);
    let running = world.start();
    running.wait_until_ready();
    (world, running)
}

#[test]
fn a_snapshot_then_changes_and_on_from_where_one_left_off() {
    let (_world, running) = started();
    wait_until("a window has closed", || running.get("/api/v1/resources").json()["window"].is_object());
    let mut reader = Reader::new(&running, "");
    let snapshot = reader.next().unwrap();
    assert_eq!(snapshot.name, "snapshot");
    let mut last = snapshot.id;
    for _ in 0..3 {
        let change = reader.next().unwrap();
        assert_eq!(change.name, "change");
        assert!(change.id >= last && change.data["status"]["ready"].is_boolean(), "{change:?}");
        last = change.id;
    }
    drop(reader);
    let mut resumed = Reader::new(&running, &format!("Last-Event-ID: {last}\r\n"));
    let snapshot = resumed.next().unwrap();
    assert!(first_ticks(&snapshot).iter().all(|first| *first > last), "{last}: {:?}", first_ticks(&snapshot));
    // What nobody knows, of another journal perhaps, is answered with everything.
    let mut elsewhere = Reader::new(&running, "Last-Event-ID: 123456789\r\n");
    assert_eq!(first_ticks(&elsewhere.next().unwrap()).first(), Some(&0));
}

#[test]
fn the_stream_ends_when_the_server_does() {
    let (_world, running) = started();
    let mut reader = Reader::new(&running, "");
    reader.next().unwrap();
    running.signal("TERM");
    while reader.next().is_some() {}
    assert!(running.wait().0.success());
}

#[test]
fn readers_that_stop_reading_harm_nobody() {
    let (_world, running) = started();
    let stuck: Vec<_> = (0..100).map(|_| Reader::new(&running, "")).collect();
    let tick = || running.get("/api/v1/status").json()["tick"].as_u64().unwrap();
    let before = tick();
    wait_until("it ticks on", || tick() > before + 50);
    assert_eq!(running.get("/readyz").status, 200);
    drop(stuck);
    wait_until("they are forgotten", || running.get("/metrics").body.contains("evenkeel_event_readers 0.0"));
    // One that sends half a request, too.
    let address = running.base.strip_prefix("http://").unwrap().to_owned();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost:").unwrap();
    half.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
}

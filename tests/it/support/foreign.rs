//! A stand-in of a foreign server: the model of the core's tests in real time, behind the three endpoints.

#[path = "../../../core/tests/foreign/model.rs"]
pub mod model;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use evenkeel_core::{
    units::{
        resource::{PerResource, Resource, Usage},
        window::Extent,
    },
    world::Scenario,
};
use serde_json::{Value, json};

use self::model::Model;
use super::pause;

const TICK: Duration = Duration::from_millis(100);
/// The windows' timer is the server's own: now and then a window has 11 ticks, or 9.
const WINDOW: Duration = Duration::from_millis(1_004);

/// How it treats its clients; every nth answer, 0 for never.
#[allow(clippy::struct_field_names, reason = "each says how often")]
#[derive(Debug, Default)]
pub struct Manners {
    /// Closes the connection after the answer.
    pub closes_every: AtomicU64,
    /// Closes it without an answer.
    pub drops_every: AtomicU64,
    /// Answers after 300 ms.
    pub slow_every: AtomicU64,
    /// Answers with something else.
    pub nonsense_every: AtomicU64,
}

struct State {
    model: Mutex<Model>,
    manners: Manners,
    answers: AtomicU64,
    ends: AtomicBool,
}

impl State {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_turn(every: &AtomicU64, answer: u64) -> bool {
    let every = every.load(Ordering::Relaxed);
    every > 0 && answer.is_multiple_of(every)
}

/// A running stand-in; ends with its owner.
pub struct Foreign {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Foreign {
    pub fn start(scenario: Scenario, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            model: Mutex::new(Model::new(scenario, seed, true)),
            manners: Manners::default(),
            answers: AtomicU64::new(1),
            ends: AtomicBool::new(false),
        });
        for (every, step) in [(TICK, Model::tick as fn(&mut Model)), (WINDOW, Model::close_window)] {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                let begun = Instant::now();
                for n in 1.. {
                    pause((begun + every * n).saturating_duration_since(Instant::now()));
                    if state.ends.load(Ordering::Relaxed) {
                        return;
                    }
                    step(&mut state.model());
                }
            });
        }
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that hangs up ends its thread.
                thread::spawn(move || drop(serve(&state, &connection)));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn manners(&self) -> &Manners {
        &self.state.manners
    }

    /// What was waiting is gone, and all ids are others.
    pub fn restart(&self) {
        self.state.model().restart();
    }

    /// What each tick used so far.
    pub fn usage(&self) -> Vec<Usage> {
        self.state.model().usage.clone()
    }

    /// Executions that ran, delays that were added, and refused.
    pub fn counts(&self) -> (u64, u64, u64) {
        let model = self.state.model();
        (model.executed, model.delays, model.refused)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.state.ends.store(true, Ordering::Relaxed);
    }
}

fn serve(state: &State, connection: &TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut connection = connection;
    loop {
        let Some((request, body)) = request(&mut reader)? else { return Ok(()) };
        let answer = state.answers.fetch_add(1, Ordering::Relaxed);
        let Manners { closes_every, drops_every, slow_every, nonsense_every } = &state.manners;
        if is_turn(drops_every, answer) {
            return connection.shutdown(Shutdown::Both);
        }
        if is_turn(slow_every, answer) {
            pause(Duration::from_millis(300));
        }
        let (status, body) = if is_turn(nonsense_every, answer) && request.starts_with("GET") {
            ("200 OK", "<html>out of order".to_owned())
        } else {
            answered(state, &request, &body)
        };
        let closes = is_turn(closes_every, answer);
        let connection_header = if closes { "close" } else { "keep-alive" };
        write!(
            connection,
            "HTTP/1.1 {status}\r\nconnection: {connection_header}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        if closes {
            return connection.shutdown(Shutdown::Both);
        }
    }
}

/// The request line and the body; none when the client has gone.
fn request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((first, body)))
}

fn answered(state: &State, request: &str, body: &[u8]) -> (&'static str, String) {
    let mut model = state.model();
    let mut words = request.split_whitespace();
    match (words.next(), words.next()) {
        (Some("GET"), Some("/queued")) => {
            // Seconds where others have milliseconds.
            let item = |one: &model::Waiting| json!({"query": {"id": one.query}, "execution": {"id": one.execution, "timestamp": 1_800_000_000}});
            let queued: Vec<Value> = model.queued().iter().map(item).collect();
            if queued.is_empty() {
                return ("204 No Content", String::new());
            }
            ("200 OK", json!(queued).to_string())
        }
        (Some("GET"), Some("/resources")) => {
            let resource = |usage: &PerResource<Extent>, r: Resource| json!({"average": usage[r].average, "min": usage[r].min, "max": usage[r].max});
            let usage = model.window;
            let resources = json!({
                "cpu": resource(&usage, Resource::Cpu),
                "io": resource(&usage, Resource::Io),
                "memory": resource(&usage, Resource::Memory),
                "timestamp": model.windows,
            });
            ("200 OK", resources.to_string())
        }
        (Some("POST"), Some("/delay")) => {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            let id = body["id"].as_str().and_then(|id| id.parse().ok());
            let added = id.zip(body["delay"].as_u64()).is_some_and(|(id, ticks)| model.delay(id, ticks));
            (if added { "200 OK" } else { "500 Internal Server Error" }, String::new())
        }
        _ => ("404 Not Found", String::new()),
    }
}

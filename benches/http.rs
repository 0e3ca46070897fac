//! The API's speed beside a bare actix-web handler that returns the same bytes, and what 500 readers of events cost.
//!
//! `cargo bench --bench http [-- SECONDS]`: `GET /resources` and `GET /queued` with 200 queued, asked by wrk in turn,
//! so that both meet the same moments of the machine; then a run without readers and one with 500, a minute each.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use support::{Running, World, wait_until};

/// Turns that each of the two has.
const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(4);
    let world = World::with_parameters(
        "rate = 0.0\nbursts = { every_ticks = 50, arrivals = 200 }\n",
        &["--mode", "off"],
    );
    let running = world.start();
    running.wait_until_ready();
    hold_200(&running);
    println!(
        "endpoint     bytes   evenkeel/s      bare/s  ratio (medians of {ROUNDS} turns, wrk with 32 connections)"
    );
    for path in ["/resources", "/queued"] {
        compare(&running, path, seconds)?;
    }
    drop(running);
    println!("readers   share in the corridor  late ticks (x10, seed 301, a minute after three)");
    for readers in [0, 500] {
        let (share, late) = with_readers(readers)?;
        println!("{readers:>7} {share:>23.4} {late:>11}");
    }
    Ok(())
}

/// Delays the first 200 executions by a day; further bursts run as they come.
fn hold_200(running: &Running) {
    let mut held = BTreeSet::new();
    wait_until("200 are held", || {
        let answer = running.get("/queued");
        let queued = if answer.status == 200 { answer.json() } else { serde_json::Value::Null };
        for item in queued.as_array().into_iter().flatten() {
            let id = item["execution"]["id"].to_string();
            let body = format!("{{\"id\": {id}, \"delay\": 864000}}");
            if held.len() < 200 && !held.contains(&id) && running.post("/delay", &body).status == 200 {
                held.insert(id);
            }
        }
        held.len() == 200
    });
}

fn compare(running: &Running, path: &str, seconds: u64) -> Result<()> {
    let body = web::Bytes::from(running.get(path).body);
    let bytes = body.len();
    let (sender, address) = std::sync::mpsc::channel();
    // A process's worth of threads, as the other has.
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let body = body.clone();
                App::new().default_service(web::to(move || {
                    let body = body.clone();
                    async move { HttpResponse::Ok().content_type("application/json").body(body) }
                }))
            });
            let Ok(server) = server.workers(2).bind("127.0.0.1:0") else { return };
            let _ = sender.send(format!("http://{}", server.addrs()[0]));
            let _ = server.run().await;
        });
    });
    let bare = address.recv()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(wrk(&format!("{}{path}", running.base), seconds)?);
        theirs.push(wrk(&format!("{bare}{path}"), seconds)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{path:11} {bytes:>6} {ours:>12.0} {theirs:>11.0} {:>6.2}", ours / theirs);
    Ok(())
}

/// Requests a second.
fn wrk(url: &str, seconds: u64) -> Result<f64> {
    let run = Command::new("wrk").args(["-t1", "-c32", &format!("-d{seconds}s"), url]).output();
    let run =
        run.map_err(|error| format!("wrk ({error}): install it, as with `sudo apt-get install wrk`"))?;
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    if said.contains("Non-2xx") {
        return Err(said.into());
    }
    let line = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(line.ok_or_else(|| said.clone())?.trim().parse()?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Share of the last minute's windows in the corridor after four minutes, and late ticks in that minute.
fn with_readers(readers: usize) -> Result<(f64, u64)> {
    let world = World::new("x10", &["--seed", "301"]);
    let running = world.start();
    running.wait_until_ready();
    let status = || running.get("/api/v1/status").json();
    let tick = || status()["tick"].as_u64().unwrap_or(0);
    let wait_for = |ticks: u64| {
        while tick() < ticks {
            support::pause(std::time::Duration::from_secs(1));
        }
    };
    wait_for(1_800);
    let late = || status()["late_ticks"].as_u64().unwrap_or(0);
    let before = late();
    let address = running.base.strip_prefix("http://").ok_or("no address")?.to_owned();
    let mut connections = Vec::new();
    for _ in 0..readers {
        let mut connection = TcpStream::connect(&address)?;
        write!(connection, "GET /api/v1/events HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        connections.push(connection);
    }
    // Readers that read, all of them in one thread, as fast as they are told.
    let reading = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        for connection in &connections {
            let _ = connection.set_nonblocking(true);
        }
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs() < 58 {
            for connection in &mut connections {
                while connection.read(&mut buffer).is_ok_and(|read| read > 0) {}
            }
            support::pause(std::time::Duration::from_millis(50));
        }
    });
    wait_for(2_400);
    let after = status();
    let share = after["minute"]["in_corridor"].as_f64().ok_or("no share")?;
    let late = after["late_ticks"].as_u64().unwrap_or(0) - before;
    reading.join().map_err(|_| "the readers failed")?;
    Ok((share, late))
}

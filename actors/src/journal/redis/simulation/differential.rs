//! The model of Redis against a real one: the same commands, the same answers.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use redis::{Client, Connection, Value};
use tempfile::TempDir;

use super::{
    dice::Dice,
    model::{Condition, Model, Words, text},
};
use crate::journal::redis::{CONSUMER, GROUP, scripts::Scripts, wire::Wire as _};

/// Traces, and commands of each.
const TRACES: u64 = 400;
const COMMANDS: u64 = 60;
/// Connections of a trace: transactions of one meet commands of another.
const CONNECTIONS: usize = 3;
const STREAMS: [&str; 3] = ["{m}:executions", "{m}:queue", "{m}:windows"];

/// A redis-server without a file; gone with the test.
struct Server {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let folder = TempDir::new().unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        // With one entry a node `~` trims as exactly as the model does.
        command.arg(folder.path()).args([
            "--stream-node-max-entries",
            "1",
            "--maxmemory-policy",
            "noeviction",
        ]);
        let child = command.stdout(Stdio::null()).spawn().unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): install it, for instance apt-get install redis-server")
        });
        Self { child, url: format!("redis://127.0.0.1:{port}"), _folder: folder }
    }

    fn connect(&self) -> Connection {
        let client = Client::open(self.url.as_str()).unwrap();
        for _ in 0..500 {
            if let Ok(connection) = client.get_connection() {
                return connection;
            }
            #[expect(clippy::disallowed_methods, reason = "a test's own thread has no arbiter to block")]
            thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not answer at {}", self.url);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

fn packed(words: &Words) -> Vec<u8> {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.get_packed_command()
}

/// A command of those that evenkeel or an operator gives.
fn any_command(dice: &mut Dice, hashes: &[String; 6]) -> Words {
    let key = dice.pick(&STREAMS);
    let id = |dice: &mut Dice| format!("{}-{}", 1 + dice.roll(12), dice.roll(3));
    let (some, other) = (id(dice), id(dice));
    let count = 1 + dice.roll(4);
    let keys = STREAMS.join(" ");
    let line = match dice.roll(34) {
        0..=5 => format!("XADD {key} NOMKSTREAM {some} seq {count}"),
        6 => format!("XADD {key} {some} seq {count}"),
        7 | 8 => format!("XGROUP CREATE {key} {GROUP} {} MKSTREAM", dice.pick(&["0", "0", "$"])),
        9 => format!("XGROUP DESTROY {key} {GROUP}"),
        10 => format!("XGROUP DELCONSUMER {key} {GROUP} {CONSUMER}"),
        11 => format!("XGROUP SETID {key} {GROUP} {}", dice.pick(&["0", "$", "5-1"])),
        12 => format!("XRANGE {key} ({some} {other} COUNT {count}"),
        13 => format!("XRANGE {key} - + COUNT {count}"),
        14 => format!("XREAD COUNT 2 BLOCK 1 STREAMS {keys} {some} {other} 0-0"),
        15 => format!("XINFO {} {key}", dice.pick(&["STREAM", "GROUPS"])),
        16 => format!("XDEL {key} {some} {other}"),
        17 => format!("XTRIM {key} MAXLEN {count}"),
        18 => format!("XACK {key} {GROUP} {some} {other}"),
        19 => {
            dice.pick(&["DEL {m}:meta", "DEL {m}:lease", "DEL {m}:queue {m}:snapshot", "FLUSHALL"]).to_owned()
        }
        20 => format!("HSET {{m}}:meta tick {count}"),
        21 => format!("HSETNX {{m}}:meta lost:{count} {count}"),
        22 => "HMGET {m}:meta journal writer_epoch writer label tick first:queue".to_owned(),
        23 => "MGET {m}:snapshot {m}:snapshot:previous".to_owned(),
        24 => dice.pick(&["MULTI", "EXEC", "EXEC", "UNWATCH", "WATCH {m}:meta"]).to_owned(),
        kind => return any_script(dice, kind - 25, hashes),
    };
    words(&line)
}

fn any_script(dice: &mut Dice, kind: u64, hashes: &[String; 6]) -> Words {
    let [claim, trim, acquire, release, read, save] = hashes;
    let epoch = 1 + dice.roll(3);
    let id = |dice: &mut Dice| format!("{}-{}", 1 + dice.roll(12), dice.roll(3));
    let ids = [id(dice), id(dice), id(dice)];
    let [one, two, three] = &ids;
    let keys = STREAMS.join(" ");
    let key = dice.pick(&STREAMS);
    let name = key.rsplit(':').next().unwrap_or_default();
    let who = dice.pick(&["anna", "bert"]);
    let line = match kind {
        0 => format!(
            "{claim} 1 {{m}}:meta {} {epoch} 1 100 label {who}",
            dice.pick(&["ours", "ours", "theirs"])
        ),
        1 => format!(
            "{trim} 3 {key} {{m}}:client {{m}}:meta {} {} {} {name}",
            dice.roll(12),
            dice.roll(4),
            1 + dice.roll(5)
        ),
        2 | 3 => {
            let (seen, beat) = (dice.roll(4), dice.roll(4));
            format!("{acquire} 1 {{m}}:lease {who} {seen} {beat} {}", dice.roll(3))
        }
        4 => format!("{release} 1 {{m}}:lease {epoch}"),
        5 | 6 => {
            let from = if dice.hits(600) { "> > >".to_owned() } else { format!("{one} > {two}") };
            format!(
                "{read} 5 {{m}}:lease {{m}}:meta {keys} {epoch} {GROUP} {CONSUMER} {} {} {from}",
                1 + dice.roll(3),
                dice.roll(2)
            )
        }
        _ => format!(
            "{save} 7 {{m}}:lease {{m}}:snapshot {{m}}:snapshot:previous {{m}}:client {keys} {epoch} state{} {GROUP} ours executions {one} queue {two} windows {three}",
            dice.roll(9)
        ),
    };
    words(&format!("EVALSHA {line}"))
}

/// The parts of an answer that the model makes: names that it leaves out are left out, and of an error its code counts.
fn comparable(model: &Value, real: &Value) -> Value {
    match (model, real) {
        (Value::Array(model), Value::Array(real)) => {
            let named = |pair: &[Value]| matches!(&pair[0], Value::BulkString(name) if name == b"length" || name == b"name");
            if model.chunks_exact(2).next().is_some_and(named) && real.len() % 2 == 0 {
                let of_model = model.chunks_exact(2).map(|pair| &pair[0]);
                let find = |name: &Value| {
                    real.chunks_exact(2).find(|pair| pair[0] == *name).map(|pair| pair[1].clone())
                };
                let found = of_model.flat_map(|name| [name.clone(), find(name).unwrap_or(Value::Nil)]);
                return Value::Array(found.collect());
            }
            if model.len() != real.len() {
                return Value::Array(real.clone());
            }
            Value::Array(model.iter().zip(real).map(|(model, real)| comparable(model, real)).collect())
        }
        (_, real) => code_only(real),
    }
}

fn code_only(value: &Value) -> Value {
    match value {
        Value::ServerError(error) => Value::SimpleString(format!("error {}", error.code())),
        Value::Array(items) => Value::Array(items.iter().map(code_only).collect()),
        other => other.clone(),
    }
}

#[test]
fn the_model_answers_as_redis_does() {
    let server = Server::start();
    let mut real: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    let mut operator = server.connect();
    let scripts = Scripts::new();
    let all =
        [&scripts.claim, &scripts.trim, &scripts.acquire, &scripts.release, &scripts.read, &scripts.save];
    let hashes = all.map(|script| script.prepare_invoke().load(&mut operator).unwrap());
    let mut set_memory = |bytes: &str| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(&mut operator).unwrap();
    };
    for trace in 1..=TRACES {
        let mut dice = Dice::new(trace);
        let mut model = Model::new(true);
        model.load_all();
        for (connection, real) in real.iter_mut().enumerate() {
            model.connect(connection as u64);
            for line in ["DISCARD", "UNWATCH", "FLUSHALL"] {
                // Without a transaction there is nothing to discard.
                let _ = real.send(&packed(&words(line))).and_then(|()| real.receive());
            }
        }
        let mut said = Vec::new();
        for _ in 0..COMMANDS {
            if dice.hits(40) {
                let full = model.condition == Condition::Well;
                model.condition = if full { Condition::Full } else { Condition::Well };
                set_memory(if full { "1" } else { "0" });
                said.push(format!("memory: {}", if full { "full" } else { "enough" }));
            }
            let connection = dice.roll(CONNECTIONS as u64) as usize;
            let command = any_command(&mut dice, &hashes);
            said.push(format!(
                "{connection}: {}",
                command.iter().map(|word| text(word)).collect::<Vec<_>>().join(" ")
            ));
            let modelled = model.ask(connection as u64, &command, 1);
            real[connection].send(&packed(&command)).unwrap();
            let really = real[connection].receive().unwrap();
            let really = code_only(&comparable(&modelled, &really));
            assert_eq!(
                code_only(&modelled),
                really,
                "trace {trace}, the model left, Redis right, after\n{}",
                said.join("\n")
            );
        }
        set_memory("0");
    }
}

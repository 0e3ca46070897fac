//! The model of Redis against a real one: the same commands, the same answers.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use evenkeel_core::chance::Dice;
use redis::{Client, Connection, Value};
use tempfile::TempDir;

use super::{
    dice::Draws as _,
    model::{Condition, Model, Words, text},
};
use crate::stores::redis::{CONSUMER, GROUP, scripts::Scripts, wire::Wire as _};

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
            // Who waits for a millisecond is answered after two and not after a hundred.
            "--hz",
            "500",
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

/// The tick that an entry tells, which grows with its id; somebody else's tells none.
fn told(key: &str, id: &str) -> String {
    let (ms, n) = id.split_once('-').unwrap_or((id, "0"));
    let (ms, n) = (ms.parse::<u64>().unwrap_or(0), n.parse::<u64>().unwrap_or(0));
    match (ms, key) {
        (7, _) => String::new(),
        (_, "{m}:windows") => format!(" first_tick 0 last_tick {}", ms * 4 + n),
        _ => format!(" queued_tick 0 tick {}", ms * 4 + n),
    }
}

/// A command of those that evenkeel or an operator gives.
fn any_command(dice: &mut Dice, hashes: &[String; 6]) -> Words {
    let key = dice.pick(&STREAMS);
    let id = |dice: &mut Dice| format!("{}-{}", 1 + dice.roll(12), dice.roll(3));
    let (some, other) = (id(dice), id(dice));
    let count = 1 + dice.roll(4);
    let keys = STREAMS.join(" ");
    let line = match dice.roll(34) {
        0..=5 => format!("XADD {key} NOMKSTREAM {some} seq {count}{}", told(key, &some)),
        6 => format!("XADD {key} {some} seq {count}{}", told(key, &some)),
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
            "{claim} 1 {{m}}:meta {} {epoch} {} 100 label {who} {} 10 1",
            dice.pick(&["ours", "ours", "theirs"]),
            dice.roll(3),
            dice.roll(6)
        ),
        1 => format!(
            "{trim} 3 {key} {{m}}:client {{m}}:meta {} {} {} {name}",
            dice.roll(12) * 4 + dice.roll(4),
            dice.roll(4),
            1 + dice.roll(5)
        ),
        2 | 3 => {
            let (seen, beat) = (dice.roll(4), dice.roll(4));
            // Epochs go out of range here, too: they begin anew then.
            format!(
                "{acquire} 1 {{m}}:lease {who} {seen} {beat} {} {} {}",
                dice.roll(3),
                3 + dice.roll(3),
                1 + dice.roll(2)
            )
        }
        4 => format!("{release} 1 {{m}}:lease {epoch}"),
        5 | 6 => {
            let from = if dice.hits(600) { "> > >".to_owned() } else { format!("{one} > {two}") };
            format!(
                "{read} 5 {{m}}:lease {{m}}:meta {keys} {epoch} {GROUP} {CONSUMER} {} {} {} {from}",
                1 + dice.roll(3),
                dice.roll(2),
                u64::from(dice.hits(900))
            )
        }
        _ => format!(
            "{save} 7 {{m}}:lease {{m}}:snapshot {{m}}:snapshot:previous {{m}}:client {keys} {epoch} state{} {GROUP} ours executions {one} queue {two} windows {three}",
            dice.roll(9)
        ),
    };
    words(&format!("EVALSHA {line}"))
}

/// What a server and a client have done for a while: entries, a lease, two generations of a state, so that there is
/// something to trim, to take over and to give again.
fn a_life(dice: &mut Dice, hashes: &[String; 6]) -> Vec<Words> {
    let [claim, _, acquire, _, read, save] = hashes;
    let mut lines = vec![format!("EVALSHA {claim} 1 {{m}}:meta ours 1 1 100 label anna 0 10 1")];
    for key in STREAMS {
        let name = key.rsplit(':').next().unwrap_or_default();
        lines.push(format!("XGROUP CREATE {key} {GROUP} 0 MKSTREAM"));
        let first = 1 + dice.roll(3);
        lines.extend((1..=8).map(|n| {
            let id = format!("{n}-0");
            format!("XADD {key} NOMKSTREAM {id} seq {}{}", first + n - 1, told(key, &id))
        }));
        if dice.hits(700) {
            lines.push(format!("HSET {{m}}:meta first:{name} {}", first.saturating_sub(dice.roll(2))));
        }
    }
    let keys = STREAMS.join(" ");
    lines.push(format!("EVALSHA {acquire} 1 {{m}}:lease anna 0 0 0 100 2"));
    lines.push(format!("EVALSHA {read} 5 {{m}}:lease {{m}}:meta {keys} 1 {GROUP} {CONSUMER} 8 1 1 > > >"));
    for _ in 0..2 {
        let mut applied = || format!("{}-0", 1 + dice.roll(8));
        let [one, two, three] = [applied(), applied(), applied()];
        lines.push(format!(
            "EVALSHA {save} 7 {{m}}:lease {{m}}:snapshot {{m}}:snapshot:previous {{m}}:client {keys} 1 state {GROUP} ours executions {one} queue {two} windows {three}"
        ));
    }
    lines.iter().map(|line| words(line)).collect()
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

/// A model and a real Redis that are given the same.
struct Both {
    server: Server,
    real: Vec<Connection>,
    operator: Connection,
    hashes: [String; 6],
    model: Model,
    trace: u64,
    said: Vec<String>,
}

impl Both {
    fn start() -> Self {
        let server = Server::start();
        let mut operator = server.connect();
        let scripts = Scripts::new();
        let all =
            [&scripts.claim, &scripts.trim, &scripts.acquire, &scripts.release, &scripts.read, &scripts.save];
        let hashes = all.map(|script| script.prepare_invoke().load(&mut operator).unwrap());
        let real = (0..CONNECTIONS).map(|_| server.connect()).collect();
        Self { server, real, operator, hashes, model: Model::new(true), trace: 0, said: Vec::new() }
    }

    /// Both are empty and well, and so are their connections.
    fn begin(&mut self, trace: u64) {
        self.set_memory("0");
        (self.model, self.trace, self.said) = (Model::new(true), trace, Vec::new());
        self.model.load_all();
        for (connection, real) in self.real.iter_mut().enumerate() {
            self.model.connect(connection as u64);
            for line in ["DISCARD", "UNWATCH", "FLUSHALL"] {
                // Without a transaction there is nothing to discard.
                let _ = real.send(&packed(&words(line))).and_then(|()| real.receive());
            }
        }
    }

    fn set_memory(&mut self, bytes: &str) {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(&mut self.operator).unwrap();
    }

    /// Full, or well again.
    fn change_condition(&mut self) {
        let full = self.model.condition == Condition::Well;
        self.model.condition = if full { Condition::Full } else { Condition::Well };
        self.set_memory(if full { "1" } else { "0" });
        self.said.push(format!("memory: {}", if full { "full" } else { "enough" }));
    }

    /// What both answer.
    fn ask(&mut self, connection: usize, command: &Words) -> Value {
        let shown = command.iter().map(|word| text(word)).collect::<Vec<_>>().join(" ");
        self.said.push(format!("{connection}: {shown}"));
        let modelled = self.model.ask(connection as u64, command, 1);
        self.real[connection].send(&packed(command)).unwrap();
        let really = self.real[connection].receive().unwrap();
        let really = code_only(&comparable(&modelled, &really));
        assert_eq!(
            code_only(&modelled),
            really,
            "{}, trace {}, the model left, Redis right, after\n{}",
            self.server.url,
            self.trace,
            self.said.join("\n")
        );
        modelled
    }
}

#[test]
fn the_model_answers_as_redis_does() {
    let mut both = Both::start();
    let mut trimmed = 0;
    for trace in 1..=TRACES {
        let mut dice = Dice::new(trace);
        both.begin(trace);
        if dice.hits(500) {
            for command in a_life(&mut dice, &both.hashes) {
                both.ask(0, &command);
            }
        }
        for _ in 0..COMMANDS {
            if dice.hits(40) {
                both.change_condition();
            }
            let connection = dice.roll(CONNECTIONS as u64) as usize;
            let command = any_command(&mut dice, &both.hashes);
            both.ask(connection, &command);
        }
        trimmed += u64::from(!both.model.trimmed.is_empty());
    }
    assert!(trimmed >= TRACES / 10, "what is seldom done is not compared: trimmed in {trimmed} traces");
}

/// Seed 946265: an operator trimmed after shipping had looked whether somebody had; our own trimming then noted what it left,
/// and nobody said what was lost.
#[test]
fn reproduces_somebody_who_trims_just_before_our_own_trimming() {
    let mut both = Both::start();
    both.begin(0);
    for command in a_life(&mut Dice::new(0), &both.hashes) {
        both.ask(0, &command);
    }
    let trim = format!("EVALSHA {} 3 {{m}}:queue {{m}}:client {{m}}:meta 0 3 10 queue", both.hashes[1]);
    both.ask(0, &words("HSET {m}:meta first:queue 1"));
    both.ask(0, &words("HSET {m}:client previous_queue 8-0"));
    both.ask(0, &words("XACK {m}:queue scheduler 1-0 2-0 3-0 4-0 5-0 6-0 7-0 8-0"));
    both.ask(0, &words("XTRIM {m}:queue MAXLEN 6"));
    assert_eq!(both.ask(0, &words(&trim)), Value::Int(0), "nothing is removed");
    let noted = both.ask(0, &words("HMGET {m}:meta first:queue"));
    assert_eq!(noted, Value::Array(vec![Value::BulkString(b"1".to_vec())]), "the loss can still be seen");
    // Shipping has seen it, and noted what is there.
    both.ask(0, &words("HSET {m}:meta first:queue 4"));
    assert_eq!(both.ask(0, &words(&trim)), Value::Int(3), "as many as there are too many of");
}

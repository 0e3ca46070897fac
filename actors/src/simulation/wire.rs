//! The way to the modelled Redis: whole, cut before or after a command took effect, cut in between, or so slow that
//! commands take effect when nobody waits for them any more.

use std::{collections::VecDeque, io, time::Duration};

use redis::{ConnectionLike, RedisError, RedisResult, Value};

use super::{
    model::{Condition, Words, text},
    world::{self, ProcessId},
};
use crate::stores::redis::{
    link::RedisFault,
    wire::{Connector, Wire},
};

/// The way from one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way(pub(super) ProcessId);

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Arrives,
    /// Nothing of it takes effect.
    Lost,
    /// It takes effect, and the answer is lost.
    AnswerLost,
    /// A part of it takes effect.
    Cut,
    /// It takes effect later.
    Late,
    /// The sender is killed before.
    KilledBefore,
    /// The sender is killed after it has taken effect.
    KilledAfter,
}

struct Modelled {
    process: ProcessId,
    connection: u64,
    broken: bool,
    answers: VecDeque<Value>,
}

fn broken() -> RedisError {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection is broken").into()
}

impl Connector for Way {
    fn connect(&self, _answer_max: Duration, _write_max: Duration) -> Result<Box<dyn Wire>, RedisFault> {
        world::others_act();
        let connection = world::with(|world| {
            let away = world.redis.condition == Condition::Down || world.is_dying(self.0);
            (!away && world.reaches()).then(|| world.new_connection())
        });
        let connection = connection.ok_or_else(|| RedisFault::Away("connection refused".to_owned()))?;
        Ok(Box::new(Modelled { process: self.0, connection, broken: false, answers: VecDeque::new() }))
    }
}

/// The commands in packed bytes: arrays of bulk strings.
pub(super) fn unpacked(bytes: &[u8]) -> Vec<Words> {
    let mut commands = Vec::new();
    let mut rest = bytes;
    let mut line = |prefix: u8| -> Option<usize> {
        let end = rest.iter().position(|byte| *byte == b'\r')?;
        assert_eq!(rest[0], prefix, "an array of bulk strings");
        let number = std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()?;
        rest = &rest[end + 2..];
        if prefix == b'$' {
            if let Some(words) = commands.last_mut() {
                Words::push(words, rest[..number].to_vec());
            }
            rest = &rest[number + 2..];
        } else {
            commands.push(Words::new());
        }
        Some(number)
    };
    while let Some(words) = line(b'*') {
        for _ in 0..words {
            line(b'$');
        }
    }
    commands
}

impl Wire for Modelled {
    fn send(&mut self, commands: &[u8]) -> RedisResult<()> {
        world::others_act();
        let commands = unpacked(commands);
        let answers = world::with(|world| {
            if self.broken || world.is_dying(self.process) || !world.redis.is_connected(self.connection) {
                return None;
            }
            let fate = world.fate(self.process);
            if world.traces {
                let line = |words: &Words| words.iter().map(|word| text(word)).collect::<Vec<_>>().join(" ");
                let lines = commands
                    .iter()
                    .map(line)
                    .map(|line| line.chars().take(160).collect())
                    .collect::<Vec<String>>();
                world.tell(format!(
                    "{:?} on {}: {fate:?}: {}",
                    self.process,
                    self.connection,
                    lines.join("; ")
                ));
            }
            let run = |world: &mut world::World, count: usize| {
                let now_ms = world.now_ms;
                let commands = commands.iter().take(count);
                let answers = commands
                    .map(|words| world.redis.ask(self.connection, words, now_ms))
                    .collect::<VecDeque<_>>();
                if world.traces {
                    world.tell(format!("  {answers:?}").chars().take(600).collect::<String>());
                }
                answers
            };
            match fate {
                Fate::Arrives => return Some(run(world, usize::MAX)),
                Fate::AnswerLost | Fate::KilledAfter => drop(run(world, usize::MAX)),
                Fate::Cut => {
                    let count = world.dice.roll(commands.len() as u64 + 1) as usize;
                    run(world, count);
                }
                Fate::Late => world.late.push((self.connection, commands.clone())),
                Fate::Lost | Fate::KilledBefore => {}
            }
            None
        });
        world::others_act();
        match answers {
            Some(answers) => self.answers = answers,
            None => self.broken = true,
        }
        Ok(())
    }

    fn receive(&mut self) -> RedisResult<Value> {
        self.answers.pop_front().filter(|_| !self.broken).ok_or_else(broken)
    }
}

impl ConnectionLike for Modelled {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.send(command)?;
        self.receive()
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        self.send(commands)?;
        for _ in 0..offset {
            self.receive()?;
        }
        (0..count).map(|_| self.receive()).collect()
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        !self.broken
    }

    fn is_open(&self) -> bool {
        !self.broken
    }
}

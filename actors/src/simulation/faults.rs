//! What happens to a world from outside.

use evenkeel_core::{chance::STEP, journal::Stream};

use super::{
    dice::Draws as _,
    model::{Condition, Words},
    world::{self, ProcessId, World},
};
use crate::stores::redis::GROUP;

/// One thing; what a seed's dice allow at all is decided by its number.
pub(super) fn one() {
    world::bury_the_dead();
    let mut to_start = None;
    world::with(|world| {
        let kind = world.dice.roll(26);
        // A quarter of the kinds never comes up in a seed, so that some faults meet undisturbed by the others.
        let bits = world.seed.wrapping_mul(STEP) >> (kind * 2);
        if kind >= 6 && bits % 4 == 0 {
            return;
        }
        match kind {
            0 => {
                let process = world.dice.pick(&ProcessId::ALL);
                world.tell(format!("kill {process:?}"));
                world.kill(process);
            }
            1..=3 => to_start = Some(world.dice.pick(&ProcessId::ALL)),
            4 => mend(world),
            5 => world.redis.sync(),
            kind => rarer(world, kind),
        }
    });
    if let Some(process) = to_start {
        world::start(process);
    }
}

fn mend(world: &mut World) {
    world.partitioned = false;
    world.redis.condition = Condition::Well;
}

fn rarer(world: &mut World, kind: u64) {
    let stream = world.dice.pick(&Stream::ALL);
    let key = world.keys.stream(stream);
    match kind {
        6 => world.redis.replicate(),
        7 => late_arrivals(world),
        8 => {
            let condition = world.dice.pick(&[Condition::Down, Condition::Loading, Condition::ReadOnly]);
            set(world, condition);
        }
        9 | 10 => {
            let condition = world.dice.pick(&[Condition::Full, Condition::Brim]);
            set(world, condition);
        }
        11 => world.partitioned = true,
        12 | 13 => crash_redis(world),
        14 => power_cut(world),
        15 => {
            world.tell("failover to a replica that is behind");
            world.meddled = true;
            world.redis.fail_over();
        }
        16 => clock(world),
        17 => command(world, &["XGROUP", "DESTROY", &key, GROUP]),
        18 => command(world, &["XGROUP", "DELCONSUMER", &key, GROUP, GROUP]),
        19 => command(world, &["XGROUP", "SETID", &key, GROUP, "$"]),
        20 => command(world, &["DEL", &key]),
        21 => spoil(world),
        22 if world.dice.hits(400) => foreign(world, stream),
        23 if world.dice.hits(400) => {
            world.harmed = true;
            let there = |world: &World| world.sequence_numbers(stream);
            let (before, keep) = (there(world), world.dice.roll(20).to_string());
            command(world, &["XTRIM", &key, "MAXLEN", &keep]);
            let after = there(world);
            world.removed[stream].extend(before.difference(&after));
        }
        24 if world.dice.hits(400) => {
            world.harmed = true;
            command(world, &["FLUSHALL"]);
        }
        25 if world.dice.hits(400) => {
            world.harmed = true;
            let (newest, previous) = (world.keys.snapshot(), world.keys.previous_snapshot());
            command(world, &["DEL", &newest, &previous]);
        }
        _ => {}
    }
}

fn set(world: &mut World, condition: Condition) {
    world.tell(format!("Redis: {condition:?}"));
    world.redis.condition = condition;
}

/// As an operator with every right gives it.
pub(super) fn command(world: &mut World, words: &[&str]) {
    if world.redis.condition != Condition::Well {
        return;
    }
    world.tell(words.join(" "));
    world.meddled = true;
    let words: Words = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let operator = world.new_connection();
    world.redis.ask(operator, &words, world.now_ms);
}

/// What was sent long ago takes effect now, if its connection still stands.
fn late_arrivals(world: &mut World) {
    if world.late.is_empty() {
        return;
    }
    let which = world.dice.roll(world.late.len() as u64) as usize;
    let (connection, commands) = world.late.swap_remove(which);
    if world.redis.is_connected(connection) {
        world.tell("late commands arrive");
        for words in commands {
            world.redis.ask(connection, &words, world.now_ms);
        }
    }
}

fn crash_redis(world: &mut World) {
    world.tell("Redis crashes");
    world.meddled |= !world.redis.always;
    let World { redis, dice, .. } = world;
    redis.crash(|sides| dice.roll(sides));
    let condition = world.dice.pick(&[Condition::Well, Condition::Down, Condition::Loading]);
    world.redis.condition = condition;
}

fn power_cut(world: &mut World) {
    world.tell("power cut");
    world.disk.power_cut();
    world.kill(ProcessId::Server);
    crash_redis(world);
}

fn clock(world: &mut World) {
    let jump = world.dice.pick(&[-3_600_000_i64, -5_000, 5_000, 3_600_000]);
    world.tell(format!("the clock jumps by {jump} ms"));
    world.now_ms = world.now_ms.saturating_add_signed(jump);
}

/// Spoils the newest state where an older one is left.
fn spoil(world: &mut World) {
    let both = [world.keys.snapshot(), world.keys.previous_snapshot()];
    if !world.spoiled && both.iter().all(|key| world.redis.keyspace().strings.contains_key(key)) {
        world.spoiled = true;
        command(world, &["SET", &both[0], "spoiled"]);
    }
}

/// Somebody else writes under a later id.
fn foreign(world: &mut World, stream: Stream) {
    let key = world.keys.stream(stream);
    if world.foreign.is_none() && world.redis.keyspace().streams.contains_key(&key) {
        world.foreign = Some(stream);
        command(world, &["XADD", &key, "9999999999999-0", "who", "somebody else"]);
    }
}

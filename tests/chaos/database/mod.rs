//! `make chaos DATABASE=1 SEED=1 KILLS=200`: evenkeel before a real PostgreSQL, clients that write, and kills of evenkeel, of
//! backends and of the postmaster, until so many have been killed. No effect is without a record, whatever was killed.
//!
//! Half of the worlds write their journal to a disk that forgets what was not synced, so that a kill takes what a power cut
//! would take. Before them it is shown that the judgement notices a disk that says it has synced, and has not, and an
//! evenkeel that does not wait for its records.

mod judge;
mod kills;
#[path = "../../it/postgres/raw.rs"]
#[allow(dead_code, reason = "the tests of the front use more of it")]
mod raw;
mod writers;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use evenkeel_core::chance::Dice;

use self::writers::Writers;
use crate::support::{
    Running,
    before::Before,
    pause,
    postgres::Postgres,
    redis::{Redis, free_port},
    start,
    three::dice,
    wait_until,
};

/// Kills after which a world is judged and a new one begins.
const KILLS_A_WORLD: u64 = 60;
/// Kills within which a known fault shows.
const NOTICED_MAX: u64 = 10;
/// One of so many worlds hands its journal out through Redis.
const REDIS_EACH: u64 = 5;

/// What of a statement is durable before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Commit,
    Strict,
    Async,
}

impl Record {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Strict => "strict",
            Self::Async => "async",
        }
    }
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
struct Plan {
    record: Record,
    /// What a kill takes of what was not synced: nothing where there is no such disk.
    disk: Option<&'static str>,
    enforce: bool,
    redis: bool,
}

struct World {
    plan: Plan,
    postgres: Postgres,
    before: Before,
    /// The port of the API.
    port: u16,
    redis: Option<Redis>,
    client: Option<Running>,
    writers: Option<Writers>,
    /// When evenkeel was killed.
    killed: Vec<Instant>,
}

/// What has been done and found.
#[derive(Default)]
struct Totals {
    done: BTreeMap<String, u64>,
    worlds: BTreeMap<String, u64>,
    rows: u64,
    records: u64,
    /// Of `--record async`: what kills have taken.
    missing: Vec<judge::Missing>,
}

impl Totals {
    fn count(&mut self, name: &str) {
        *self.done.entry(name.to_owned()).or_default() += 1;
    }

    fn kills(&self) -> u64 {
        self.done.values().sum()
    }

    fn print(&self, took: Duration) {
        for (name, count) in self.done.iter().chain(&self.worlds) {
            println!("{count:>7} × {name}");
        }
        println!(
            "--record async: {} rows without a record after {} kills, those of each within {} ms, {} times more than {}",
            self.missing.iter().map(|missing| missing.rows).sum::<usize>(),
            self.missing.len(),
            self.missing.iter().map(|missing| missing.within.as_millis()).max().unwrap_or_default(),
            self.missing.iter().filter(|missing| missing.within > judge::WITHIN).count(),
            judge::WITHIN.as_millis(),
        );
        let kills = self.kills();
        println!(
            "{kills} kills in {:.0} s, {} worlds, {} rows, {} tags: 0 lost, 0 duplicated, 0 invented (95 %: below {:.3} % a kill)",
            took.as_secs_f64(),
            self.worlds.values().sum::<u64>(),
            self.rows,
            self.records,
            300.0 / kills.max(1) as f64
        );
    }
}

/// Lives through so many kills, and prints what was found.
pub(crate) fn dies(seed: u64, kills: u64) {
    let begun = Instant::now();
    notice_a_disk_that_lies();
    notice_who_does_not_wait(seed);
    let mut dice = dice(seed);
    let mut totals = Totals::default();
    let in_a_world = (kills / 5).clamp(6, KILLS_A_WORLD);
    let mut index = 0;
    while totals.kills() < kills {
        let plan = Plan::draw(index, &mut dice);
        let left = (kills - totals.kills()).min(in_a_world);
        live_and_die(plan, left, &mut dice, &mut totals);
        index += 1;
    }
    totals.print(begun.elapsed());
}

impl Plan {
    /// Half of the worlds forget.
    fn draw(index: u64, dice: &mut Dice) -> Self {
        Self {
            record: [Record::Commit, Record::Strict, Record::Async][dice.roll(3) as usize],
            disk: (index % 2 == 1).then(|| ["forgets", "tears"][dice.roll(2) as usize]),
            enforce: dice.roll(3) > 0,
            redis: index % REDIS_EACH == REDIS_EACH - 1,
        }
    }

    fn name(self) -> String {
        format!(
            "world of {} --record {}{}{}",
            if self.redis { "server" } else { "run" },
            self.record.name(),
            self.disk.map(|disk| format!(", a disk that {disk}")).unwrap_or_default(),
            if self.enforce { ", enforce" } else { "" },
        )
    }
}

impl World {
    fn start(plan: Plan) -> Self {
        let postgres = Postgres::start();
        postgres.psql(writers::SCHEMA);
        let redis = plan.redis.then(Redis::start);
        let port = free_port();
        let (listen, url) = (format!("127.0.0.1:{port}"), redis.as_ref().map(|redis| redis.url("server")));
        let mut arguments = vec![if plan.redis { "server" } else { "run" }, "--listen", &listen];
        arguments.extend(url.iter().flat_map(|url| ["--redis", url]));
        arguments.extend(["--record", plan.record.name(), "--at-once", "2"]);
        arguments.extend(["--mode", if plan.enforce { "enforce" } else { "shadow" }]);
        let mut before = Before::not_started(&postgres.url("postgres", "postgres"), &arguments);
        before.environment.extend(plan.disk.map(|disk| ("EVENKEEL_DISK", disk.to_owned())));
        let (client, writers) = (None, None);
        let mut world = Self { plan, postgres, before, port, redis, client, writers, killed: Vec::new() };
        world.before.start();
        world.start_client();
        world
    }

    /// So many clients begin to write, and have done so.
    fn write(&mut self, writers: usize, dice: &mut Dice) {
        self.writers = Some(Writers::start(writers, self.before.address(), dice));
        wait_until("rows are written", || self.postgres.psql("select count(*) > 20 from truth") == "t");
    }

    /// Where the journal is handed out, somebody takes it.
    fn start_client(&mut self) {
        let Some(redis) = &self.redis else { return };
        let mut command = crate::support::evenkeel();
        let server = format!("http://127.0.0.1:{}", self.port);
        command.args(["client", "--redis", &redis.url("client"), "--server", &server]);
        command.args(["--listen", "127.0.0.1:0"]);
        self.client = Some(start(command, &self.before.folder.path().join("client.txt")));
    }

    fn is_up(&self) -> bool {
        let asked = Postgres::psql_at(self.postgres.port(), "postgres", "postgres", "select 1");
        asked.status.success()
    }

    fn wait_until_up(&self) {
        wait_until("PostgreSQL takes connections", || self.is_up());
    }
}

/// A known fault: `--record async` where `commit` is asked for.
fn notice_who_does_not_wait(seed: u64) {
    let plan = Plan { record: Record::Async, disk: Some("forgets"), enforce: false, redis: false };
    let mut dice = Dice::new(seed);
    let mut noticed = BTreeSet::new();
    for kills in 1..=NOTICED_MAX {
        let mut world = World::start(plan);
        world.write(4, &mut dice);
        kills::end_evenkeel(&mut world);
        world.before.start();
        world.plan.record = Record::Commit;
        noticed.extend(judge::judge(&mut world).wrong);
        if !noticed.is_empty() {
            println!(
                "who does not wait: noticed after {kills} kills: {} rows without a record",
                noticed.len()
            );
            return;
        }
    }
    panic!("who does not wait for records was not noticed");
}

fn live_and_die(plan: Plan, kills: u64, dice: &mut Dice, totals: &mut Totals) {
    println!("{}, {} kills so far", plan.name(), totals.kills());
    let mut world = World::start(plan);
    world.write(3 + dice.roll(3) as usize, dice);
    let before = totals.kills();
    while totals.kills() < before + kills {
        pause(Duration::from_millis(10 + dice.roll(150)));
        kills::one(dice, &mut world, totals);
    }
    let found = judge::judge(&mut world);
    found.assert_whole(plan);
    totals.rows += found.rows;
    totals.records += found.tags;
    totals.missing.extend(found.missing);
    *totals.worlds.entry(plan.name()).or_default() += 1;
}

/// A known fault: what was said to be synced is gone after a kill. evenkeel itself finds that its journal has come further
/// than what is left of it; where the witness of that is gone, too, the rows tell.
fn notice_a_disk_that_lies() {
    let plan = Plan { record: Record::Commit, disk: Some("lies"), enforce: false, redis: false };
    let mut world = World::start(plan);
    let mut raw = raw::Raw::connect(world.before.address(), "writer");
    for id in ["a", "b", "c"] {
        let answer = raw.query(&format!("insert into truth values ('{id}') /*truth='{id}'*/"));
        assert_eq!(raw::sqlstate(&answer), "");
    }
    world.before.kill();
    assert!(world.before.dies_of("", Duration::from_secs(20)), "it starts without its journal");
    let said = world.before.said();
    assert!(said.contains("is missing or empty"), "{said}");
    kills::take_the_witness(&world);
    world.before.environment.clear();
    world.before.start();
    let found = judge::judge(&mut world);
    let missing: Vec<_> = ["a", "b", "c"].map(judge::no_record).into();
    assert_eq!(found.wrong, missing, "a disk that lies is noticed");
    println!("a disk that lies: noticed at the start, and by 3 rows without a record");
}

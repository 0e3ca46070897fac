//! What must hold at the end of a world.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Plan, Record, World,
    writers::{Row, Told},
};
use crate::support::{output, text, wait_until};

/// `--record async`: records follow within this time.
pub(super) const WITHIN: Duration = Duration::from_millis(50);
/// On a machine that is busy with kills and restarts nobody gets the processor at once: within so much more the clients of
/// what is missing were told. How long it took really is printed.
const BUSY: Duration = Duration::from_millis(500);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rows: u64,
    pub(super) tags: u64,
    pub(super) wrong: Vec<String>,
    /// What has no record, as far as `--record` allows that.
    pub(super) missing: Vec<Missing>,
}

impl Found {
    pub(super) fn assert_whole(&self, plan: Plan) {
        assert!(self.wrong.is_empty(), "{}:\n{}", plan.name(), self.wrong.join("\n"));
    }
}

/// What one kill has taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    pub(super) rows: usize,
    /// From when the first of their clients was told to when the last one was. A journal that takes longer than that holds
    /// sessions back, so what is missing may be older than that, and is not more.
    pub(super) within: Duration,
}

/// As `journal verify` says it.
pub(super) fn no_record(id: &str) -> String {
    format!("the row `{id}` has no record: a statement had its effect and none is journalled")
}

/// Ends a world, and says what is wrong with it.
pub(super) fn judge(world: &mut World) -> Found {
    let tried = world.writers.take().map(super::Writers::end).unwrap_or_default();
    settle(world);
    let rows = rows(world);
    let mut found = Found { rows: rows.len() as u64, tags: tried.len() as u64, ..Found::default() };
    found.wrong.extend(
        rows.iter().filter(|(_, count)| **count > 1).map(|(id, count)| {
            format!("the row `{id}` is there {count} times: its statement was sent again")
        }),
    );
    found.wrong.extend(tried.iter().filter_map(|row| broken_word(row, &rows)));
    world.before.terminate();
    let journal = text(&world.before.data_dir()).to_owned();
    verify(world, &["--data-dir", &journal], &tried, &mut found);
    if let Some(redis) = &world.redis {
        verify(world, &["--redis", &redis.url("inspection")], &tried, &mut found);
    }
    found
}

/// A client relies on what it was told.
fn broken_word(row: &Row, rows: &BTreeMap<String, u64>) -> Option<String> {
    match (row.told, rows.contains_key(&row.id)) {
        (Told::Done, false) => Some(format!("`{}`: its client was told that it is there", row.id)),
        (Told::Undone, true) => Some(format!("`{}`: its client was told that it failed", row.id)),
        _ => None,
    }
}

/// Nobody writes any more: everything has its outcome soon.
fn settle(world: &World) {
    world.wait_until_up();
    for name in world.postgres.psql("select gid from pg_prepared_xacts").lines() {
        world.postgres.psql(&format!("rollback prepared '{name}'"));
    }
    let ready = || world.before.running().get("/readyz");
    wait_until("evenkeel is ready", || ready().status == 200);
    let open = |path: &str| world.before.get(path);
    wait_until("nothing waits", || world.before.queued() == 0);
    wait_until("everything has its outcome", || open("/api/v1/running")["total"] == 0);
    if world.redis.is_some() {
        wait_until("the journal is handed out", || ready().json()["degraded"] == Value::Array(Vec::new()));
    }
}

fn rows(world: &World) -> BTreeMap<String, u64> {
    let said = world.postgres.psql("select id, count(*) from truth group by id");
    let row = |line: &str| {
        let (id, count) = line.split_once('|')?;
        Some((id.to_owned(), count.parse().ok()?))
    };
    said.lines().map(|line| row(line).expect("a row")).collect()
}

/// What `journal verify` says of one of the journal's copies, beside the table.
fn verify(world: &World, copy: &[&str], tried: &[Row], found: &mut Found) {
    let url = world.postgres.url("postgres", "postgres");
    let mut arguments = vec!["journal", "verify", "--json", "--postgres", &url, "--truth-table", "truth"];
    arguments.extend_from_slice(copy);
    let verified = output(&arguments);
    let said = String::from_utf8_lossy(&verified.stdout);
    let Ok(said) = serde_json::from_str::<Value>(&said) else {
        found.wrong.push(format!("{said}{}", String::from_utf8_lossy(&verified.stderr)));
        return;
    };
    for open in ["waiting", "released"] {
        if said[open] != 0 {
            found.wrong.push(format!("{} {open}, though nobody writes", said[open]));
        }
    }
    let all = |field: &str| {
        let list = said[field].as_array().cloned().unwrap_or_default();
        list.into_iter().map(|one| one.as_str().unwrap_or_default().to_owned())
    };
    found.wrong.extend(all("findings"));
    let wrong: BTreeSet<_> = all("wrong").collect();
    // The copies lack the same.
    let (missing, lost) = missing(world, tried, &wrong);
    found.wrong.extend(missing.iter().filter(|missing| missing.within > WITHIN + BUSY).map(|missing| {
        format!("{} rows without a record were written within {:?}", missing.rows, missing.within)
    }));
    found.missing = missing;
    found.wrong.extend(wrong.difference(&lost).cloned());
    let expected = if found.wrong.is_empty() && found.missing.is_empty() { 0 } else { 3 };
    if verified.status.code() != Some(expected) {
        found.wrong.push(format!("`journal verify` ended with {}: {said}", verified.status));
    }
}

/// What each kill has taken, where `--record` allows that, and the findings that say so.
fn missing(world: &World, tried: &[Row], wrong: &BTreeSet<String>) -> (Vec<Missing>, BTreeSet<String>) {
    let (mut by_kill, mut lost) = (BTreeMap::<Instant, Vec<&Row>>::new(), BTreeSet::new());
    if world.plan.record == Record::Async {
        for row in tried.iter().filter(|row| wrong.contains(&no_record(&row.id))) {
            // An answer may be read after the kill, and none is sent after it.
            if let Some(kill) = world.killed.iter().find(|at| **at >= row.sent) {
                by_kill.entry(*kill).or_default().push(row);
                lost.insert(no_record(&row.id));
            }
        }
    }
    let of = |(kill, rows): (&Instant, &Vec<&Row>)| {
        let told = || rows.iter().filter_map(|row| Some(row.told_at?.min(*kill)));
        let within = told().max().zip(told().min()).map(|(last, first)| last - first);
        Missing { rows: rows.len(), within: within.unwrap_or_default() }
    };
    (by_kill.iter().map(of).collect(), lost)
}

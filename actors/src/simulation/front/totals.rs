//! What happened in all worlds together, so that nobody believes in checks of what never happens.

use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel_core::journal::{Outcome, QueueEvent, Record, Stream};

use super::world::World;

/// What is counted, in the order of its columns.
const NAMES: [&str; 15] = [
    "worlds",
    "kills of evenkeel",
    "crashes of the database",
    "connections to it",
    "statements that ran",
    "effects",
    "queued",
    "delayed",
    "dropped",
    "released",
    "ok",
    "failed",
    "of these not sent",
    "unknown",
    "effects without a record (async, pass)",
];

static COUNTS: [AtomicU64; NAMES.len()] = [const { AtomicU64::new(0) }; NAMES.len()];

/// Adds a world that has come to its end.
pub(super) fn add(world: &World) {
    let around = &world.around;
    let entries = &around.writer.disk.entries;
    let queue = |event: QueueEvent| {
        let is = |record: &Record| matches!(record, Record::Queue(one) if one.event == event);
        entries[Stream::Queue].iter().filter(|entry| is(&entry.record)).count()
    };
    let ended = |outcome: Outcome| {
        let is = |record: &Record| matches!(record, Record::Executed(one) if one.outcome == outcome);
        entries[Stream::Executions].iter().filter(|entry| is(&entry.record)).count()
    };
    let not_sent = |record: &Record| match record {
        Record::Executed(one) => {
            let note = one.answer.as_ref().and_then(|answer| answer.note.as_deref());
            note.is_some_and(|note| note.starts_with("not sent"))
        }
        _ => false,
    };
    let counts = [
        1,
        around.kills.len(),
        world.database.crashes,
        world.database.gone.len(),
        around.fates.len(),
        around.fates.values().filter(|fate| fate.acted.is_some()).count(),
        queue(QueueEvent::Queued),
        queue(QueueEvent::Delayed),
        queue(QueueEvent::Dropped),
        queue(QueueEvent::Released),
        ended(Outcome::Ok),
        ended(Outcome::Failed),
        entries[Stream::Executions].iter().filter(|entry| not_sent(&entry.record)).count(),
        ended(Outcome::Unknown),
        around.unrecorded.iter().filter(|key| !around.writer.has(**key)).count(),
    ];
    for (sum, count) in COUNTS.iter().zip(counts) {
        sum.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The sums, for people, and whether something has never happened.
pub(super) fn told() -> (String, bool) {
    let counts = NAMES.iter().zip(&COUNTS).map(|(name, count)| (name, count.load(Ordering::Relaxed)));
    let told: Vec<_> = counts.clone().map(|(name, count)| format!("{name} {count}")).collect();
    (told.join(", "), counts.clone().any(|(_, count)| count == 0))
}

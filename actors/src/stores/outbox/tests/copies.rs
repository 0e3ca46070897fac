//! Copies: taken beside a writer, put back, and gone on from without anything running twice.

use std::{collections::BTreeSet, fs, path::Path};

use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Record, Recovered, Stream},
    units::{ids::ExecutionId, tick::Tick},
};

use super::{
    super::*,
    support::{Decider, NOW_MS, identity, journal_id, open, pause, run, try_open},
};
use crate::ports::history::ReadError;

const TICK_MS: u64 = 100;

fn all(dir: &Path) -> PerStream<Vec<Entry>> {
    let reader = OutboxReader::open(dir).unwrap();
    PerStream::from_fn(|stream| reader.after(stream, EntryId::default(), usize::MAX).unwrap())
}

fn executed(entries: &PerStream<Vec<Entry>>) -> BTreeSet<ExecutionId> {
    let executed = entries.executions.iter().filter_map(|entry| match &entry.record {
        Record::Executed(executed) => Some(executed.execution),
        _ => None,
    });
    executed.collect()
}

fn open_to_adopt(dir: &Path, now_ms: u64) -> (Outbox, Recovered) {
    Outbox::open_as(&Opening {
        dir,
        identity: &identity(),
        name: None,
        journal: journal_id(),
        now_ms,
        limits: Limits::default(),
        purpose: Purpose::Adopt,
        clock_was_wrong: false,
    })
    .unwrap()
}

#[track_caller]
fn assert_verified(dir: &Path) -> Vec<String> {
    let verified = verify::verify(&OutboxReader::open(dir).unwrap(), None, |_, _| {}).unwrap();
    assert_eq!((verified.report.findings.first(), verified.damage), (&[][..], None));
    verified.notes
}

/// A journal of 25 ticks with something that waits, and a backup of it; then 15 more ticks of the original.
struct Scene {
    dir: tempfile::TempDir,
    copied: Copied,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, recovered) = open(&dir.path().join("original"));
        let mut decider = Decider::new(&recovered);
        run(&mut outbox, &mut decider, 25);
        let copied =
            back_up(&dir.path().join("original"), &dir.path().join("copy"), NOW_MS, |_, _| {}).unwrap();
        run(&mut outbox, &mut decider, 15);
        Self { dir, copied }
    }

    fn original(&self) -> std::path::PathBuf {
        self.dir.path().join("original")
    }

    fn copy(&self) -> std::path::PathBuf {
        self.dir.path().join("copy")
    }

    fn restored(&self) -> std::path::PathBuf {
        self.dir.path().join("restored")
    }

    fn restore(&self) -> Result<Copied, CopyError> {
        restore(&self.copy(), &self.restored(), NOW_MS, |_, _| {})
    }
}

#[test]
fn a_backup_beside_a_writer_is_the_journal_as_it_stood_at_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let (original, copies) = (dir.path().join("original"), dir.path().join("copies"));
    fs::create_dir(&copies).unwrap();
    let (mut outbox, recovered) = open(&original);
    let mut decider = Decider::new(&recovered);
    // More than is copied in one transaction.
    let commit = decider.tick(12_000);
    outbox.commit(vec![commit]).remove(0).unwrap();
    let (from, to) = (original.clone(), copies.clone());
    let copying = std::thread::spawn(move || {
        [1, 2, 3].map(|n| back_up(&from, &to.join(n.to_string()), NOW_MS, |_, _| {}).unwrap())
    });
    while !copying.is_finished() {
        run(&mut outbox, &mut decider, 1);
        pause(1);
    }
    let whole = all(&original);
    for (n, copied) in (1..).zip(copying.join().unwrap()) {
        let restored = dir.path().join(format!("restored {n}"));
        assert_eq!(restore(&copies.join(n.to_string()), &restored, NOW_MS, |_, _| {}).unwrap(), copied);
        let entries = all(&restored);
        for stream in Stream::ALL {
            assert_eq!(entries[stream].len() as u64, copied.entries[stream]);
            assert_eq!(entries[stream], whole[stream][..entries[stream].len()]);
        }
        assert_eq!(OutboxReader::open(&restored).unwrap().head().unwrap().state.next_tick, copied.next_tick);
        assert_verified(&restored);
    }
}

#[test]
fn a_backup_of_a_trimmed_journal_begins_where_that_does() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { entries_max: 5, ..Limits::default() };
    let (mut outbox, recovered) =
        Outbox::open(&dir.path().join("original"), &identity(), journal_id(), NOW_MS, limits).unwrap();
    run(&mut outbox, &mut Decider::new(&recovered), 90);
    outbox.trim(&Trim { applied: evenkeel_core::journal::Positions::end() }).unwrap();
    let copy = dir.path().join("copy");
    let copied = back_up(&dir.path().join("original"), &copy, NOW_MS, |_, _| {}).unwrap();
    assert_eq!((copied.entries.queue, copied.entries.windows), (5, 5));
    restore(&copy, &dir.path().join("restored"), NOW_MS, |_, _| {}).unwrap();
    assert_eq!(all(&dir.path().join("restored")), all(&dir.path().join("original")));
}

#[test]
fn what_was_put_back_serves_nobody_until_it_is_adopted_and_then_nothing_runs_twice() {
    let scene = Scene::new();
    assert_eq!(scene.restore().unwrap(), scene.copied);
    let refused = try_open(&scene.restored()).unwrap_err();
    assert!(matches!(refused, OpenError::Copy { next_tick: Tick(25), .. }), "{refused}");
    assert!(refused.to_string().contains("journal adopt --data-dir"), "{refused}");
    // Also where somebody put the file there by hand.
    let by_hand = scene.dir.path().join("by hand");
    fs::create_dir(&by_hand).unwrap();
    fs::copy(scene.copy(), by_hand.join(DATABASE_FILE)).unwrap();
    assert!(matches!(try_open(&by_hand), Err(OpenError::Copy { .. })));

    // A minute later: up to 600 ticks may have run.
    let now_ms = NOW_MS + 60_000;
    let (mut outbox, recovered) = open_to_adopt(&scene.restored(), now_ms);
    let waited: Vec<_> = recovered.queue.iter().map(|queued| queued.execution).collect();
    assert_eq!(waited.len() as u64, scene.copied.waiting);
    assert!(!waited.is_empty());
    let continued = outbox.continue_copy(None, 0, TICK_MS, now_ms).unwrap();
    assert_eq!((continued.after, continued.given_up), (Some(Tick(24)), waited));
    assert!(continued.begins > Tick(600) && continued.begins.0.is_multiple_of(10), "{}", continued.begins);
    assert!(assert_verified(&scene.restored())[0].contains(&continued.begins.to_string()));
    drop(outbox);

    let (mut outbox, recovered) = open(&scene.restored());
    assert_eq!((recovered.queue.len(), recovered.last_batch.len()), (0, 0));
    let before = executed(&all(&scene.restored()));
    run(&mut outbox, &mut Decider::new(&recovered), 45);
    let notes = assert_verified(&scene.restored());
    assert!(notes[0].contains("put back from a copy that ended after tick 24"), "{notes:?}");
    let after: BTreeSet<_> = executed(&all(&scene.restored())).difference(&before).copied().collect();
    assert!(after.len() > 40);
    assert_eq!(after.intersection(&executed(&all(&scene.original()))).count(), 0, "run twice");
}

#[test]
fn a_copy_goes_on_behind_what_redis_has_of_its_streams() {
    let scene = Scene::new();
    scene.restore().unwrap();
    let reader = OutboxReader::open(&scene.original()).unwrap();
    let last = PerStream::from_fn(|stream| {
        let (id, seq, _) = reader.end(stream).unwrap();
        (id, seq)
    });
    let end = Continuation { last, tick: Tick(39), now_ms: NOW_MS };
    let (mut outbox, _) = open_to_adopt(&scene.restored(), NOW_MS + 5_000);
    let epoch = outbox.meta().writer_epoch + 7;
    let continued = outbox.continue_copy(Some(&end), epoch, TICK_MS, NOW_MS + 5_000).unwrap();
    assert!(continued.begins > Tick(39));
    drop(outbox);
    let (mut outbox, recovered) = open(&scene.restored());
    assert_eq!(outbox.meta().writer_epoch, epoch + 1, "later than whoever writes the streams");
    run(&mut outbox, &mut Decider::new(&recovered), 30);
    for stream in Stream::ALL {
        let entries = OutboxReader::open(&scene.restored()).unwrap().tail(stream, usize::MAX).unwrap();
        assert_eq!(entries[0].seq, last[stream].1 + 1, "{stream} has neither a hole nor a number twice");
        assert!(entries[0].id > last[stream].0);
    }
    assert_verified(&scene.restored());
}

#[test]
fn files_beside_the_journal_come_along() {
    let scene = Scene::new();
    for (name, text) in [("client-snapshot.0", "learned"), ("dead-letters.jsonl", ""), ("other", "no")] {
        fs::write(scene.original().join(name), text).unwrap();
    }
    let copy = scene.dir.path().join("second");
    back_up(&scene.original(), &copy, NOW_MS, |_, _| {}).unwrap();
    restore(&copy, &scene.restored(), NOW_MS, |_, _| {}).unwrap();
    let names: BTreeSet<_> =
        fs::read_dir(scene.restored()).unwrap().map(|file| file.unwrap().file_name()).collect();
    let expected = ["client-snapshot.0", "dead-letters.jsonl", DATABASE_FILE].map(std::ffi::OsString::from);
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(fs::read(scene.restored().join("client-snapshot.0")).unwrap(), b"learned");
    let (mut outbox, _) = open_to_adopt(&scene.restored(), NOW_MS);
    outbox.continue_copy(None, 0, TICK_MS, NOW_MS).unwrap();
    let rows: i64 = outbox.connection.query_row("SELECT count(*) FROM state", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 4, "meta, head, kept, gap: what came along is not kept twice");
}

#[test]
fn a_backup_overwrites_nothing_and_nothing_that_is_not_whole_is_put_back() {
    let scene = Scene::new();
    let again = back_up(&scene.original(), &scene.copy(), NOW_MS, |_, _| {});
    assert!(matches!(again, Err(CopyError::Exists(_))));
    let nowhere = back_up(&scene.restored(), &scene.dir.path().join("x"), NOW_MS, |_, _| {});
    assert!(matches!(nowhere, Err(CopyError::Read(ReadError::Missing { .. }))));

    assert!(matches!(
        restore(&scene.copy(), &scene.original(), NOW_MS, |_, _| {}),
        Err(CopyError::NotEmpty(_))
    ));
    let (mut outbox, recovered) = open(&scene.original());
    run(&mut outbox, &mut Decider::new(&recovered), 1);
    let live = restore(&scene.original().join(DATABASE_FILE), &scene.restored(), NOW_MS, |_, _| {});
    assert!(matches!(live, Err(CopyError::NotAlone(_))));
    drop(outbox);
    let connection = rusqlite::Connection::open(scene.copy()).unwrap();
    connection
        .execute("UPDATE queue SET body = replace(body, 'queued', 'quened') WHERE seq = 7", [])
        .unwrap();
    drop(connection);
    let damaged = scene.restore().unwrap_err();
    assert!(matches!(damaged, CopyError::NotWhole { .. }), "{damaged}");
    assert!(damaged.to_string().contains("queue entry 7"), "{damaged}");
    fs::write(scene.copy(), "something else, long enough to be looked at as if it were a database").unwrap();
    assert!(matches!(scene.restore(), Err(CopyError::NotWhole { .. })));
    assert_eq!(fs::read_dir(scene.restored()).unwrap().count(), 0, "and nothing of it is left");
}

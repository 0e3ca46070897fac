//! The writer's thread and readers beside it.

use std::thread;

use evenkeel_core::{
    journal::{EntryId, Mode, QueueChange, Queued, Stream},
    units::{ids::ExecutionId, tick::Tick},
};
use uuid::Uuid;

use super::{
    super::*,
    support::{Decider, open, pause, run, try_open},
};
use crate::ports::{history::ReadError, ledger::CommitError};

#[tokio::test]
async fn requests_take_effect_in_the_order_of_the_calls_whoever_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    let first = writer.commit(decider.tick(3));
    drop(writer.commit(decider.tick(3)));
    let third = writer.commit(decider.tick(3));
    let recovered = writer.recover();
    assert_eq!(recovered.await.unwrap().revision, 3);
    assert_eq!(third.await.unwrap().revision, 3);
    assert_eq!(first.await.unwrap().revision, 1);
    let published = writer.published().borrow().clone();
    assert_eq!((published.revision, published.next_tick, published.trouble), (3, Tick(3), None));
    let reader = OutboxReader::open(dir.path()).unwrap();
    assert_eq!(reader.info(Stream::Queue).unwrap().last.unwrap().id, published.last.queue);
}

#[tokio::test]
async fn what_was_decided_before_a_recovery_comes_too_late_even_at_the_right_revision() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut old = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    writer.commit(old.tick(1)).await.unwrap();
    let mut new = Decider::new(&writer.recover().await.unwrap());
    // Both go on from revision 1. Taken in turns, each would be the successor of the other's.
    let (late, [first, second]) = (old.tick(2), [new.tick(3), new.tick(3)]);
    assert_eq!(writer.commit(late).await.unwrap_err(), CommitError::Superseded { revision: 2 });
    assert_eq!(writer.commit(first).await.unwrap().revision, 2);
    assert_eq!(writer.commit(old.tick(2)).await.unwrap_err(), CommitError::Superseded { revision: 3 });
    assert_eq!(writer.commit(second).await.unwrap().revision, 3);
}

#[tokio::test]
async fn trimming_goes_on_until_nothing_is_left_to_remove() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { entries_max: 10, ..Limits::default() };
    let (outbox, recovered) = Outbox::open(
        dir.path(),
        &super::support::identity(),
        Uuid::from_u128(7),
        super::support::NOW_MS,
        limits,
    )
    .unwrap();
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    for _ in 0..60 {
        writer.commit(decider.tick(200)).await.unwrap();
    }
    let trim = Trim { applied: evenkeel_core::journal::Positions::end() };
    let first = writer.trim(trim).await.unwrap();
    assert!(first.more && first.removed.queue == 5_000, "{first:?}");
    writer.trim_all(trim).await.unwrap();
    let reader = OutboxReader::open(dir.path()).unwrap();
    assert_eq!(reader.info(Stream::Queue).unwrap().length, 10);
}

#[tokio::test]
async fn after_a_shutdown_the_directory_is_free_and_callers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    let waiting = writer.commit(decider.tick(1));
    writer.shutdown().await;
    assert_eq!(waiting.await.unwrap().revision, 1);
    assert_eq!(writer.commit(decider.tick(1)).await, Err(CommitError::Stopped));
    assert_eq!(writer.recover().await, Err(ReadError::Stopped));
    assert_eq!(open(dir.path()).1.revision, 1);
}

#[tokio::test]
async fn a_writer_that_panics_leaves_nobody_waiting_and_the_journal_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    writer.commit(decider.tick(2)).await.unwrap();
    writer.panic_for_test();
    let after = writer.commit(decider.tick(2));
    assert_eq!(after.await, Err(CommitError::Stopped));
    assert_eq!(writer.commit(decider.tick(2)).await, Err(CommitError::Stopped));
    let mut published = writer.published();
    published.borrow_and_update();
    assert!(published.changed().await.is_err(), "those who watch see that it has gone");
    writer.shutdown().await;
    assert_eq!(open(dir.path()).1.revision, 1);
}

#[tokio::test]
async fn a_failed_commit_is_published_until_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    let mut bad = decider.set_mode(Mode::Off);
    bad.queue.push(QueueChange::Remove(ExecutionId(Uuid::nil())));
    let error = writer.commit(bad).await.unwrap_err();
    assert_eq!(writer.published().borrow().trouble, Some(error));
    let mut decider = Decider::new(&writer.recover().await.unwrap());
    writer.commit(decider.tick(1)).await.unwrap();
    assert_eq!(writer.published().borrow().trouble, None);
}

#[test]
fn a_reader_beside_a_writer_sees_whole_commits_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 3);
    let reading = dir.path().to_owned();
    let reader = thread::spawn(move || {
        let reader = OutboxReader::open(&reading).unwrap();
        let (mut last, mut seen) = (EntryId::default(), 0u64);
        loop {
            let verified = verify::verify(&reader, None, |_, _| {}).unwrap();
            assert_eq!((verified.report.findings.first(), verified.damage), (&[][..], None));
            for entry in reader.after(Stream::Queue, last, 50).unwrap() {
                seen += 1;
                assert_eq!(entry.seq, seen);
                last = entry.id;
            }
            if reader.head().unwrap().state.next_tick == Tick(300) {
                return seen;
            }
        }
    });
    run(&mut outbox, &mut decider, 297);
    assert!(reader.join().unwrap() > 0);
}

#[test]
fn ranges_are_found_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 30);
    let reader = OutboxReader::open(dir.path()).unwrap();
    let all = reader.after(Stream::Queue, EntryId::default(), usize::MAX).unwrap();
    let last = EntryId { ms: u64::MAX, n: u64::MAX };
    for (at, entry) in all.iter().enumerate() {
        assert_eq!(
            reader.after(Stream::Queue, entry.id, 3).unwrap(),
            all[at + 1..].iter().take(3).cloned().collect::<Vec<_>>()
        );
        assert_eq!(reader.before(Stream::Queue, entry.id, 3).unwrap(), all[at.saturating_sub(3)..at]);
        assert_eq!(reader.range(Stream::Queue, entry.id, last, usize::MAX).unwrap(), all[at..]);
        assert_eq!(
            reader.range(Stream::Queue, EntryId::default(), entry.id, usize::MAX).unwrap(),
            all[..=at]
        );
    }
    assert_eq!(reader.tail(Stream::Queue, 4).unwrap(), all[all.len() - 4..]);
    assert_eq!(reader.tail(Stream::Queue, 0).unwrap(), []);
    assert_eq!(reader.before(Stream::Queue, EntryId::default(), 5).unwrap(), []);
}

#[test]
fn a_directory_without_a_journal_is_told_from_one_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let error = OutboxReader::open(dir.path()).unwrap_err();
    assert!(
        matches!(error, ReadError::Missing { .. }) && error.to_string().contains("--data-dir"),
        "{error}"
    );
    std::fs::write(dir.path().join(DATABASE_FILE), "this is no database, but it is long enough to look at")
        .unwrap();
    assert!(matches!(OutboxReader::open(dir.path()), Err(ReadError::Damaged(_))));
    assert!(matches!(try_open(dir.path()), Err(OpenError::Damaged(_))));
}

#[test]
fn the_log_is_emptied_while_commits_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    for _ in 0..10 {
        run(&mut outbox, &mut decider, 200);
        pause(20);
    }
    let log = std::fs::metadata(dir.path().join("outbox.db-wal")).unwrap().len();
    assert!(log < 20_000_000, "2,000 commits of about 40 kB left a log of {log} bytes");
    let row = outbox.recover().unwrap().queue[0];
    assert!(matches!(row, Queued { .. }));
}

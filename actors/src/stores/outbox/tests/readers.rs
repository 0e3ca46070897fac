//! Readers that stay, and those that read much: none of them holds a commit up.

use std::{fs, ops::RangeInclusive, path::Path, time::Duration};

use evenkeel_core::journal::{EntryId, Stream};
use rusqlite::Connection;

use super::{
    super::{reader::chunks, *},
    support::{Decider, open, pause, run},
};
use crate::ports::ledger::LogState;

/// Somebody with a read transaction that does not end.
fn reader_that_stays(dir: &Path) -> Connection {
    let connection = Connection::open(dir.join(DATABASE_FILE)).unwrap();
    connection.execute_batch("BEGIN; SELECT count(*) FROM state;").unwrap();
    connection
}

fn log_length(dir: &Path) -> u64 {
    fs::metadata(dir.join("outbox.db-wal")).unwrap().len()
}

#[test]
fn a_reader_that_stays_is_told_with_the_logs_size_and_forgotten_when_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 10);
    assert_eq!(outbox.log(), LogState::default());
    let reader = reader_that_stays(dir.path());
    // Each hundred commits wake the checkpoints' thread; it may take its time.
    let mut until = |held: bool| {
        for _ in 0..1_000 {
            run(&mut outbox, &mut decider, 100);
            if outbox.log().held_since.is_some() == held {
                return outbox.log();
            }
            pause(10);
        }
        panic!("held: {held}, and it is not told: {:?}", outbox.log());
    };
    let log = until(true);
    assert!(log.bytes > 1_000_000, "{log:?}");
    drop(reader);
    until(false);
}

#[test]
fn a_log_is_emptied_between_two_commits_and_stays_where_somebody_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 20);
    // The connection that empties it waits for nobody: it would hold the write lock meanwhile, and so the commits.
    let waits_ms: i64 =
        outbox.checkpointer.emptying.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).unwrap();
    assert_eq!(waits_ms, 0);
    let reader = reader_that_stays(dir.path());
    run(&mut outbox, &mut decider, 20);
    outbox.checkpointer.empty();
    assert!(log_length(dir.path()) > 0);
    run(&mut outbox, &mut decider, 20);
    drop(reader);
    outbox.checkpointer.empty();
    assert_eq!(log_length(dir.path()), 0);
    run(&mut outbox, &mut decider, 20);
    assert_eq!(outbox.recover().unwrap().revision, 80);
}

#[test]
fn what_is_read_in_parts_is_read_whole() {
    let none = RangeInclusive::new(1, 0);
    assert_eq!(chunks(none).count(), 0);
    assert_eq!(chunks(7..=7).collect::<Vec<_>>(), [7..=7]);
    assert_eq!(chunks(3..=10_002).collect::<Vec<_>>(), [3..=5_002, 5_003..=10_002]);
    assert_eq!(chunks(3..=10_003).count(), 3);

    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    for commit in [decider.tick(5_200), decider.tick(4)] {
        outbox.commit(vec![commit]).remove(0).unwrap();
    }
    let reader = OutboxReader::open(dir.path()).unwrap();
    let all = reader.after(Stream::Queue, EntryId::default(), usize::MAX).unwrap();
    assert_eq!(all.len(), 5_204);
    assert_eq!(reader.tail(Stream::Queue, usize::MAX).unwrap(), all);
    assert_eq!(reader.tail(Stream::Queue, 5_203).unwrap(), all[1..]);
}

#[test]
fn the_check_of_the_file_ends_in_time_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let commit = decider.tick(20_000);
    outbox.commit(vec![commit]).remove(0).unwrap();
    let reader = OutboxReader::open(dir.path()).unwrap();
    assert_eq!(reader.check_file(Duration::from_mins(10)), Ok(true));
    // With no time at all it ends at its first look at the clock, or was quicker than that.
    reader.check_file(Duration::ZERO).unwrap();
    assert_eq!(
        reader.check_file(Duration::from_mins(10)),
        Ok(true),
        "an interrupt hits only its own statement"
    );
}

//! Two writers on one directory: the first one is refused everything, says that it lived, and that is found.

use std::{fs, path::Path};

use evenkeel_core::{
    invariants::Finding,
    journal::{PerStream, Positions, Start},
    units::tick::Tick,
};
use rusqlite::Connection;

use super::{
    super::*,
    support::{Decider, NOW_MS, identity, journal_id, open, pause, run, try_open},
};
use crate::ports::{history::ReadError, ledger::CommitError, over::Over};

fn findings(dir: &Path) -> Vec<Finding> {
    let verified = verify::verify(&OutboxReader::open(dir).unwrap(), None, |_, _| {}).unwrap();
    assert_eq!(verified.damage, None);
    verified.report.findings.first().to_vec()
}

fn starts(dir: &Path) -> Vec<Start> {
    OutboxReader::open(dir).unwrap().starts().unwrap()
}

fn lock_file(dir: &Path) -> std::path::PathBuf {
    dir.join(LOCK_FILE)
}

#[test]
fn a_writer_whose_lock_file_was_removed_and_who_was_replaced_is_refused_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut first, &mut decider, 15);
    fs::remove_file(lock_file(dir.path())).unwrap();
    let (mut second, recovered) = open(dir.path());
    assert_eq!(recovered.state.next_tick, Tick(15));

    let replaced = Over::Replaced { ours: 1, theirs: 2 };
    let answers = first.commit(vec![decider.tick(1), decider.tick(2)]);
    assert_eq!(answers, vec![Err(CommitError::Over(replaced.clone())); 2]);
    // What stands there now is the other one's: started again here it would run twice.
    assert_eq!(first.recover(), Err(ReadError::Over(replaced.clone())));
    let trim = Trim { applied: Positions::end() };
    assert_eq!(first.trim(&trim), Err(CommitError::Over(replaced.clone())));
    assert_eq!(first.mark_shipped(PerStream::default()), Err(CommitError::Over(replaced.clone())));
    assert_eq!(first.look(), Err(replaced));

    run(&mut second, &mut Decider::new(&recovered), 10);
    assert_eq!(findings(dir.path()), [Finding::TwoWriters { writer_epoch: 1, tick: Tick(14) }]);
    drop(first);
    let recovered = second.recover().unwrap();
    run(&mut second, &mut Decider::new(&recovered), 10);
    drop(second);
    let starts = starts(dir.path());
    assert_eq!(starts[0].ended_at_ms, None, "an end by the fence is no end in order");
    assert_eq!(starts[0].replaced.map(|replaced| replaced.last_tick), Some(Some(Tick(14))));
    assert!(starts[1].ended_at_ms.is_some() && starts[1].replaced.is_none());
    assert_eq!((starts[1].first_tick, starts[1].at_ms), (Tick(15), NOW_MS));
}

#[test]
fn each_write_alone_notices_a_successor() {
    type Write = fn(&mut Outbox) -> Result<(), CommitError>;
    let trim: Write = |outbox| outbox.trim(&Trim { applied: Positions::end() }).map(|_trimmed| ());
    let mark: Write = |outbox| outbox.mark_shipped(PerStream::default());
    let look: Write = |outbox| Ok(outbox.look()?);
    let end: Write = |outbox| {
        outbox.note_end();
        Ok(outbox.unless_over()?)
    };
    for write in [trim, mark, look, end] {
        let dir = tempfile::tempdir().unwrap();
        let (mut first, recovered) = open(dir.path());
        run(&mut first, &mut Decider::new(&recovered), 3);
        fs::remove_file(lock_file(dir.path())).unwrap();
        let (_second, _) = open(dir.path());
        assert!(matches!(write(&mut first), Err(CommitError::Over(_))));
        let last_tick = starts(dir.path())[0].replaced.map(|replaced| replaced.last_tick);
        assert_eq!(last_tick, Some(Some(Tick(2))), "it says that it lived");
    }
}

#[tokio::test]
async fn an_idle_writer_notices_that_it_was_replaced_too() {
    let dir = tempfile::tempdir().unwrap();
    let writer = OutboxWriter::spawn(open(dir.path()).0).unwrap();
    fs::remove_file(lock_file(dir.path())).unwrap();
    let (_second, _) = open(dir.path());
    let mut published = writer.published();
    let over = published.wait_for(|published| matches!(published.trouble, Some(CommitError::Over(_)))).await;
    let text = over.unwrap().trouble.clone().unwrap().to_string();
    assert!(text.contains("another evenkeel") && text.contains("writer 2"), "{text}");
}

#[test]
fn a_lock_file_that_was_removed_is_put_back_and_refuses_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, _) = open(dir.path());
    fs::remove_file(lock_file(dir.path())).unwrap();
    outbox.look().unwrap();
    assert!(!lock_file(dir.path()).exists(), "whoever begins at this moment is left alone");
    outbox.look().unwrap();
    assert!(matches!(try_open(dir.path()), Err(OpenError::Locked { .. })));
    // Another file under the name, and nobody who holds it.
    fs::remove_file(lock_file(dir.path())).unwrap();
    fs::write(lock_file(dir.path()), "").unwrap();
    outbox.look().unwrap();
    outbox.look().unwrap();
    assert!(matches!(try_open(dir.path()), Err(OpenError::Locked { .. })));
}

#[test]
fn a_witness_that_was_removed_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 5);
    let witness = dir.path().join("outbox.witness");
    let before = witness::read(dir.path());
    fs::remove_file(&witness).unwrap();
    outbox.look().unwrap();
    assert_eq!(witness::read(dir.path()), before);
}

#[test]
fn a_database_or_log_that_was_moved_away_ends_the_writer() {
    for file in [DATABASE_FILE, "outbox.db-wal"] {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, recovered) = open(dir.path());
        let mut decider = Decider::new(&recovered);
        run(&mut outbox, &mut decider, 5);
        fs::rename(dir.path().join(file), dir.path().join("away")).unwrap();
        let gone = Over::Gone { file: dir.path().join(file) };
        assert_eq!(outbox.look(), Err(gone.clone()));
        assert_eq!(outbox.commit(vec![decider.tick(1)]), [Err(CommitError::Over(gone))]);
    }
}

#[test]
fn a_start_says_whether_the_one_before_had_ended_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 3);
    drop(outbox);
    let (outbox, _) = open(dir.path());
    let copy = tempfile::tempdir().unwrap();
    super::support::copy_files(dir.path(), copy.path());
    drop(outbox);
    // As after a kill.
    drop(open(copy.path()));
    let after = |dir| starts(dir).into_iter().map(|start| start.after_orderly_end).collect::<Vec<_>>();
    assert_eq!(after(dir.path()), [None, Some(true)]);
    assert_eq!(after(copy.path()), [None, Some(true), Some(false)]);
    assert_eq!(findings(copy.path()), [], "a kill is no second writer");
}

#[test]
fn a_directory_from_before_starts_and_names_were_noted_is_read_and_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 12);
    drop(outbox);
    let connection = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection
        .execute_batch("DROP TABLE starts; DROP TABLE released; DROP TABLE texts; PRAGMA user_version = 1")
        .unwrap();
    drop(connection);
    assert_eq!((starts(dir.path()), findings(dir.path())), (vec![], vec![]));
    drop(open(dir.path()));
    let starts = starts(dir.path());
    assert_eq!((starts.len(), starts[0].writer_epoch, starts[0].after_orderly_end), (1, 2, None));
}

#[test]
fn a_table_that_nobody_knows_is_still_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let connection = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("CREATE TABLE other (x)").unwrap();
    drop(connection);
    assert!(matches!(try_open(dir.path()), Err(OpenError::Damaged(_))));
}

#[test]
fn the_directory_belongs_to_the_first_name_that_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let as_name = |name| {
        Outbox::open_as(&Opening {
            dir: dir.path(),
            identity: &identity(),
            name,
            journal: journal_id(),
            now_ms: NOW_MS,
            limits: Limits::default(),
            purpose: Purpose::Serve,
            clock_was_wrong: false,
        })
        .map(drop)
    };
    as_name(None).unwrap();
    as_name(Some("main")).unwrap();
    let text = as_name(Some("other")).unwrap_err().to_string();
    assert!(text.contains("--name main") && text.contains("`other`"), "{text}");
    as_name(None).unwrap();
    as_name(Some("main")).unwrap();
}

#[test]
fn a_reader_beside_it_and_a_checkpoint_are_no_successor() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    for _ in 0..3 {
        run(&mut outbox, &mut decider, 120);
        drop(OutboxReader::open(dir.path()).unwrap());
        pause(10);
        outbox.look().unwrap();
    }
    assert_eq!(findings(dir.path()), []);
}

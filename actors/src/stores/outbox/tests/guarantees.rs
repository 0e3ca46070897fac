//! What others rely on and no other test would miss: each of these fails when the line that gives it is taken out.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use evenkeel_core::journal::{Positions, Stream};
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    super::*,
    support::{Decider, NOW_MS, identity, journal_id, open, pause, run},
};
use crate::ports::ledger::Published;

#[test]
fn a_commit_is_synced_before_it_counts_and_no_commit_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, _) = open(dir.path());
    for (connection, whose) in [(&outbox.connection, "commits"), (&outbox.checkpointer.emptying, "emptying")]
    {
        let number =
            |pragma: &str| -> i64 { connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap() };
        assert_eq!(number("synchronous"), 2, "{whose}: FULL, an fsync of the log with each commit");
        assert_eq!(number("wal_autocheckpoint"), 0, "{whose}");
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal", "{whose}");
    }
}

#[test]
fn retention_keeps_all_that_the_last_tick_ran() {
    let dir = tempfile::tempdir().unwrap();
    // Of each stream the last entry alone, but for what a start does again.
    let limits = Limits { entries_max: 1, ..Limits::default() };
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity(), journal_id(), NOW_MS, limits).unwrap();
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 30);
    for commit in [decider.tick(7), decider.tick(1)] {
        outbox.commit(vec![commit]).remove(0).unwrap();
    }
    let batch = outbox.recover().unwrap().last_batch;
    assert_eq!(batch.len(), 7);
    outbox.trim(&Trim { applied: Positions::end() }).unwrap();
    let length = |stream| OutboxReader::open(dir.path()).unwrap().info(stream).unwrap().length;
    assert_eq!((length(Stream::Queue), length(Stream::Windows)), (1, 1));
    assert_eq!(length(Stream::Executions), 7);
    drop(outbox);
    assert_eq!(open(dir.path()).1.last_batch, batch, "a start runs it again");
}

/// Notes, on the thread that answers, what is published at that moment.
struct AtTheAnswer {
    published: watch::Receiver<Published>,
    revision: Mutex<Option<u64>>,
}

impl Wake for AtTheAnswer {
    fn wake(self: Arc<Self>) {
        *self.revision.lock().unwrap() = Some(self.published.borrow().revision);
    }
}

#[test]
fn what_a_commit_changes_is_published_before_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let writer = OutboxWriter::spawn(outbox).unwrap();
    // The writer waits for this lock, so that whoever waits for the answer is there before it.
    let other = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut answer = pin!(writer.commit(decider.tick(3)));
    let seen = Arc::new(AtTheAnswer { published: writer.published(), revision: Mutex::new(None) });
    let waker = Waker::from(Arc::clone(&seen));
    assert_eq!(answer.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
    other.execute_batch("ROLLBACK").unwrap();
    while seen.revision.lock().unwrap().is_none() {
        pause(1);
    }
    assert_eq!(*seen.revision.lock().unwrap(), Some(1));
}

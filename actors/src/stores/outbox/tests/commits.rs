//! What a commit is: whole or not at all, in order, found again.

use evenkeel_core::{
    journal::{Entry, EntryId, Mode, Positions, QueueChange, Record, Stream},
    units::{ids::ExecutionId, tick::Tick},
};
use uuid::Uuid;

use super::{
    super::*,
    support::{Decider, NOW_MS, copy_files, identity, journal_id, open, run, try_open},
};
use crate::ports::ledger::{CommitError, Pressure};

#[test]
fn a_new_journal_is_empty_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (outbox, recovered) = open(&dir.path().join("deeper/still"));
    assert_eq!(recovered, evenkeel_core::journal::Recovered::default());
    assert_eq!((outbox.meta().journal, outbox.meta().writer_epoch), (journal_id(), 1));
    assert_eq!(outbox.clock_behind_ms(), 0);
}

#[test]
fn what_was_committed_is_recovered_without_a_clean_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 25);
    let commit = decider.tick(4);
    let (expected_state, executed) = (commit.state.clone(), commit.records.clone());
    outbox.commit(vec![commit]).remove(0).unwrap();
    let live = outbox.recover().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_files(dir.path(), copy.path());

    let (again, recovered) = open(copy.path());
    assert_eq!(recovered, live);
    assert_eq!(recovered.revision, 26);
    assert_eq!(recovered.state, expected_state);
    assert_eq!(recovered.queue.len(), 4);
    let executed = executed.into_iter().filter_map(|record| match record {
        Record::Executed(executed) => Some(executed),
        _ => None,
    });
    assert_eq!(recovered.last_batch, executed.collect::<Vec<_>>());
    assert!(!recovered.last_batch.is_empty());
    assert_eq!((again.meta().journal, again.meta().writer_epoch), (journal_id(), 2));
}

#[test]
fn ids_are_fixed_in_the_commit_and_read_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let commits = (0..30).map(|_| decider.tick(3)).collect();
    let mut entries: Vec<Entry> =
        outbox.commit(commits).into_iter().flat_map(|committed| committed.unwrap().entries).collect();
    let reader = OutboxReader::open(dir.path()).unwrap();
    for stream in Stream::ALL {
        let written: Vec<_> = entries.extract_if(.., |entry| entry.record.stream() == stream).collect();
        assert_eq!(reader.after(stream, EntryId::default(), usize::MAX).unwrap(), written);
    }
}

#[test]
fn a_commit_that_is_no_successor_is_refused_and_the_others_stand() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let (first, second) = (decider.tick(2), decider.tick(2));
    let answers = outbox.commit(vec![first.clone(), first.clone(), second]);
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert_eq!(answers[1], Err(CommitError::OutOfOrder { at: 1, got: 1 }));
    assert_eq!(outbox.recover().unwrap().revision, 2);
}

#[test]
fn an_illegal_change_leaves_nothing_of_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let first = decider.tick(2);
    let mut bad = decider.tick(2);
    let stranger = ExecutionId(Uuid::from_u128(99));
    bad.queue.push(QueueChange::Remove(stranger));
    let after = decider.tick(2);
    let answers = outbox.commit(vec![first, bad, after]);
    assert!(answers[0].is_ok());
    assert!(matches!(&answers[1], Err(CommitError::Illegal { execution, .. }) if *execution == stranger));
    assert_eq!(answers[2], Err(CommitError::OutOfOrder { at: 1, got: 3 }));
    let recovered = outbox.recover().unwrap();
    assert_eq!((recovered.revision, recovered.state.next_tick, recovered.queue.len()), (1, Tick(1), 2));

    // And it goes on from what is durable, without a gap.
    run(&mut outbox, &mut Decider::new(&recovered), 5);
    let entries = OutboxReader::open(dir.path()).unwrap().tail(Stream::Queue, 100).unwrap();
    assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq));
}

#[test]
fn a_row_may_change_its_due_tick_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 1);
    let row = outbox.recover().unwrap().queue[0];
    let delayed = decider.queue.delay(row.execution, 5, NOW_MS).unwrap();
    outbox.commit(vec![delayed]).remove(0).unwrap();
    assert_eq!(outbox.recover().unwrap().queue[0].due_tick, row.due_tick.after(5));

    let mut other = decider.set_mode(Mode::Off);
    other.queue = vec![QueueChange::Put(evenkeel_core::journal::Queued { queued_tick: Tick(9), ..row })];
    assert!(matches!(outbox.commit(vec![other]).remove(0), Err(CommitError::Illegal { .. })));
}

#[test]
fn a_commit_between_ticks_does_not_hide_what_the_last_tick_ran() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 2);
    let batch = outbox.recover().unwrap().last_batch;
    assert_eq!(batch.len(), 1);
    outbox.commit(vec![decider.set_mode(Mode::Shadow)]).remove(0).unwrap();
    let recovered = outbox.recover().unwrap();
    assert_eq!((recovered.last_batch, recovered.state.mode), (batch, Mode::Shadow));
}

#[test]
fn another_identity_is_refused_by_both_names() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let other = Identity {
        label: "scenario busy, seed 2".to_owned(),
        text: "{\"seed\":2}".to_owned(),
        ..Identity::default()
    };
    let error = Outbox::open(dir.path(), &other, journal_id(), NOW_MS, Limits::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("scenario test, seed 1") && text.contains("scenario busy, seed 2"), "{text}");
    let same_label = Identity { text: "{\"seed\":1,\"rate\":2}".to_owned(), ..identity() };
    let error = Outbox::open(dir.path(), &same_label, journal_id(), NOW_MS, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("\"rate\":2"), "{error}");
}

#[test]
fn a_second_writer_is_refused_until_the_first_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = open(dir.path());
    let error = try_open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    let text = error.to_string();
    let process = format!("process {}", std::process::id());
    assert!(text.contains(&process) && text.contains(&dir.path().display().to_string()), "{text}");
    drop(first);
    open(dir.path());
}

#[test]
fn a_clock_behind_the_journal_is_told_and_a_day_behind_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 3);
    drop(outbox);
    let at = |now_ms| Outbox::open(dir.path(), &identity(), journal_id(), now_ms, Limits::default());
    assert!(matches!(at(NOW_MS - 25 * 3_600_000), Err(OpenError::Clock(_))));
    let (mut outbox, _) = at(NOW_MS - 4_800).unwrap();
    assert_eq!(outbox.clock_behind_ms(), 5_000);
    let mut commit = decider.tick(3);
    commit.at_ms = NOW_MS - 4_800;
    outbox.commit(vec![commit]).remove(0).unwrap();
    let entries = OutboxReader::open(dir.path()).unwrap().tail(Stream::Queue, 100).unwrap();
    assert!(entries.is_sorted_by(|a, b| a.id < b.id));
}

#[test]
fn a_clock_that_once_ran_ahead_is_left_behind_when_somebody_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 3);
    let ahead_ms = 72 * 3_600_000;
    let mut commit = decider.tick(2);
    commit.at_ms += ahead_ms;
    outbox.commit(vec![commit]).remove(0).unwrap();
    drop(outbox);
    let at = |now_ms, clock_was_wrong| {
        Outbox::open_as(&Opening {
            dir: dir.path(),
            identity: &identity(),
            name: None,
            journal: journal_id(),
            now_ms,
            limits: Limits::default(),
            clock_was_wrong,
            purpose: Purpose::Serve,
        })
    };
    let text = at(NOW_MS, false).unwrap_err().to_string();
    assert!(text.contains("72 h behind") && text.contains("--clock-was-wrong"), "{text}");
    let (mut outbox, _) = at(NOW_MS, true).unwrap();
    assert!(outbox.clock_behind_ms() > ahead_ms - 1_000);
    run(&mut outbox, &mut decider, 5);
    drop(outbox);
    // It has been noted: no restart asks again until the clock is wrong anew.
    let (mut outbox, _) = at(NOW_MS + 60_000, false).unwrap();
    let mut commit = decider.tick(2);
    commit.at_ms = NOW_MS + 2 * ahead_ms;
    outbox.commit(vec![commit]).remove(0).unwrap();
    drop(outbox);
    assert!(matches!(at(NOW_MS + 60_000, false), Err(OpenError::Clock(_))));
    let (outbox, _) = at(NOW_MS + 4 * ahead_ms, false).unwrap();
    assert_eq!(outbox.clock_ahead_ms(), 2 * ahead_ms);
    let entries = OutboxReader::open(dir.path()).unwrap().tail(Stream::Queue, 100).unwrap();
    assert!(entries.is_sorted_by(|a, b| a.id < b.id) && entries.len() > 10);
}

#[test]
fn streams_that_end_ahead_of_the_clock_are_continued_only_when_somebody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let last = EntryId { ms: NOW_MS + 72 * 3_600_000, n: 4 };
    let end = Continuation {
        last: evenkeel_core::journal::PerStream::from_fn(|_| (last, 9)),
        tick: Tick(77),
        now_ms: NOW_MS,
    };
    let opened = |clock_was_wrong| {
        let opening = Opening {
            dir: dir.path(),
            identity: &identity(),
            name: None,
            journal: journal_id(),
            now_ms: NOW_MS,
            limits: Limits::shipping(),
            clock_was_wrong,
            purpose: Purpose::Serve,
        };
        Outbox::open_as(&opening).unwrap().0
    };
    let error = opened(false).continue_after(&end).unwrap_err();
    assert!(
        matches!(error, ContinueError::Clock(_)) && error.to_string().contains("--clock-was-wrong"),
        "{error}"
    );
    assert_eq!(opened(true).continue_after(&end).unwrap(), Tick(80));
    // And the server that follows starts without a word.
    let (mut outbox, recovered) = open(dir.path());
    assert!(outbox.commit(vec![Decider::new(&recovered).tick(2)]).remove(0).is_ok());
}

#[test]
fn age_is_counted_in_ticks_whatever_the_clock_says() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    let mut commit = |outbox: &mut Outbox, ahead_ms: u64| {
        let mut commit = decider.tick(2);
        commit.at_ms += ahead_ms;
        outbox.commit(vec![commit]).remove(0).unwrap();
    };
    (0..30).for_each(|_| commit(&mut outbox, 0));
    // Three days ahead for a while, then right again.
    (0..30).for_each(|_| commit(&mut outbox, 72 * 3_600_000));
    (0..30).for_each(|_| commit(&mut outbox, 0));
    let all = Trim { applied: Positions::end() };
    assert_eq!(outbox.trim(&all).unwrap(), Trimmed::default(), "nothing is a day old");
    let reader = OutboxReader::open(dir.path()).unwrap();
    let first_tick = |stream| reader.after(stream, EntryId::default(), 1).unwrap()[0].record.tick();
    for age_ticks in [75, 40, 20] {
        outbox.limits.age_max = std::time::Duration::from_millis(age_ticks * 100);
        outbox.trim(&all).unwrap();
        assert_eq!(first_tick(Stream::Executions), Tick(90 - age_ticks));
        assert_eq!(first_tick(Stream::Queue), Tick(90 - age_ticks));
        assert!(first_tick(Stream::Windows) >= Tick(90 - age_ticks));
    }
    outbox.limits.tick_ms = 200;
    outbox.trim(&all).unwrap();
    assert_eq!(first_tick(Stream::Queue), Tick(80), "a slower daemon's ticks grow old sooner");
}

#[test]
fn a_tick_begins_after_a_place_in_each_stream() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 30);
    let reader = OutboxReader::open(dir.path()).unwrap();
    for stream in Stream::ALL {
        for tick in (0..33).map(Tick) {
            let after = reader.after(stream, reader.before_tick(stream, tick).unwrap(), 100).unwrap();
            let all = reader.after(stream, EntryId::default(), 100).unwrap();
            let expected: Vec<_> = all.into_iter().filter(|entry| entry.record.tick() >= tick).collect();
            assert_eq!(after, expected, "{stream} {tick}");
        }
    }
}

#[test]
fn retention_keeps_what_the_snapshot_lacks_and_what_the_last_tick_ran() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { entries_max: 10, ..Limits::default() };
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity(), journal_id(), NOW_MS, limits).unwrap();
    let mut decider = Decider::new(&recovered);
    run(&mut outbox, &mut decider, 50);
    let reader = OutboxReader::open(dir.path()).unwrap();
    let length = |stream| reader.info(stream).unwrap().length;

    let nothing_applied = Trim { applied: Positions::default() };
    assert_eq!(outbox.trim(&nothing_applied).unwrap(), Trimmed::default());

    let mut applied = Positions::default();
    let fifth = reader.after(Stream::Executions, EntryId::default(), 5).unwrap()[4].id;
    applied.advance(Stream::Executions, fifth);
    for stream in [Stream::Queue, Stream::Windows] {
        applied.advance(stream, reader.info(stream).unwrap().last.unwrap().id);
    }
    let trimmed = outbox.trim(&Trim { applied }).unwrap();
    assert_eq!(trimmed.removed.executions, 5);
    assert_eq!((length(Stream::Queue), length(Stream::Windows)), (10, 4));

    applied.advance(Stream::Executions, EntryId { ms: u64::MAX, n: 0 });
    let batch = outbox.recover().unwrap().last_batch;
    outbox.limits.age_max = std::time::Duration::ZERO;
    outbox.trim(&Trim { applied }).unwrap();
    assert_eq!(outbox.recover().unwrap().last_batch, batch);
    assert_eq!(length(Stream::Executions), batch.len() as u64);
    assert_eq!((length(Stream::Queue), length(Stream::Windows)), (1, 1));
    drop(outbox);
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 10);
}

#[test]
fn shipping_goes_on_from_its_mark_and_holds_retention_back() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { entries_max: 1, ships: true, ..Limits::default() };
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity(), journal_id(), NOW_MS, limits).unwrap();
    run(&mut outbox, &mut Decider::new(&recovered), 20);
    let reader = OutboxReader::open(dir.path()).unwrap();
    let first = reader.after(Stream::Queue, EntryId::default(), 7).unwrap();
    assert_eq!(first.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let mark = |queue| evenkeel_core::journal::PerStream { queue: Some(queue), ..Default::default() };
    outbox.mark_shipped(mark(first[6].id)).unwrap();
    assert_eq!(outbox.kept.shipped.queue.seq, 7);
    let foreign = EntryId { ms: first[6].id.ms, n: 900 };
    assert!(matches!(outbox.mark_shipped(mark(foreign)), Err(CommitError::UnknownPosition { .. })));

    let mut applied = Positions::default();
    for stream in Stream::ALL {
        applied.advance(stream, EntryId { ms: u64::MAX, n: 0 });
    }
    assert_eq!(outbox.trim(&Trim { applied }).unwrap().removed.queue, 7);
    outbox.mark_shipped(mark(first[0].id)).unwrap();
    assert_eq!(
        (outbox.kept.shipped.queue.seq, outbox.kept.first_seq.queue),
        (7, 8),
        "no further back than what is kept"
    );
}

#[test]
fn what_has_been_shipped_is_kept_up_to_a_number_of_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { shipped_bytes_max: 6_000, ..Limits::shipping() };
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity(), journal_id(), NOW_MS, limits).unwrap();
    run(&mut outbox, &mut Decider::new(&recovered), 60);
    let reader = OutboxReader::open(dir.path()).unwrap();
    let info = |stream| reader.info(stream).unwrap();
    let before = info(Stream::Queue);
    assert!(before.bytes > Some(6_000));
    let all = Trim { applied: Positions::end() };
    assert_eq!(outbox.trim(&all).unwrap(), Trimmed::default(), "nothing has been shipped");
    let last = evenkeel_core::journal::PerStream::from_fn(|stream| info(stream).last.map(|last| last.id));
    outbox.mark_shipped(last).unwrap();
    outbox.trim(&all).unwrap();
    for stream in [Stream::Queue, Stream::Executions] {
        let kept = info(stream);
        // A third of it each, and not an entry less.
        assert!((1_601..=2_000).contains(&kept.bytes.unwrap()), "{stream}: {kept:?}");
    }
    assert_eq!(info(Stream::Queue).last, before.last);
}

#[test]
fn at_the_limit_arrivals_are_to_be_refused_and_past_the_reserve_everything_is() {
    let dir = tempfile::tempdir().unwrap();
    let limits =
        Limits { ships: true, unshipped_bytes_max: 4_000, reserve_bytes: 4_000, ..Limits::default() };
    let (mut outbox, recovered) =
        Outbox::open(dir.path(), &identity(), journal_id(), NOW_MS, limits).unwrap();
    let mut decider = Decider::new(&recovered);
    let mut seen = vec![outbox.pressure()];
    let refused = loop {
        let answer = outbox.commit(vec![decider.tick(1)]).remove(0);
        seen.push(outbox.pressure());
        if let Err(error) = answer {
            break error;
        }
    };
    seen.dedup();
    assert_eq!(seen, [Pressure::None, Pressure::RefuseArrivals, Pressure::Full]);
    assert!(matches!(refused, CommitError::Full(_)), "{refused}");
    let info =
        |stream| OutboxReader::open(dir.path()).unwrap().info(stream).unwrap().last.map(|last| last.id);
    outbox.mark_shipped(evenkeel_core::journal::PerStream::from_fn(info)).unwrap();
    assert_eq!(outbox.pressure(), Pressure::None);
    let recovered = outbox.recover().unwrap();
    run(&mut outbox, &mut Decider::new(&recovered), 1);
}

//! Damage is detected or harmless: never read as if it were whole, never a panic.

use std::{
    fs, mem,
    path::{Path, PathBuf},
};

use evenkeel_core::journal::{Entry, EntryId, PerStream, Recovered, Stream};

use super::{
    super::*,
    support::{Decider, copy_files, open, run, try_open},
};
use crate::ports::history::ReadError;

/// Everything that can be read of a journal.
#[derive(Clone, Debug, PartialEq)]
struct Everything {
    recovered: Recovered,
    entries: PerStream<Vec<Entry>>,
}

/// A small journal after a kill, in a directory that is copied for each case: some of it in the
/// database, some in the log.
struct Specimen {
    dir: tempfile::TempDir,
    whole: Everything,
}

fn specimen() -> Specimen {
    let working = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(working.path());
    run(&mut outbox, &mut Decider::new(&recovered), 40);
    drop(outbox);
    let (mut outbox, recovered) = open(working.path());
    run(&mut outbox, &mut Decider::new(&recovered), 15);
    let dir = tempfile::tempdir().unwrap();
    copy_files(working.path(), dir.path());
    // No end of its own: what a close would tidy up stays as it was.
    mem::forget(outbox);
    let whole = read(dir.path()).unwrap();
    // A reader leaves the log as it is.
    assert!(fs::metadata(dir.path().join("outbox.db-wal")).unwrap().len() > 100_000);
    Specimen { dir, whole }
}

fn read(dir: &Path) -> Result<Everything, ReadError> {
    let reader = OutboxReader::open(dir)?;
    let moment = reader.moment()?;
    let entries = PerStream::try_from_fn(|stream| reader.after(stream, EntryId::default(), usize::MAX))?;
    let recovered = Recovered {
        recovery: 0,
        revision: moment.head.revision,
        state: moment.head.state,
        queue: moment.queue,
        released: moment.released,
        last_batch: Vec::new(),
    };
    Ok(Everything { recovered, entries })
}

/// Damages a copy and sees what a reader, a verification and a writer make of it. Whether it was noticed.
fn try_damage(specimen: &Specimen, damage: impl FnOnce(&Path), case: &str) -> bool {
    let copy = tempfile::tempdir().unwrap();
    copy_files(specimen.dir.path(), copy.path());
    let _ = fs::remove_file(copy.path().join("outbox.db-shm"));
    damage(copy.path());
    let mut noticed = false;
    match read(copy.path()) {
        Ok(everything) => assert_eq!(everything, specimen.whole, "{case}: read differently"),
        Err(error) => {
            noticed = true;
            assert!(!error.to_string().is_empty());
        }
    }
    if let Ok(reader) = OutboxReader::open(copy.path())
        && let Ok(verified) = verify::verify(&reader, None, |_, _| {})
    {
        assert_eq!(verified.report.findings.first(), [], "{case}: blamed on the server");
        assert!(noticed == verified.damage.is_some() || !noticed, "{case}: not verified");
    }
    match try_open(copy.path()) {
        Ok((mut outbox, recovered)) => {
            assert_eq!(recovered.state, specimen.whole.recovered.state, "{case}: recovered differently");
            assert_eq!(recovered.queue, specimen.whole.recovered.queue, "{case}: recovered differently");
            let commit = Decider::new(&recovered).tick(2);
            if outbox.commit(vec![commit]).remove(0).is_err() {
                noticed = true;
            }
        }
        Err(_) => noticed = true,
    }
    noticed
}

fn flip(path: &Path, bit: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

fn flips(file: &str, count: u64) {
    let specimen = specimen();
    let bits = fs::metadata(specimen.dir.path().join(file)).unwrap().len() * 8;
    // A step without a common factor with pages and bytes goes everywhere; the header is taken whole.
    let step = (bits / count).max(1) | 1;
    let everywhere = (0..count).map(|n| n * step).filter(|bit| *bit < bits);
    let mut noticed = 0;
    for bit in (0..800.min(bits)).step_by(5).chain(everywhere) {
        let case = format!("{file}, bit {bit}");
        noticed += u64::from(try_damage(&specimen, |dir| flip(&dir.join(file), bit), &case));
    }
    assert!(noticed > 0, "no flip in {file} was noticed: the test tests nothing");
}

#[test]
fn flipped_bits_of_the_database_are_noticed_or_harmless() {
    flips(DATABASE_FILE, 400);
}

#[test]
fn flipped_bits_of_the_log_are_noticed_or_harmless() {
    flips("outbox.db-wal", 400);
}

#[test]
fn the_witness_takes_turns_between_its_slots_whatever_a_group_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    let mut decider = Decider::new(&recovered);
    for _ in 0..3 {
        outbox
            .commit(vec![decider.tick(1), decider.tick(1)])
            .into_iter()
            .for_each(|answer| drop(answer.unwrap()));
    }
    let bytes = fs::read(dir.path().join("outbox.witness")).unwrap();
    let revisions = [16, 44].map(|at| bytes[at]);
    assert_eq!(revisions, [4, 6], "a torn write would leave no slot that is whole");
}

#[test]
fn flipped_bits_of_the_witness_accuse_nobody_of_what_is_whole() {
    let specimen = specimen();
    for bit in 0..fs::metadata(specimen.dir.path().join("outbox.witness")).unwrap().len() * 8 {
        let noticed = try_damage(
            &specimen,
            |dir| flip(&dir.join("outbox.witness"), bit),
            &format!("witness, bit {bit}"),
        );
        assert!(!noticed, "bit {bit}");
    }
}

fn cut(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn truncated_files_are_noticed() {
    let specimen = specimen();
    let cuts = |file: &str| {
        let length = fs::metadata(specimen.dir.path().join(file)).unwrap().len();
        // Also amid a page and amid a frame.
        let lengths = (0..40).map(|part| length * part / 40 + part % 3);
        let noticed = |length: &u64| {
            let case = format!("{file} cut to {length}");
            try_damage(&specimen, |dir| cut(&dir.join(file), *length), &case)
        };
        lengths.filter(noticed).count()
    };
    assert_eq!(cuts("outbox.db-wal"), 40);
    // Pages that the log holds, too, are no loss.
    assert!(cuts(DATABASE_FILE) > 20);
}

#[test]
fn missing_files_are_noticed() {
    let specimen = specimen();
    for file in [DATABASE_FILE, "outbox.db-wal"] {
        assert!(
            try_damage(&specimen, |dir| fs::remove_file(dir.join(file)).unwrap(), file),
            "{file} is missing"
        );
    }
}

#[test]
fn damage_is_named_by_file_and_record() {
    let specimen = specimen();
    let copy = tempfile::tempdir().unwrap();
    copy_files(specimen.dir.path(), copy.path());
    drop(open(copy.path()));
    let database: PathBuf = copy.path().join(DATABASE_FILE);
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute("UPDATE queue SET body = replace(body, 'queued', 'quened') WHERE seq = 7", [])
        .unwrap();
    drop(connection);
    let reader = OutboxReader::open(copy.path()).unwrap();
    let text = reader.after(Stream::Queue, EntryId::default(), 100).unwrap_err().to_string();
    assert!(
        text.contains("queue entry 7") && text.contains("outbox.db") && text.contains("restore"),
        "{text}"
    );
    let verified = verify::verify(&reader, None, |_, _| {}).unwrap();
    assert!(verified.damage.unwrap().record.contains("queue entry 7"));
    assert!(verified.report.entries.queue > 0, "what lies before it is checked");
}

#[test]
fn rows_that_are_gone_or_come_back_are_noticed() {
    for (statement, record) in [
        ("DELETE FROM queue WHERE seq = 7", "queue entry 7"),
        ("DELETE FROM windows WHERE seq = (SELECT max(seq) FROM windows)", "windows entry"),
        ("DELETE FROM executions WHERE seq = 1", "executions entry 1"),
        ("DELETE FROM waiting WHERE execution = (SELECT max(execution) FROM waiting)", "the queue's rows"),
        ("DELETE FROM state WHERE name = 'kept'", "`kept`"),
        ("UPDATE state SET body = replace(body, 'enforce', 'off') WHERE name = 'head'", "`head`"),
        ("UPDATE waiting SET crc = crc + 1", "the queue's row of"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (mut outbox, recovered) = open(dir.path());
        run(&mut outbox, &mut Decider::new(&recovered), 25);
        drop(outbox);
        let connection = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
        assert!(connection.execute(statement, []).unwrap() > 0, "{statement}");
        drop(connection);
        let reader = OutboxReader::open(dir.path());
        let damage = match reader.and_then(|reader| verify::verify(&reader, None, |_, _| {})) {
            Ok(verified) => verified.damage.unwrap_or_else(|| panic!("{statement} was not noticed")),
            Err(ReadError::Damaged(damage)) => damage,
            Err(error) => panic!("{statement}: {error}"),
        };
        assert!(damage.record.contains(record), "{statement}: {damage}");
    }
}

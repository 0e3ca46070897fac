//! Texts of queries: once each, found again, copied, and added to directories from before.

use evenkeel_core::{
    journal::{Commit, QueryText, TEXT_BYTES_MAX},
    units::ids::QueryId,
};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::{
    super::*,
    support::{Decider, NOW_MS, open, run},
};
use crate::ports::history::{History, ReadError};

fn text(n: u128, said: &str) -> QueryText {
    let query = QueryId(Uuid::from_u128(n));
    QueryText { query, text: said.to_owned(), database: "shop".to_owned(), kind: "select".to_owned() }
}

/// A journal of a tick with these texts.
fn written(dir: &TempDir, texts: Vec<QueryText>) -> Outbox {
    let (mut outbox, recovered) = open(dir.path());
    let commit = Commit { texts, ..Decider::new(&recovered).tick(1) };
    outbox.commit(vec![commit]).remove(0).unwrap();
    outbox
}

#[test]
fn the_first_text_of_a_query_stays_and_is_found_again() {
    let dir = TempDir::new().unwrap();
    let long = text(2, &"x".repeat(TEXT_BYTES_MAX + 1));
    let mut outbox = written(&dir, vec![text(1, "select $1"), long.clone(), text(1, "select $2")]);
    let recovered = outbox.recover().unwrap();
    let again =
        Commit { texts: vec![text(1, "select $3"), text(3, "begin")], ..Decider::new(&recovered).tick(0) };
    outbox.commit(vec![again]).remove(0).unwrap();
    let mut reader = OutboxReader::open(dir.path()).unwrap();
    let expected = [text(1, "select $1"), long.kept(), text(3, "begin")];
    assert_eq!(reader.texts().unwrap(), expected);
    let history: &mut dyn History = &mut reader;
    assert_eq!(history.text(QueryId(Uuid::from_u128(3))).unwrap(), Some(text(3, "begin")));
    assert_eq!(history.text(QueryId(Uuid::from_u128(4))).unwrap(), None);
    let [.., (last, _)] = &reader.texts_after(0, 2).unwrap()[..] else { panic!("two of them") };
    let rest: Vec<_> = reader.texts_after(*last, 9).unwrap().into_iter().map(|(_, text)| text).collect();
    assert_eq!(rest, [text(3, "begin")]);
}

#[test]
fn a_commit_that_is_refused_leaves_no_text() {
    let dir = TempDir::new().unwrap();
    let mut outbox = written(&dir, vec![text(1, "select $1")]);
    let recovered = outbox.recover().unwrap();
    let late = Commit { texts: vec![text(2, "begin")], revision: 9, ..Decider::new(&recovered).tick(1) };
    outbox.commit(vec![late]).remove(0).unwrap_err();
    assert_eq!(OutboxReader::open(dir.path()).unwrap().texts().unwrap(), [text(1, "select $1")]);
}

#[test]
fn a_text_that_is_changed_or_gone_is_damage_and_a_copy_has_them_all() {
    let dir = TempDir::new().unwrap();
    drop(written(&dir, vec![text(1, "select $1"), text(2, "begin")]));
    let copy = TempDir::new().unwrap();
    back_up(dir.path(), &copy.path().join(DATABASE_FILE), NOW_MS, |_, _| {}).unwrap();
    let copied = OutboxReader::open(copy.path()).unwrap().texts().unwrap();
    assert_eq!(copied, [text(1, "select $1"), text(2, "begin")]);
    for spoil in ["UPDATE texts SET body = replace(body, 'begin', 'end')", "DELETE FROM texts WHERE n = 2"] {
        let connection = Connection::open(copy.path().join(DATABASE_FILE)).unwrap();
        connection.execute(spoil, []).unwrap();
        let mut reader = OutboxReader::open(copy.path()).unwrap();
        assert!(matches!(reader.texts(), Err(ReadError::Damaged(_))), "{spoil}");
        assert!(!reader.verify(None, &mut |_, _| ()).unwrap().holds(), "{spoil}");
    }
}

#[test]
fn a_directory_of_format_2_from_before_is_read_opened_and_goes_on() {
    let dir = TempDir::new().unwrap();
    let (mut outbox, recovered) = open(dir.path());
    run(&mut outbox, &mut Decider::new(&recovered), 12);
    drop(outbox);
    let connection = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("DROP TABLE texts").unwrap();
    drop(connection);
    let mut reader = OutboxReader::open(dir.path()).unwrap();
    assert_eq!((reader.texts().unwrap(), reader.texts_after(0, 9).unwrap()), (Vec::new(), Vec::new()));
    assert_eq!(History::text(&mut reader, QueryId(Uuid::nil())).unwrap(), None);
    assert!(reader.verify(None, &mut |_, _| ()).unwrap().holds());
    drop(reader);
    drop(written(&dir, vec![text(1, "select $1")]));
    let mut reader = OutboxReader::open(dir.path()).unwrap();
    assert_eq!(reader.texts().unwrap(), [text(1, "select $1")]);
    assert!(reader.verify(None, &mut |_, _| ()).unwrap().holds());
}

//! How statements end.

use super::*;

#[test]
fn one_that_is_answered_is_ok_once_the_server_is_ready() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("insert"), sync()].concat());
    lab.now_us = 5;
    lab.complete("INSERT 0 3");
    assert_eq!(lab.outcomes(), [""; 0], "its commit comes with the Sync");
    lab.now_us = 9;
    lab.ready(b'I');
    let finished = lab.out.events.iter().find_map(|event| match event {
        Event::Finished(finished) => Some(finished.clone()),
        _ => None,
    });
    let finished = finished.expect("it has ended");
    assert_eq!((finished.rows, finished.duration_us), (Some(3), 5));
}

#[test]
fn a_commit_that_fails_at_the_sync_fails_the_statement() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("insert"), sync()].concat());
    lab.complete("INSERT 0 1");
    lab.error("23503", "ERROR");
    lab.ready(b'I');
    assert_eq!(
        lab.finished(),
        [("failed", Some("23503".to_owned()), Some("rolled back by an error after it"))]
    );
}

#[test]
fn an_error_skips_what_follows_up_to_the_sync() {
    let mut lab = Lab::open(Recording::Async);
    lab.enforce = false;
    lab.client(&[run("insert"), run("insert"), run("insert"), sync(), run("insert"), sync()].concat());
    lab.complete("INSERT 0 1");
    lab.server(&message(b'1', b""));
    lab.error("23505", "ERROR");
    lab.ready(b'I');
    lab.complete("INSERT 0 1");
    lab.ready(b'I');
    let told: Vec<_> = lab.finished().into_iter().map(|(outcome, _, note)| (outcome, note)).collect();
    assert_eq!(
        told,
        [
            ("failed", Some("rolled back by an error after it")),
            ("failed", Some("not reached")),
            ("failed", Some("not reached")),
            ("ok", None)
        ]
    );
}

#[test]
fn a_procedure_may_have_committed_what_ran_before_it() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("insert"), run("call"), run("insert"), sync()].concat());
    lab.complete("INSERT 0 1");
    lab.complete("CALL");
    lab.error("22012", "ERROR");
    lab.ready(b'I');
    assert_eq!(lab.outcomes(), ["unknown", "unknown", "failed"]);

    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("call"), run("rollback"), sync()].concat());
    lab.complete("CALL");
    lab.complete("ROLLBACK");
    assert_eq!(lab.outcomes(), ["unknown", "ok"]);

    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("call"), run("begin"), sync()].concat());
    lab.complete("CALL");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("insert");
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.outcomes(), ["ok", "unknown", "failed"]);
}

#[test]
fn statements_of_one_text_are_told_one_by_one() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("insert; insert; select");
    lab.complete("INSERT 0 1");
    lab.error("23505", "ERROR");
    lab.ready(b'I');
    let told: Vec<_> = lab.finished().into_iter().map(|(outcome, _, note)| (outcome, note)).collect();
    assert_eq!(
        told,
        [
            ("failed", Some("rolled back by an error after it")),
            ("failed", None),
            ("failed", Some("not reached"))
        ]
    );
}

#[test]
fn inside_a_transaction_each_is_told_when_it_is_answered_and_a_commit_that_rolls_back_has_failed() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("insert");
    lab.complete("INSERT 0 1");
    assert_eq!(lab.outcomes(), ["ok", "ok"]);
    lab.ready(b'T');
    lab.query("select");
    lab.error("22012", "ERROR");
    lab.ready(b'E');
    lab.query("commit");
    lab.complete("ROLLBACK");
    lab.ready(b'I');
    let told = lab.finished();
    assert_eq!(told[0], ("failed", Some("22012".to_owned()), None));
    assert_eq!(told[1], ("failed", None, Some("ended by ROLLBACK")));
}

#[test]
fn a_portal_that_is_read_in_pieces_is_one_run() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.client(&[parse("", "select"), bind("p", ""), execute("p", 10), sync()].concat());
    lab.prepared();
    lab.server(&message(b's', b""));
    lab.ready(b'T');
    lab.client(&[execute("p", 10), sync()].concat());
    lab.complete("SELECT 3");
    lab.ready(b'T');
    assert_eq!(lab.intents().len(), 2, "BEGIN and the SELECT");
    assert_eq!(lab.outcomes(), ["ok", "ok"]);
    lab.client(&[bind("p", ""), execute("p", 10), sync()].concat());
    lab.prepared();
    lab.server(&message(b's', b""));
    lab.ready(b'T');
    lab.query("commit");
    lab.complete("COMMIT");
    lab.ready(b'I');
    let told: Vec<_> = lab.finished().into_iter().map(|(outcome, _, note)| (outcome, note)).collect();
    assert_eq!(told, [("ok", None), ("ok", Some("not read to its end"))]);
}

#[test]
fn pieces_that_are_asked_for_at_once_are_one_run_too() {
    for first in [message(b's', b""), message(b'C', b"SELECT 2\0")] {
        let mut lab = Lab::open(Recording::Async);
        let piece = execute("p", 2);
        lab.client(&[parse("", "select"), bind("p", ""), piece.clone(), piece, sync()].concat());
        assert_eq!(lab.intents().len(), 1);
        lab.prepared();
        lab.server(&first);
        lab.complete("SELECT 1");
        lab.ready(b'I');
        assert_eq!(lab.outcomes(), ["ok"]);
    }
}

#[test]
fn p16_what_was_under_way_when_the_connection_was_lost_is_unknown() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("insert");
    lab.error("57P01", "FATAL");
    assert_eq!(lab.outcomes(), ["unknown"]);

    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("insert");
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.outcomes(), ["ok", "failed"], "a transaction without COMMIT is none");

    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("commit");
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.outcomes(), ["ok", "unknown"]);
}

#[test]
fn what_was_not_sent_when_the_client_went_has_not_run() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("insert");
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.finished(), [("failed", None, Some("not sent"))]);
}

#[test]
fn p7_a_sync_that_copy_swallows_has_no_answer() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("copy"), sync()].concat());
    lab.prepared();
    lab.server(&message(b'G', &[0, 0, 0]));
    lab.client(&[message(b'd', b"1\n"), sync(), message(b'c', b""), sync()].concat());
    assert_eq!(lab.sent(), "PBESdScS");
    lab.complete("COPY 1");
    lab.ready(b'I');
    assert_eq!(lab.outcomes(), ["ok"]);
    assert!(lab.session.is_idle());
}

#[test]
fn a_portal_that_is_bound_anew_before_it_was_suspended_is_not_read_to_its_end() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    let piece = || [parse("", "select"), bind("", ""), execute("", 1), sync()].concat();
    lab.client(&[piece(), piece()].concat());
    lab.prepared();
    lab.server(&message(b's', b""));
    lab.ready(b'T');
    assert_eq!(lab.outcomes(), ["ok", "ok"]);
    lab.complete("SELECT 1");
    lab.ready(b'T');
    assert_eq!(lab.outcomes(), ["ok"]);
}

#[test]
fn what_stands_before_a_begin_in_its_batch_ends_with_its_block() {
    for (end, outcomes) in [("COMMIT", ["ok", "ok"]), ("ROLLBACK", ["failed", "ok"])] {
        let mut lab = Lab::open(Recording::Async);
        lab.query("insert; begin");
        lab.complete("INSERT 0 1");
        lab.complete("BEGIN");
        lab.ready(b'T');
        assert_eq!(lab.outcomes(), ["ok"], "the BEGIN's");
        lab.query(&end.to_lowercase());
        lab.complete(end);
        lab.ready(b'I');
        assert_eq!(lab.outcomes(), outcomes);
    }
    let mut lab = Lab::open(Recording::Async);
    lab.query("insert; begin");
    lab.complete("INSERT 0 1");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.outcomes(), ["ok", "failed"]);
}

#[test]
fn a_commit_or_rollback_ends_what_stands_before_it_in_its_batch() {
    for (end, outcomes) in [("COMMIT", ["ok", "failed"]), ("ROLLBACK", ["failed", "failed"])] {
        let mut lab = Lab::open(Recording::Async);
        lab.query(&format!("insert; {}; insert", end.to_lowercase()));
        lab.complete("INSERT 0 1");
        lab.complete(end);
        let first = lab.outcomes();
        lab.error("22012", "ERROR");
        lab.ready(b'I');
        assert_eq!([first[0], lab.outcomes().last().expect("of the second INSERT")], outcomes);
    }
}

#[test]
fn what_comes_behind_a_rollback_may_have_been_committed_when_the_connection_is_lost() {
    let mut lab = Lab::open(Recording::Async);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("rollback");
    lab.query("insert");
    lab.session.gone(0, &mut lab.out);
    assert_eq!(lab.outcomes(), ["ok", "unknown", "unknown"]);
}

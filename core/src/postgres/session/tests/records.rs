//! What has to be durable before what is sent.

use super::*;

#[test]
fn outside_a_transaction_a_write_waits_and_a_sure_read_does_not() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("sure read");
    assert_eq!(lab.sent(), "Q");
    assert!(!lab.intents()[0].waited_for);
    lab.complete("SELECT 1");
    lab.ready(b'I');
    lab.query("insert");
    assert_eq!(lab.sent(), "");
    assert!(lab.intents()[0].waited_for);
    lab.recorded();
    assert_eq!(lab.sent(), "Q");
}

#[test]
fn what_has_been_prepared_may_leave_before_but_not_its_execute() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(&[run("insert"), sync()].concat());
    assert_eq!(lab.sent(), "PB");
    lab.recorded();
    assert_eq!(lab.sent(), "ES");
}

#[test]
fn a_pipeline_shares_one_record() {
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[run("insert"), run("insert"), run("insert"), sync()].concat());
    assert_eq!((lab.sent().as_str(), lab.intents().len()), ("PB", 3));
    lab.recorded();
    assert_eq!(lab.sent(), "EPBEPBES");
}

#[test]
fn inside_a_transaction_only_its_end_waits() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("insert");
    assert_eq!(lab.sent(), "QQ");
    lab.complete("INSERT 0 1");
    lab.ready(b'T');
    lab.query("commit");
    assert_eq!(lab.sent(), "");
    let intents = lab.intents();
    assert_eq!(intents.iter().map(|intent| intent.transaction).collect::<Vec<_>>(), [Some(1); 3]);
    lab.recorded();
    assert_eq!(lab.sent(), "Q");
}

#[test]
fn a_commit_by_a_prepared_name_waits() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(&[parse("S_1", "commit"), sync()].concat());
    lab.server(&message(b'1', b""));
    lab.ready(b'I');
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    assert_eq!(lab.sent(), "PSQ");
    lab.client(&[bind("", "S_1"), execute("", 1), sync()].concat());
    assert_eq!(lab.sent(), "B");
    lab.recorded();
    assert_eq!(lab.sent(), "ES");
}

#[test]
fn a_name_whose_meaning_is_unclear_waits_even_inside() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.sent();
    let twice = [parse("a", "insert"), parse("a", "commit")].concat();
    lab.client(&[twice, bind("", "a"), execute("", 0), sync()].concat());
    assert_eq!(lab.sent(), "PPB");
    lab.recorded();
    lab.server(&message(b'1', b""));
    lab.error("42P05", "ERROR");
    lab.ready(b'T');
    lab.sent();
    lab.client(&[bind("", "a"), execute("", 0), sync()].concat());
    assert_eq!(lab.sent(), "BES", "the server has kept the first meaning");
}

#[test]
fn a_text_with_a_commit_in_it_waits_as_a_whole() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin; insert; commit");
    assert_eq!((lab.sent().as_str(), lab.intents().len()), ("", 3));
    lab.recorded();
    assert_eq!(lab.sent(), "Q");
}

#[test]
fn strict_waits_inside_and_async_nowhere() {
    for (recording, sent) in [(Recording::Strict, "Q"), (Recording::Async, "QQQ"), (Recording::Off, "QQQ")] {
        let mut lab = Lab::open(recording);
        lab.query("begin");
        lab.complete("BEGIN");
        lab.ready(b'T');
        lab.query("insert");
        lab.complete("INSERT 0 1");
        lab.ready(b'T');
        lab.query("commit");
        assert_eq!(lab.sent(), sent, "{recording:?}");
    }
}

#[test]
fn with_recording_off_statements_are_counted() {
    let mut lab = Lab::open(Recording::Off);
    lab.query("insert; insert");
    assert_eq!(lab.out.events, [Event::Unrecorded(2)]);
}

#[test]
fn a_statement_carries_the_tag_of_its_comment() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("insert /*truth='4711'*/");
    assert_eq!(lab.intents()[0].tag.as_deref(), Some("4711"));
}

#[test]
fn a_refused_record_fails_the_statement_outside_and_ends_the_session_inside() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(&[run("insert"), sync()].concat());
    lab.sent();
    lab.query("insert");
    lab.refuse();
    assert!(lab.session.is_over(), "a Parse is under way: whose error would that be");

    let mut lab = Lab::open(Recording::Commit);
    lab.query("insert");
    lab.refuse();
    assert_eq!((lab.told().as_str(), lab.sent().as_str()), ("E", "S"));
    lab.ready(b'I');
    assert_eq!(lab.told(), "Z");
    lab.query("sure read");
    assert_eq!(lab.sent(), "Q");
}

#[test]
fn a_cancel_finds_what_waits_for_its_record() {
    let canceled = Refusal::new(code::CANCELED, "canceling statement due to user request");
    let mut lab = Lab::open(Recording::Commit);
    lab.query("insert");
    assert!(lab.session.waits_for_record() && !lab.session.is_busy());
    assert!(lab.session.give_up_unsent(&canceled, &mut lab.out));
    assert_eq!((lab.told().as_str(), lab.sent().as_str()), ("E", "S"));
    assert_eq!(lab.finished(), [("failed", None, Some("not sent"))]);
    lab.ready(b'I');
    lab.query("sure read");
    assert_eq!(lab.sent(), "Q", "the session goes on");

    // Inside of a transaction the server has to say so.
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("commit");
    assert!(lab.session.waits_for_record());
    assert!(!lab.session.give_up_unsent(&canceled, &mut lab.out));
    assert!(!lab.session.is_over());
}

#[test]
fn what_is_refused_with_others_ends_for_all_of_them() {
    // A sure read behind what waits was to be recorded, too, and leaves as little.
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.query("insert; sure read");
    assert_eq!(lab.intents().iter().map(|intent| intent.waited_for).collect::<Vec<_>>(), [true, false]);
    lab.refuse();
    assert_eq!((lab.told().as_str(), lab.sent().as_str()), ("E", "S"));
    let not_sent = ("failed", None, Some("not sent"));
    assert_eq!(lab.finished(), [not_sent.clone(), not_sent]);

    // What was sent in the transaction that the error would have undone is lost with the connection.
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query("insert");
    lab.query("commit");
    assert_eq!(lab.outcomes(), ["ok"]);
    lab.refuse();
    assert!(lab.session.is_over());
    let lost = "its transaction was lost with the connection";
    assert_eq!(lab.finished(), [("failed", None, Some(lost)), ("failed", None, Some("not sent"))]);
}

#[test]
fn an_error_that_would_be_of_more_than_one_batch_ends_the_session() {
    // Two ReadyForQuery are expected.
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.query("insert");
    lab.query("insert");
    lab.refuse();
    assert!(lab.session.is_over());
    assert_eq!(lab.outcomes(), ["failed"; 2]);

    // The server would commit what the client takes for undone.
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[run("sure read"), message(b'H', b"")].concat());
    lab.complete("SELECT 1");
    lab.client(&[run("insert"), sync()].concat());
    lab.prepared();
    lab.refuse();
    assert!(lab.session.is_over());

    // The rest of a text that is streamed has not come.
    let mut lab = Lab::open(Recording::Commit);
    let mut long = Vec::new();
    put_query(&mut long, &"insert ".repeat(200_000));
    lab.client(&long[..1_000]);
    assert_eq!((lab.sent().as_str(), lab.intents().len()), ("", 1));
    lab.refuse();
    assert!(lab.session.is_over());
}

#[test]
fn a_parse_that_may_be_skipped_gives_no_meaning_to_the_next_batch() {
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[parse("", "insert"), sync()].concat());
    lab.server(&message(b'1', b""));
    lab.ready(b'I');
    lab.sent();
    // An error before it makes the server skip the second Parse: what is bound next is the INSERT.
    let fails = [parse("x", "nonsense"), parse("", "sure read"), sync()].concat();
    lab.client(&[fails, bind("", ""), execute("", 0), sync()].concat());
    assert!(lab.intents()[0].waited_for, "{:?}", lab.intents());
    assert!(!lab.sent().contains('E'), "it waits for its record");

    // In the batch of that Parse everything is skipped together, and afterwards the meaning from before counts.
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[parse("", "insert"), sync()].concat());
    lab.server(&message(b'1', b""));
    lab.ready(b'I');
    lab.client(&[parse("x", "nonsense"), parse("", "sure read"), sync()].concat());
    lab.server(&message(b'E', b"VERROR\0C42601\0\0"));
    lab.ready(b'I');
    lab.client(&[bind("", ""), execute("", 0), sync()].concat());
    assert_eq!(&*lab.intents()[0].text, "insert");
}

#[test]
fn the_answer_to_an_older_parse_changes_nothing_of_a_newer_one() {
    for close in [vec![], message(b'C', b"Sa\0")] {
        let name = if close.is_empty() { "" } else { "a" };
        let mut lab = Lab::open(Recording::Commit);
        lab.enforce = false;
        let read = [parse(name, "sure read"), bind("", name), execute("", 0), sync(), close].concat();
        lab.client(&[read, parse(name, "insert"), message(b'H', b"")].concat());
        lab.server(&[message(b'1', b""), message(b'2', b"")].concat());
        lab.sent();
        lab.client(&[bind("", name), execute("", 0), sync()].concat());
        assert_eq!(lab.sent(), "B", "an INSERT waits");
        assert_eq!(&*lab.intents()[1].text, "insert");
    }
}

#[test]
fn a_parse_that_an_error_has_skipped_leaves_the_meaning_from_before() {
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[parse("", "sure read"), sync()].concat());
    lab.server(&message(b'1', b""));
    lab.ready(b'I');
    lab.client(&[bind("", "?"), parse("", "insert"), sync()].concat());
    lab.error("26000", "ERROR");
    lab.ready(b'I');
    lab.sent();
    lab.client(&[bind("", ""), execute("", 0), sync()].concat());
    assert_eq!(lab.sent(), "BES");
}

#[test]
fn the_end_of_a_batch_closes_no_portal_of_the_next_one() {
    let mut lab = Lab::open(Recording::Commit);
    lab.enforce = false;
    lab.client(&[run("sure read"), sync(), parse("", "insert"), bind("", "")].concat());
    lab.intents();
    lab.complete("SELECT 1");
    lab.ready(b'I');
    lab.client(&[execute("", 0), sync()].concat());
    assert_eq!(&*lab.intents()[0].text, "insert");
}

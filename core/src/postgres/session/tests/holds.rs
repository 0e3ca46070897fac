//! What is held, and what never.

use super::*;

const BATCH: &str = "select /*class='batch'*/";

fn held(lab: &mut Lab) -> bool {
    lab.sent();
    if lab.session.is_busy() {
        lab.nothing_binds();
    }
    lab.held().is_some()
}

#[test]
fn p2_a_deferrable_statement_of_an_idle_session_is_held_before_anything_of_it_is_sent() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(&[parse("s", BATCH), bind("", "s"), execute("", 0), sync()].concat());
    assert_eq!(lab.sent(), "Q", "the server is asked whether the session would notice");
    lab.nothing_binds();
    let (intent, ms) = lab.held().expect("it is held");
    assert_eq!((&*intent.class, ms, lab.sent().as_str()), ("batch", 60_000, ""));
    assert_eq!(lab.told(), "", "nobody sees the question");
    lab.released(intent.execution);
    assert_eq!((lab.sent().as_str(), lab.intents().len()), ("PBES", 0));
    lab.server(&[message(b'1', b""), message(b'2', b"")].concat());
    lab.complete("SELECT 1");
    lab.ready(b'I');
    assert_eq!((lab.told().as_str(), lab.outcomes()), ("12CZ", vec!["ok"]));
}

#[test]
fn p3_a_held_statement_that_is_cancelled_is_answered_at_once_and_the_session_goes_on() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(
        &[message(b'C', b"Sold\0"), parse("s", BATCH), bind("", "s"), execute("", 0), sync()].concat(),
    );
    assert!(held(&mut lab));
    lab.session
        .give_up(&Refusal::new(code::CANCELED, "canceling statement due to user request"), &mut lab.out);
    assert_eq!((lab.told().as_str(), lab.sent().as_str()), ("E", "CS"), "a Close still reaches the server");
    assert!(matches!(lab.out.events[..], [Event::Dropped(_)]));
    lab.server(&message(b'3', b""));
    lab.ready(b'I');
    assert_eq!(lab.told(), "Z");
    lab.query("sure");
    assert_eq!(lab.sent(), "Q");
}

#[test]
fn p4_a_client_that_goes_drops_what_is_held() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query(BATCH);
    assert!(held(&mut lab));
    lab.session.gone(0, &mut lab.out);
    assert!(matches!(lab.out.events[..], [Event::Dropped(_), Event::End]));
    assert_eq!(lab.sent(), "");
}

#[test]
fn p5_inside_a_transaction_nothing_is_held() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query("begin");
    lab.complete("BEGIN");
    lab.ready(b'T');
    lab.query(BATCH);
    assert_eq!(lab.sent(), "QQ");
}

#[test]
fn p6_a_session_with_an_advisory_lock_is_not_held() {
    let mut lab = Lab::open(Recording::Async);
    lab.query(BATCH);
    lab.sent();
    lab.answer_own(&[Some("0"), Some("0"), Some("1")]);
    assert_eq!((lab.sent().as_str(), lab.held()), ("Q", None));
}

#[test]
fn p8_a_pipeline_is_not_held_and_keeps_its_order() {
    let mut lab = Lab::open(Recording::Async);
    let one = |text| [run(text), sync()].concat();
    lab.client(&[one("select"), one("select"), one(BATCH), one("select")].concat());
    assert_eq!((lab.sent().as_str(), lab.held()), ("PBESPBESPBESPBES", None));
}

#[test]
fn p9_what_was_flushed_is_not_held() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[parse("s", BATCH), message(b'D', b"Ss\0"), message(b'H', b"")].concat());
    assert_eq!(lab.sent(), "PDH");
    lab.client(&[bind("", "s"), execute("", 0), sync()].concat());
    assert_eq!((lab.sent().as_str(), lab.held()), ("BES", None));
}

#[test]
fn p10_preparing_is_not_delayed_and_executing_the_name_is_held() {
    let mut lab = Lab::open(Recording::Commit);
    lab.client(&[parse("s", BATCH), sync()].concat());
    assert_eq!(lab.sent(), "PS");
    lab.server(&message(b'1', b""));
    lab.ready(b'I');
    lab.client(&[bind("", "s"), execute("", 0), sync()].concat());
    assert!(held(&mut lab));
}

#[test]
fn p14_a_hold_takes_at_most_half_of_the_statements_time() {
    let mut lab = Lab::open(Recording::Commit);
    lab.query(BATCH);
    lab.answer_own(&[Some("4000"), Some("0"), Some("0")]);
    assert_eq!(lab.held().map(|(_, ms)| ms), Some(2_000));
}

#[test]
fn p20_in_another_mode_nothing_is_held_and_nobody_is_asked() {
    let mut lab = Lab::open(Recording::Async);
    lab.enforce = false;
    lab.query(BATCH);
    assert_eq!(lab.sent(), "Q");
    lab.complete("SELECT 1");
    lab.ready(b'I');
    lab.enforce = true;
    lab.query(BATCH);
    assert!(held(&mut lab));
}

#[test]
fn p25_a_transaction_of_a_deferrable_class_is_held_at_its_begin() {
    for first in ["begin /*class='batch'*/", "begin"] {
        let mut lab = Lab::open(Recording::Commit);
        if first == "begin" {
            lab.server(&message(b'S', b"application_name\0batch_x\0"));
        }
        lab.client(&[run(first), run("insert"), sync()].concat());
        assert!(held(&mut lab), "{first}");
        let execution = lab.session.held().expect("it is held");
        lab.released(execution);
        assert_eq!(lab.sent(), "PBEPBES");
        assert_eq!(lab.intents().len(), 1, "the release has recorded BEGIN");
        lab.complete("BEGIN");
    }
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[run("begin"), run(BATCH), sync()].concat());
    assert_eq!(lab.sent(), "PBEPBES", "the tag of a statement inside holds no transaction");
}

#[test]
fn several_statements_and_what_takes_locks_are_never_held() {
    for text in [
        "select; select /*class='batch'*/",
        "copy /*class='batch'*/",
        "lock /*class='batch'*/",
        "sele? /*class='batch'*/",
    ] {
        let mut lab = Lab::open(Recording::Async);
        lab.query(text);
        assert_eq!((lab.sent().as_str(), lab.held()), ("Q", None), "{text}");
    }
}

#[test]
fn a_batch_that_is_too_long_passes_and_is_counted() {
    let mut lab = Lab::open(Recording::Async);
    lab.client(&[parse("", BATCH), bind("", ""), execute("", 0)].concat());
    assert_eq!(lab.sent(), "");
    let long = message(b'B', &[b"\0\0".to_vec(), vec![0; 60_000]].concat());
    for _ in 0..5 {
        lab.client(&long);
    }
    assert_eq!(lab.sent(), "PBEBBBBB");
    assert!(lab.out.events.contains(&Event::TooLong));
}

#[test]
fn while_one_is_held_what_follows_waits_in_its_order() {
    let mut lab = Lab::open(Recording::Async);
    lab.query(BATCH);
    assert!(held(&mut lab));
    lab.query("insert");
    assert_eq!(lab.sent(), "");
    let execution = lab.session.held().expect("it is held");
    lab.released(execution);
    assert_eq!(lab.sent(), "QQ");
}

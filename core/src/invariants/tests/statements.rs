//! Statements of a real database: released before they have an outcome, the same in both, of one session each.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    named::{audit, event, execution, id, journal, queued},
    *,
};
use crate::{
    invariants::{Ends, TagFinding, Tagged},
    journal::{Outcome, QueueEvent, Statement},
};

fn statement(session: u128, transaction: Option<u64>) -> Statement {
    Statement {
        class: "batch".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: String::new(),
        client: "10.0.0.7:1".to_owned(),
        session: Uuid::from_u128(session),
        transaction,
        pid: 4711,
        backend_start: None,
        tag: None,
    }
}

fn of(mut record: Record, statement: &Statement) -> Record {
    let statement = Some(Arc::new(statement.clone()));
    match &mut record {
        Record::Executed(executed) => executed.statement = statement,
        Record::Queue(event) => event.statement = statement,
        Record::Window(_) => {}
    }
    record
}

fn released(n: u128, tick: u64, statement: &Statement) -> Record {
    of(event(QueueEvent::Released, n, tick, tick, 0), statement)
}

fn ended(n: u128, tick: u64, finished: u64, statement: &Statement) -> Record {
    of(execution(n, [tick, tick, tick, finished], ""), statement)
}

fn found(records: Vec<Record>) -> Vec<Finding> {
    audit(&journal(PerStream::from_fn(|_| 1), records), 9, None).findings.first().to_vec()
}

#[test]
fn a_statement_is_released_before_it_has_an_outcome_and_is_the_same_in_both() {
    let one = statement(1, None);
    assert_eq!(found(vec![released(1, 3, &one), ended(1, 3, 4, &one)]), []);
    assert_eq!(found(vec![released(1, 3, &one), ended(1, 3, 3, &one)]), [], "in one tick");
    let other = Statement { tag: Some("7".to_owned()), ..one.clone() };
    assert_eq!(found(vec![released(1, 3, &one), ended(1, 3, 4, &other)]), [Finding::OtherStatement(id(1))]);
    assert_eq!(found(vec![released(1, 3, &one), ended(1, 3, 3, &other)]), [Finding::OtherStatement(id(1))]);
    let plain = execution(1, [3, 3, 3, 4], "");
    assert_eq!(found(vec![released(1, 3, &one), plain]), [Finding::OtherStatement(id(1))]);
    // What runs straight from the queue was released nowhere: right for a simulated database alone.
    let straight = vec![of(queued(1, 2), &one), of(execution(1, [2, 3, 3, 3], ""), &one)];
    assert_eq!(found(straight), [Finding::NeverReleased(id(1))]);
    assert_eq!(found(vec![queued(1, 2), execution(1, [2, 3, 3, 3], "")]), []);
}

#[test]
fn what_waits_may_go_before_it_is_due_where_its_client_waits_no_longer() {
    let one = statement(1, None);
    let early = |statement: Option<&Statement>| {
        let (release, run) =
            (event(QueueEvent::Released, 1, 2, 3, 0), execution(1, [2, 3, 2, 4], "released at once: why"));
        let with = |record| match statement {
            Some(statement) => of(record, statement),
            None => record,
        };
        found(vec![queued(1, 2), with(release), with(run)])
    };
    assert_eq!(early(Some(&one)), []);
    assert!(!early(None).is_empty());
}

#[test]
fn a_session_stays_whose_it_is_and_its_transactions_are_counted_upwards() {
    let at = |session, transaction| statement(session, Some(transaction));
    let fine = vec![
        released(1, 3, &at(1, 1)),
        released(2, 3, &at(1, 1)),
        released(3, 3, &statement(1, None)),
        released(4, 3, &at(2, 1)),
        released(5, 4, &at(1, 2)),
    ];
    assert_eq!(found(fine), []);
    let back =
        vec![released(1, 3, &at(1, 2)), released(2, 3, &statement(1, None)), released(3, 3, &at(1, 1))];
    let session = Uuid::from_u128(1);
    assert_eq!(found(back), [Finding::TransactionOrder { seq: 3, execution: id(3), session }]);
    let other = Statement { pid: 1, ..at(1, 1) };
    let moved = vec![released(1, 3, &at(1, 1)), released(2, 3, &other)];
    assert_eq!(found(moved), [Finding::OtherSession { execution: id(2), session }]);
}

#[test]
fn what_was_dropped_is_never_released() {
    let one = statement(1, None);
    let records =
        vec![of(queued(1, 0), &one), of(event(QueueEvent::Dropped, 1, 2, 1, 0), &one), released(1, 4, &one)];
    assert_eq!(found(records), [Finding::DroppedAndRan(id(1))]);
}

/// A tagged statement's release, and its outcome.
fn tagged(n: u128, tag: &str, transaction: Option<u64>, outcome: Option<Outcome>) -> Vec<Record> {
    let statement = Statement { tag: Some(tag.to_owned()), ..statement(1, transaction) };
    let mut records = vec![released(n, 3, &statement)];
    if let (Some(outcome), Record::Executed(executed)) = (outcome, ended(n, 3, 4, &statement)) {
        records.push(Record::Executed(crate::journal::Executed { outcome, ..executed }));
    }
    records
}

fn compared(records: Vec<Vec<Record>>, rows: &[&str]) -> Vec<TagFinding> {
    let mut tagged = Tagged::default();
    // Queries say what they do by their ids here.
    let ends = |query: QueryId| match query.0.as_u128() {
        1 => Ends::Commits,
        2 => Ends::GoesBack,
        _ => Ends::Nothing,
    };
    // In any order.
    records.into_iter().flatten().rev().for_each(|record| tagged.record(&record, ends));
    tagged.compare(&rows.iter().map(|row| (*row).to_owned()).collect::<BTreeSet<_>>())
}

fn ends(n: u128, query: u128, transaction: u64, outcome: Outcome) -> Vec<Record> {
    let Record::Executed(executed) = ended(n, 3, 4, &statement(1, Some(transaction))) else { unreachable!() };
    vec![Record::Executed(crate::journal::Executed {
        outcome,
        query: QueryId(Uuid::from_u128(query)),
        ..executed
    })]
}

#[test]
fn each_row_has_one_record_that_has_not_failed_and_each_ok_its_row() {
    let ok = Some(Outcome::Ok);
    assert_eq!(compared(vec![tagged(1, "a", None, ok), tagged(2, "b", None, None)], &["a", "b"]), []);
    assert_eq!(compared(vec![tagged(1, "a", None, Some(Outcome::Unknown))], &[]), []);
    assert_eq!(compared(vec![tagged(1, "a", None, Some(Outcome::Failed))], &[]), []);
    let name = || "a".to_owned();
    assert_eq!(compared(vec![], &["a"]), [TagFinding::NoRecord(name())]);
    assert_eq!(compared(vec![tagged(1, "a", None, ok)], &[]), [TagFinding::NoRow(name())]);
    let failed = tagged(1, "a", None, Some(Outcome::Failed));
    assert_eq!(compared(vec![failed], &["a"]), [TagFinding::Failed(name())]);
    let twice = vec![tagged(1, "a", None, ok), tagged(2, "a", None, None)];
    assert_eq!(compared(twice, &["a"]), [TagFinding::Several { tag: name(), records: 2 }]);
}

#[test]
fn what_is_ok_within_a_transaction_lasts_where_that_was_committed_and_did_not_go_back() {
    let inserted = || tagged(1, "a", Some(5), Some(Outcome::Ok));
    let missing = [TagFinding::NoRow("a".to_owned())];
    assert_eq!(compared(vec![inserted()], &[]), [], "it has not ended");
    assert_eq!(compared(vec![inserted(), ends(2, 1, 5, Outcome::Failed)], &[]), []);
    assert_eq!(compared(vec![inserted(), ends(2, 1, 5, Outcome::Unknown)], &[]), []);
    assert_eq!(compared(vec![inserted(), ends(2, 1, 5, Outcome::Ok)], &[]), missing);
    assert_eq!(compared(vec![inserted(), ends(2, 1, 5, Outcome::Ok)], &["a"]), []);
    assert_eq!(compared(vec![inserted(), ends(2, 1, 6, Outcome::Ok)], &[]), [], "another one");
    let went_back = vec![inserted(), ends(2, 2, 5, Outcome::Ok), ends(3, 1, 5, Outcome::Ok)];
    assert_eq!(compared(went_back, &[]), []);
}

#[test]
fn a_text_says_what_it_does_to_its_transaction() {
    for (text, does) in [
        ("COMMIT", Ends::Commits),
        ("commit and chain", Ends::Commits),
        ("END;", Ends::Commits),
        ("COMMIT PREPARED $1", Ends::Nothing),
        ("rollback", Ends::Nothing),
        ("ROLLBACK TO SAVEPOINT a", Ends::GoesBack),
        ("rollback work to a", Ends::GoesBack),
        ("select 1", Ends::Nothing),
        ("", Ends::Nothing),
    ] {
        assert_eq!(Ends::of(text), does, "{text}");
    }
}

#[test]
fn what_waited_may_be_delayed_released_and_end_in_one_tick() {
    let one = statement(1, None);
    let records = |delayed_to: u64| {
        let ended = of(execution(1, [0, 7, 3, 3], "its longest hold was over"), &one);
        let waits = of(queued(1, 0), &one);
        let delayed = of(event(QueueEvent::Delayed, 1, 3, delayed_to, delayed_to - 1), &one);
        vec![waits, delayed, of(event(QueueEvent::Released, 1, 3, 7, 0), &one), ended]
    };
    assert_eq!(found(records(7)), []);
    let contradiction = Finding::Contradiction {
        execution: id(1),
        field: "due_tick",
        executed: "7".to_owned(),
        queued: "6".to_owned(),
    };
    assert_eq!(found(records(6)), [contradiction]);
}

//! What is left after retention, and what really ran: found by name from the first whole tick on.

use super::{
    named::{audit, delayed, id, journal, query, queued, ran, row, row_finding, window},
    *,
};

/// Numbered as what retention leaves: executions from tick 19 on, the queue's events from tick 20 on, windows from
/// 20..=29 on. All is known from tick 21 on.
fn trimmed(records: Vec<Record>) -> PerStream<Vec<Entry>> {
    let before = PerStream { executions: 51, queue: 71, windows: 3 };
    let beginning = vec![ran(100, 5, 6, 19), queued(101, 20), window(20, 99)];
    journal(before, beginning.into_iter().chain(records).collect())
}

fn found_in_trimmed(records: Vec<Record>, rows: &[Queued]) -> Vec<Finding> {
    let rows: Vec<_> = [row(101, 20, 21)].iter().chain(rows).copied().collect();
    audit(&trimmed(records), 30, Some(&rows)).findings.first().to_vec()
}

#[test]
fn what_was_queued_before_the_proof_begins_needs_no_queue_entry() {
    let whole = vec![ran(1, 3, 4, 21), ran(2, 20, 21, 22), delayed(3, 22, 24, 1), ran(3, 19, 24, 24)];
    assert_eq!(found_in_trimmed(whole, &[row(4, 20, 40)]), []);
    let not_queued = |n, tick| Finding::NotQueued { execution: id(n), tick: Tick(tick) };
    assert_eq!(found_in_trimmed(vec![ran(1, 21, 22, 22)], &[]), [not_queued(1, 22)]);
    let delayed_only = vec![delayed(1, 22, 24, 1), ran(1, 21, 24, 24)];
    assert_eq!(found_in_trimmed(delayed_only, &[]), [not_queued(1, 24)]);
}

#[test]
fn trimmed_streams_show_what_ran_twice() {
    let twice = vec![ran(1, 3, 4, 23), ran(1, 3, 4, 25)];
    assert_eq!(found_in_trimmed(twice, &[]), [Finding::ExecutedTwice(id(1))]);
    let after_a_delay = vec![ran(1, 3, 4, 23), delayed(1, 24, 26, 1)];
    assert_eq!(found_in_trimmed(after_a_delay, &[]), [Finding::QueuedAfterItRan(id(1))]);
}

#[test]
fn trimmed_streams_show_a_delay_that_was_not_honoured() {
    let contradiction = Finding::Contradiction {
        execution: id(1),
        field: "due_tick",
        executed: "25".to_owned(),
        queued: "24".to_owned(),
    };
    assert_eq!(found_in_trimmed(vec![delayed(1, 22, 24, 1), ran(1, 3, 25, 25)], &[]), [contradiction]);
    let row_is_late = [row(1, 3, 25)];
    assert_eq!(found_in_trimmed(vec![delayed(1, 22, 24, 1)], &row_is_late), [row_finding(1, false)]);
    assert_eq!(found_in_trimmed(vec![delayed(1, 22, 24, 1)], &[row(1, 20, 24)]), []);
}

#[test]
fn trimmed_streams_show_rows_that_nothing_queued() {
    assert_eq!(found_in_trimmed(vec![], &[row(1, 21, 22)]), [row_finding(1, true)]);
    let delayed_only = vec![delayed(1, 22, 24, 1)];
    assert_eq!(found_in_trimmed(delayed_only, &[row(1, 21, 24)]), [row_finding(1, true)]);
    let gone = audit(&trimmed(vec![queued(1, 21), delayed(2, 22, 24, 1)]), 30, Some(&[row(101, 20, 21)]));
    assert_eq!(gone.findings.first(), [row_finding(1, false)], "101 and 2 may have run before");
    let without_101 = audit(&trimmed(vec![]), 30, Some(&[]));
    assert_eq!(without_101.findings.first(), []);
}

#[test]
fn trimmed_streams_are_proved_from_the_first_whole_window_on() {
    let records = vec![
        queued(1, 29),
        ran(1, 29, 30, 30),
        ran(2, 30, 31, 31),
        window(30, 2),
        window(40, 0),
        queued(3, 50),
    ];
    let report = audit(&trimmed(records), 51, None);
    let not_queued = Finding::NotQueued { execution: id(2), tick: Tick(31) };
    assert_eq!(report.findings.first(), [not_queued]);
    assert_eq!(report.proved, Some((Tick(30), Tick(49))));
    assert_eq!(report.executed, 2);
    let miscounted = audit(&trimmed(vec![window(30, 2)]), 40, None);
    let count = Finding::WindowCount { first_tick: Tick(30), recorded: 2, counted: 0 };
    assert_eq!(miscounted.findings.first(), [count]);
}

#[test]
fn trimmed_windows_alone_begin_the_proof_with_themselves() {
    let before = PerStream { executions: 1, queue: 1, windows: 4 };
    let entries = journal(before, vec![queued(1, 0), ran(1, 0, 1, 31), window(30, 2)]);
    let report = audit(&entries, 40, None);
    let count = Finding::WindowCount { first_tick: Tick(30), recorded: 2, counted: 1 };
    assert_eq!(report.findings.first(), [count]);
    assert_eq!(report.proved, Some((Tick(30), Tick(39))));
}

#[test]
fn trimmed_streams_show_gaps_and_what_goes_back() {
    let mut entries = trimmed(vec![queued(1, 22), ran(1, 22, 23, 23)]);
    (entries.queue[1].seq, entries.executions[1].seq) = (73, 51);
    let expected = [
        Finding::Sequence { stream: Stream::Queue, expected: 72, found: 73 },
        Finding::Sequence { stream: Stream::Executions, expected: 52, found: 51 },
    ];
    let report = audit(&entries, 30, None);
    let found = report.findings.first();
    assert!(found.len() == 2 && expected.iter().all(|finding| found.contains(finding)), "{found:?}");
    let backwards = found_in_trimmed(vec![queued(1, 23), queued(2, 22)], &[row(1, 23, 24), row(2, 22, 23)]);
    let order = Finding::TickOrder { stream: Stream::Queue, seq: 73, tick: Tick(22), before: Tick(23) };
    assert_eq!(backwards, [order]);
}

#[test]
fn trimmed_streams_show_what_cannot_be() {
    let what = "it ran before it was due";
    let early = Finding::Impossible { stream: Stream::Executions, seq: 52, what };
    assert_eq!(found_in_trimmed(vec![ran(1, 3, 26, 25)], &[]), [early]);
    let twice = Finding::QueuedTwice { execution: id(1), tick: Tick(24) };
    assert_eq!(found_in_trimmed(vec![queued(1, 22), queued(1, 24)], &[row(1, 24, 25)]), [twice]);
    let missing = Finding::WindowMissing { reached: Tick(40), closed: Tick(29) };
    assert_eq!(audit(&trimmed(vec![]), 41, None).findings.first(), [missing]);
    let hole = Finding::WindowHole { expected: Tick(30), found: Tick(40) };
    assert_eq!(audit(&trimmed(vec![window(40, 0)]), 50, None).findings.first(), [hole]);
}

/// What is found in these journals against a truth of (execution, tick); the first tick that is not committed is 30.
fn found_against(entries: &PerStream<Vec<Entry>>, truth: &[(u128, u64)]) -> Vec<Finding> {
    let first = PerStream::from_fn(|stream| entries[stream].first().cloned());
    let rows =
        truth.iter().map(|(n, tick)| TruthRow { execution: id(*n), tick: Tick(*tick), query: query() });
    let mut audit = Audit::new(Lengths::default(), &first).with_truth(rows);
    let streams =
        PerStream::from_fn(|stream| entries[stream].iter().cloned().map(Ok::<_, std::convert::Infallible>));
    for entry in Merge::new(streams) {
        audit.entry(&entry.unwrap());
    }
    audit.finish(Tick(30), None).findings.first().to_vec()
}

#[test]
fn what_really_ran_is_compared_from_the_first_whole_tick_to_the_last_batch() {
    let begun = trimmed(vec![ran(1, 3, 4, 20), ran(2, 3, 4, 21), ran(3, 3, 4, 28), ran(4, 3, 4, 29)]);
    let all = [(1, 20), (2, 21), (3, 28), (4, 29), (100, 19)];
    assert_eq!(found_against(&begun, &all), []);
    // Unknown to the truth: before the first whole tick nobody knows, and the last batch may still be ahead.
    let never = |n, tick| Finding::NeverRan { execution: id(n), tick: Tick(tick) };
    assert_eq!(found_against(&begun, &[]), [never(2, 21), never(3, 28)]);
    // Unknown to the journal, which has ticks 21 to 29.
    let others: Vec<_> = all.iter().copied().chain([(5, 20), (6, 21), (7, 29), (8, 30)]).collect();
    let missing = |n, tick| Finding::NotJournalled { execution: id(n), query: query(), tick: Tick(tick) };
    assert_eq!(found_against(&begun, &others), [missing(6, 21), missing(7, 29)]);
}

#[test]
fn a_truth_that_says_otherwise_is_named() {
    let journalled = trimmed(vec![ran(1, 3, 4, 25)]);
    let otherwise = Finding::NotTrue {
        execution: id(1),
        field: "tick",
        journalled: "25".to_owned(),
        really: "24".to_owned(),
    };
    assert_eq!(found_against(&journalled, &[(1, 24)]), [otherwise]);
    assert_eq!(found_against(&journalled, &[(1, 25), (1, 25)]), [Finding::RanTwice(id(1))]);
    assert!("25 nobody".parse::<TruthRow>().is_err_and(|error| error.to_string().contains("`25 nobody`")));
    let row = TruthRow { execution: id(1), tick: Tick(25), query: query() };
    assert!(format!("{row} more").parse::<TruthRow>().is_err());
}

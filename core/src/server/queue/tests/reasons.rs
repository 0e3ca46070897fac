//! Why an execution ran when it did, in the words of the journal.

use super::*;

/// Runs ticks up to `tick`; the reason of execution 1, which ran in the last of them.
fn reason_at(queue: &mut Queue, tick: u64) -> String {
    loop {
        let next = queue.next_tick();
        if queue.levelled() {
            queue.control(&ControlRequest { lease_ticks: 50, ..request(1, &[]) }).unwrap();
        }
        let executed = queue.advance(next, 0, []).unwrap().executed;
        if let Some(ran) = executed.into_iter().find(|executed| executed.execution == id(1)) {
            assert_eq!(ran.tick, Tick(tick));
            return ran.reason;
        }
        assert!(next.0 < tick, "it has not run by tick {tick}");
    }
}

/// Execution 1 waits since tick 0, with this delay and slot.
fn waiting(mode: Mode, delay: u64, slot: Option<(u64, &str)>) -> Queue {
    let limits = HoldLimits { default_ticks: 6, by_query: BTreeMap::new() };
    let mut queue = Queue::new(Lengths::default(), limits, mode);
    step(&mut queue, &[1]);
    if delay > 0 {
        queue.delay(id(1), delay).unwrap();
    }
    let set = slot.map(|(tick, reason)| SetSlot {
        execution: id(1),
        due_tick: Tick(tick),
        reason: reason.to_owned(),
    });
    let request = ControlRequest { lease_ticks: 50, set: set.into_iter().collect(), ..request(1, &[]) };
    queue.control(&request).unwrap();
    queue
}

#[test]
fn a_slot_gives_its_reason_where_it_holds() {
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 0, Some((3, "level"))), 3), "level");
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 0, Some((3, ""))), 3), "held to its slot");
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 0, Some((1, "level"))), 1), "");
    let not_by_the_slot = "delayed on request to tick 4";
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 3, Some((4, "level"))), 4), not_by_the_slot);
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 3, Some((4, ""))), 4), not_by_the_slot);
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 3, Some((5, "level"))), 5), "level");
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 3, Some((5, ""))), 5), "held to its slot");
}

#[test]
fn without_a_slot_the_maximum_delay_is_the_reason() {
    let held = "held without a slot until its maximum delay, 0.6 s (6 ticks)";
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 0, None), 6), held);
    let longer = "delayed on request to tick 9";
    assert_eq!(reason_at(&mut waiting(Mode::Enforce, 8, None), 9), longer);
}

#[test]
fn in_shadow_the_reason_is_what_would_have_been() {
    assert_eq!(
        reason_at(&mut waiting(Mode::Shadow, 0, Some((3, "level"))), 1),
        "shadow: would run at tick 3. level"
    );
    assert_eq!(reason_at(&mut waiting(Mode::Shadow, 0, Some((3, ""))), 1), "shadow: would run at tick 3.");
    let held = "shadow: would be held, no slot had been chosen";
    assert_eq!(reason_at(&mut waiting(Mode::Shadow, 0, None), 1), held);
}

#[test]
fn without_a_lease_shadow_says_nothing_and_delays_are_on_request() {
    let mut queue = Queue::new(Lengths::default(), HoldLimits::default(), Mode::Shadow);
    step(&mut queue, &[1]);
    queue.delay(id(1), 1).unwrap();
    assert_eq!(reason_at(&mut queue, 2), "delayed on request to tick 2");
    assert_eq!(reason_at(&mut waiting(Mode::Off, 0, Some((3, "level"))), 1), "");
    assert_eq!(reason_at(&mut waiting(Mode::Off, 1, Some((3, "level"))), 2), "delayed on request to tick 2");
}

#[test]
fn what_is_drained_says_since_when_it_is_overdue() {
    let mut queue = queue();
    step(&mut queue, &[1]);
    queue.control(&request(1, &[(1, 50)])).unwrap();
    step(&mut queue, &[]);
    queue.set_mode(Mode::Off);
    let reason = reason_at(&mut queue, 2);
    assert_eq!(reason, "overdue since tick 1 and nobody levels: drained, oldest first");
}

#[test]
fn what_is_let_go_in_silence_says_so_and_a_slot_that_was_handed_over_gives_its_own_reason() {
    let silent = |handover: bool| {
        let mut queue = queue();
        step(&mut queue, &[1]);
        queue.control(&ControlRequest { lease_ticks: 1, handover, ..request(1, &[(1, 3)]) }).unwrap();
        let executed = (0..3).flat_map(|_| queue.advance(queue.next_tick(), 0, []).unwrap().executed);
        executed.map(|executed| (executed.tick.0, executed.reason)).next().unwrap()
    };
    assert_eq!(silent(true), (3, "because".to_owned()));
    let said = "held for a plan, which did not come: let go at the pace of the last minute, oldest first";
    assert_eq!(silent(false), (2, said.to_owned()));
}

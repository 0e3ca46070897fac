//! What the queue does exactly at its limits, and what it says of itself.

use super::*;

fn levelled_for(queue: &mut Queue, lease_ticks: u64, set: &[(u128, u64)]) -> ControlResponse {
    queue.control(&ControlRequest { lease_ticks, ..request(1, set) }).unwrap()
}

#[test]
fn a_deadline_binds_what_is_late_too() {
    let limits = HoldLimits { default_ticks: 5, by_query: BTreeMap::new() };
    let mut queue = Queue::new(Lengths::default(), limits, Mode::Enforce);
    levelled_for(&mut queue, 50, &[]);
    let held: Vec<u128> = (1..=9).collect();
    step(&mut queue, &held);
    for _ in 0..3 {
        assert_eq!(planned_step(&mut queue, &[]), []);
    }
    let slots: Vec<_> = held.iter().map(|n| (*n, 1)).collect();
    levelled_for(&mut queue, 50, &slots);
    assert_eq!(step(&mut queue, &[]), [(1, 4), (2, 4)], "late ones leave within the room, which is 2");
    let rest: Vec<_> = (3..=9).map(|n| (n, 5)).collect();
    assert_eq!(planned_step(&mut queue, &[]), rest, "and all of them at their deadline");
}

#[test]
fn a_querys_own_maximum_delay_goes_before_the_general_one() {
    let limits = HoldLimits { default_ticks: 5, by_query: BTreeMap::from([(query(1), 3)]) };
    assert_eq!(limits.deadline(query(1), Tick(10), Tick(11)), Tick(13));
    assert_eq!(limits.deadline(query(2), Tick(10), Tick(11)), Tick(15));
    assert_eq!(limits.deadline(query(2), Tick(10), Tick(16)), Tick(16));
}

#[test]
fn a_delay_keeps_the_slot_and_its_reason() {
    let mut queue = queue();
    step(&mut queue, &[1]);
    levelled_for(&mut queue, 50, &[(1, 9)]);
    let (queued, record) = queue.delay(id(1), 2).unwrap();
    assert_eq!(
        record,
        QueueRecord {
            event: QueueEvent::Delayed,
            execution: id(1),
            query: query(1),
            tick: Tick(0),
            due_tick: Tick(3),
            added_ticks: 2,
            statement: None,
        }
    );
    let planned: Vec<_> = queue.planned().collect();
    assert_eq!((planned[0].queued, planned[0].tick, planned[0].held), (queued, Tick(9), false));
    assert_eq!(planned[0].reason.map(|reason| &**reason), Some("because"));
    assert!(queue.delay(id(1), DELAY_TICKS_MAX).is_ok());
}

#[test]
fn what_is_planned_depends_on_who_decides() {
    let limits = HoldLimits { default_ticks: 30, by_query: BTreeMap::new() };
    let mut queue = Queue::new(Lengths::default(), limits, Mode::Enforce);
    step(&mut queue, &[1, 2]);
    levelled_for(&mut queue, 1, &[(1, 9)]);
    let planned = |queue: &Queue| -> Vec<_> {
        queue.planned().map(|planned| (planned.tick.0, planned.held, planned.reason.is_some())).collect()
    };
    assert_eq!(planned(&queue), [(9, false, true), (30, true, false)]);
    queue.set_mode(Mode::Shadow);
    assert_eq!((queue.mode(), queue.levelled()), (Mode::Shadow, false));
    assert_eq!(planned(&queue), [(1, false, true), (1, false, false)]);
    queue.set_mode(Mode::Enforce);
    assert_eq!(step(&mut queue, &[]), []);
    assert!(!queue.levelled(), "a lease of one tick covers the next one and no more");
    assert_eq!(
        planned(&queue),
        [(2, false, true), (2, false, false)],
        "what is overdue is planned for the next tick"
    );
}

#[test]
fn the_mean_is_that_of_the_last_minute() {
    let mut queue = queue();
    let executed: Vec<u64> = (0..=61).collect();
    for executed in &executed {
        close_window(&mut queue, *executed);
    }
    assert_eq!(queue.executed_by_window(), &executed[2..]);
}

#[test]
fn what_is_overdue_leaves_within_a_quarter_more_than_the_mean_less_what_is_due() {
    let mut queue = queue();
    close_window(&mut queue, 25);
    close_window(&mut queue, 10);
    let held: Vec<u128> = (1..=20).collect();
    planned_step(&mut queue, &held);
    planned_step(&mut queue, &[]);
    queue.set_mode(Mode::Off);
    // 35 in 20 ticks: a quarter more is 2.2 a tick, so 3.
    let mut ran =
        |arrivals: &[u128]| step(&mut queue, arrivals).into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(ran(&[30]), [1, 2, 3]);
    assert_eq!(ran(&[]), [4, 5, 30]);
    assert_eq!(ran(&[]), [6, 7, 8]);
}

#[test]
fn a_request_takes_ten_thousand_slots_and_reasons_of_400_bytes_and_no_more() {
    let mut queue = queue();
    let slots = |count: usize| ControlRequest {
        set: vec![SetSlot { execution: id(1), due_tick: Tick(1), reason: String::new() }; count],
        ..request(1, &[])
    };
    assert_eq!(queue.control(&slots(10_001)), Err(ControlError::TooManySlots(10_001)));
    assert_eq!(queue.control(&slots(10_000)).unwrap().results.len(), 10_000);
    let with_reason = |bytes: usize| ControlRequest {
        set: vec![SetSlot { execution: id(1), due_tick: Tick(1), reason: "r".repeat(bytes) }],
        ..request(1, &[])
    };
    assert!(queue.control(&with_reason(400)).is_ok());
    let too_long = ControlError::ReasonTooLong { execution: id(1), bytes: 401 };
    assert_eq!(queue.control(&with_reason(401)), Err(too_long));
}

#[test]
fn a_lease_is_of_1_to_50_ticks_from_the_last_one() {
    let mut queue = queue();
    step(&mut queue, &[]);
    step(&mut queue, &[]);
    for refused in [0, 51] {
        let request = ControlRequest { lease_ticks: refused, ..request(1, &[]) };
        assert_eq!(queue.control(&request), Err(ControlError::LeaseTicks(refused)));
    }
    for taken in [1, 50] {
        let expected = ControlResponse {
            tick: Tick(1),
            tick_ms: 100,
            mode: Mode::Enforce,
            lease_until: Tick(1 + taken),
            results: Vec::new(),
        };
        assert_eq!(levelled_for(&mut queue, taken, &[]), expected);
        assert_eq!(queue.lease().unwrap().until, Tick(1 + taken));
    }
}

#[test]
fn a_higher_epoch_takes_the_lease_over() {
    let mut queue = queue();
    queue.control(&request(1, &[])).unwrap();
    queue.control(&ControlRequest { client: "other".to_owned(), ..request(2, &[]) }).unwrap();
    assert_eq!(queue.lease().map(|lease| (&*lease.client, lease.epoch)), Some(("other", 2)));
}

#[test]
fn a_queue_counts_its_ticks_and_what_waits() {
    let mut queue = queue();
    assert_eq!((queue.next_tick(), queue.last_tick()), (Tick(0), Tick(0)));
    assert!(queue.is_empty());
    step(&mut queue, &[1, 2]);
    assert_eq!((queue.len(), queue.is_empty()), (2, false));
    step(&mut queue, &[3]);
    assert_eq!((queue.next_tick(), queue.last_tick()), (Tick(2), Tick(1)));
    assert_eq!((queue.len(), queue.is_empty()), (1, false));
}

#[test]
fn a_recovered_queue_has_the_means_of_before() {
    let state = ServerState {
        next_tick: Tick(40),
        mode: Mode::Off,
        executed_by_window: vec![4, 5, 6],
        ..ServerState::default()
    };
    let row = Queued { execution: id(1), query: query(1), queued_tick: Tick(39), due_tick: Tick(40) };
    let mut queue = Queue::recover(Lengths::at_pace(250), HoldLimits::default(), &state, &[row]);
    assert_eq!(queue.executed_by_window(), [4, 5, 6]);
    assert_eq!((queue.next_tick(), queue.mode(), queue.lease()), (Tick(40), Mode::Off, None));
    assert_eq!(queue.control(&request(1, &[])).unwrap().tick_ms, 250);
    assert_eq!(step(&mut queue, &[]), [(1, 40)]);
}

#[test]
fn a_recovered_queue_forgets_a_lease_that_nobody_could_go_above() {
    let lease = |epoch| Lease { client: "test".to_owned(), epoch, until: Tick(3), ticks: 5 };
    let recovered = |epoch| {
        let state = ServerState { lease: Some(lease(epoch)), ..ServerState::default() };
        Queue::recover(Lengths::default(), HoldLimits::default(), &state, &[]).lease().cloned()
    };
    let last = EPOCH_MAX - 1;
    assert_eq!(recovered(last), Some(Lease { until: Tick(5), ..lease(last) }));
    assert_eq!(recovered(EPOCH_MAX), None);
}

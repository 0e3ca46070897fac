mod borders;
mod outcomes;
mod reasons;
mod recorded;
mod silence;
mod statements;

use uuid::Uuid;

use super::*;
use crate::units::{
    resource::PerResource,
    window::{Extent, Window},
};

fn id(n: u128) -> ExecutionId {
    ExecutionId(Uuid::from_u128(n))
}

fn query(n: u128) -> QueryId {
    QueryId(Uuid::from_u128(n))
}

fn queue() -> Queue {
    Queue::new(Lengths::default(), HoldLimits::default(), Mode::Enforce)
}

fn request(epoch: u64, set: &[(u128, u64)]) -> ControlRequest {
    ControlRequest {
        client: "test".to_owned(),
        epoch,
        lease_ticks: 10,
        set: set
            .iter()
            .map(|&(n, tick)| SetSlot {
                execution: id(n),
                due_tick: Tick(tick),
                reason: "because".to_owned(),
            })
            .collect(),
        handover: false,
    }
}

fn step(queue: &mut Queue, arrivals: &[u128]) -> Vec<(u128, u64)> {
    let tick = queue.next_tick();
    let arrivals = arrivals.iter().map(|&n| (id(n), query(1)));
    let step = queue.advance(tick, 0, arrivals).unwrap();
    // Whatever a test waits for comes soon, or never.
    assert!(queue.next_tick() == tick.next() && tick.0 < 3_000, "tick {tick}, next {}", queue.next_tick());
    step.executed.iter().map(|executed| (executed.execution.0.as_u128(), executed.tick.0)).collect()
}

/// A tick of a leader that says nothing new.
fn planned_step(queue: &mut Queue, arrivals: &[u128]) -> Vec<(u128, u64)> {
    queue.control(&request(1, &[])).unwrap();
    step(queue, arrivals)
}

fn close_window(queue: &mut Queue, executed: u64) {
    queue.window_closed(&Window {
        first_tick: Tick(0),
        last_tick: Tick(9),
        usage: PerResource::all(Extent::default()),
        executed,
        in_corridor: false,
        running: 0,
        incomplete: false,
    });
}

#[test]
fn without_a_client_an_execution_runs_one_tick_after_it_arrived() {
    let mut queue = queue();
    assert_eq!(step(&mut queue, &[1, 2]), []);
    assert_eq!(step(&mut queue, &[3]), [(1, 1), (2, 1)]);
    assert_eq!(step(&mut queue, &[]), [(3, 2)]);
}

#[test]
fn a_slot_decides_while_the_lease_lives_and_what_has_none_is_held() {
    let mut queue = queue();
    queue.control(&request(1, &[])).unwrap();
    step(&mut queue, &[1, 2]);
    let response = queue.control(&request(1, &[(1, 3), (9, 3)])).unwrap();
    assert_eq!(response.results[0].due_tick, Some(Tick(3)));
    assert_eq!(response.results[1].result, SetOutcome::Unknown);
    assert_eq!(step(&mut queue, &[]), []);
    assert_eq!(planned_step(&mut queue, &[]), []);
    assert_eq!(planned_step(&mut queue, &[]), [(1, 3)]);
    let response = queue.control(&request(1, &[(1, 7), (2, 2)])).unwrap();
    assert_eq!(
        (response.results[0].result, response.results[0].due_tick),
        (SetOutcome::Executed, Some(Tick(3)))
    );
    assert_eq!(response.results[1].due_tick, Some(Tick(4)), "a slot that has passed is the next tick");
    assert_eq!(step(&mut queue, &[]), [(2, 4)]);
}

#[test]
fn the_maximum_delay_is_honoured_exactly_and_never_shortens_a_delay() {
    let limits = HoldLimits { default_ticks: 5, by_query: BTreeMap::new() };
    let mut queue = Queue::new(Lengths::default(), limits, Mode::Enforce);
    queue.control(&request(1, &[])).unwrap();
    step(&mut queue, &[1, 2, 3]);
    queue.delay(id(2), 20).unwrap();
    queue.control(&ControlRequest { lease_ticks: 50, ..request(1, &[(3, 40)]) }).unwrap();
    let ran: Vec<_> = (1..30).flat_map(|_| planned_step(&mut queue, &[])).collect();
    assert_eq!(ran, [(1, 5), (3, 5), (2, 21)]);
}

#[test]
fn the_same_request_twice_changes_nothing() {
    let mut queue = queue();
    step(&mut queue, &[1]);
    let first = queue.control(&request(1, &[(1, 5)])).unwrap();
    assert_eq!(queue.control(&request(1, &[(1, 5)])).unwrap(), first);
}

#[test]
fn a_lower_epoch_is_fenced_and_changes_nothing() {
    let mut queue = queue();
    step(&mut queue, &[1]);
    queue.control(&request(7, &[(1, 5)])).unwrap();
    assert!(matches!(queue.control(&request(6, &[(1, 2)])), Err(ControlError::Fenced { current: 7, .. })));
    let stranger = ControlRequest { client: "other".to_owned(), ..request(7, &[(1, 2)]) };
    assert!(matches!(queue.control(&stranger), Err(ControlError::Fenced { .. })));
    assert_eq!(queue.planned().next().unwrap().tick, Tick(5));
}

/// Epoch 2^53 once: nobody could go above it any more, and the lease stood in the outbox.
#[test]
fn one_request_cannot_end_levelling_for_good() {
    let mut queue = queue();
    let jump = |queue: &mut Queue, got| queue.control(&request(got, &[])).map(|_| ());
    let far = 9_007_199_254_740_992;
    assert_eq!(jump(&mut queue, far), Err(ControlError::EpochJump { got: far, known: 0 }));
    assert_eq!(jump(&mut queue, 1_000_001), Err(ControlError::EpochJump { got: 1_000_001, known: 0 }));
    assert_eq!(queue.lease(), None, "nothing was changed");
    assert_eq!(jump(&mut queue, 1_000_000), Ok(()));
    assert_eq!(
        jump(&mut queue, 2_000_001),
        Err(ControlError::EpochJump { got: 2_000_001, known: 1_000_000 })
    );
    assert_eq!(jump(&mut queue, 2_000_000), Ok(()));
    let mut lease = queue.lease().cloned().unwrap();
    lease.epoch = EPOCH_MAX - 2;
    queue.lease = Some(lease);
    assert_eq!(jump(&mut queue, EPOCH_MAX - 1), Ok(()));
    assert!(matches!(jump(&mut queue, EPOCH_MAX), Err(ControlError::EpochJump { .. })));
}

/// What an older evenkeel took and recorded keeps nobody out after a restart.
#[test]
fn a_recorded_lease_whose_epoch_is_out_of_range_is_not_renewed() {
    let lease = Lease { client: "a stranger".to_owned(), epoch: 1 << 53, until: Tick(9), ticks: 10 };
    let state = ServerState { lease: Some(lease), ..ServerState::default() };
    let mut queue = Queue::recover(Lengths::default(), HoldLimits::default(), &state, &[]);
    assert_eq!(queue.lease(), None);
    assert!(queue.control(&request(1, &[])).is_ok());
}

#[test]
fn a_request_out_of_range_is_refused_whole() {
    let mut queue = queue();
    let long = ControlRequest { lease_ticks: 51, ..request(1, &[]) };
    assert_eq!(queue.control(&long), Err(ControlError::LeaseTicks(51)));
    let named = |client: String| ControlRequest { client, ..request(1, &[]) };
    let too_long = "x".repeat(CLIENT_BYTES_MAX + 1);
    assert_eq!(queue.control(&named(too_long)), Err(ControlError::ClientLength(CLIENT_BYTES_MAX + 1)));
    assert_eq!(queue.control(&named(String::new())), Err(ControlError::ClientLength(0)));
    for client in ["a\u{1b}[2J", "a\nb", "a\u{202e}b", "\u{9b}"] {
        assert_eq!(queue.control(&named(client.to_owned())), Err(ControlError::ClientNotPlain), "{client:?}");
    }
    let mut obeyed = request(1, &[(1, 5)]);
    obeyed.set[0].reason = "\u{1b}]0;title\u{7}".to_owned();
    assert_eq!(queue.control(&obeyed), Err(ControlError::ReasonNotPlain(id(1))));
    assert_eq!(queue.lease(), None);
    queue.control(&named("ä".repeat(CLIENT_BYTES_MAX / 2))).unwrap();
}

#[test]
fn a_name_that_was_recorded_before_names_had_a_limit_gets_shorter() {
    let client = format!("\u{1b}[2J{}", "x".repeat(4_000_000));
    let lease = Some(Lease { client, epoch: 3, until: Tick(10), ticks: 10 });
    let state = ServerState { next_tick: Tick(5), lease, ..ServerState::default() };
    let queue = Queue::recover(Lengths::default(), HoldLimits::default(), &state, &[]);
    let client = &queue.lease().unwrap().client;
    assert!(client.starts_with("\\u{1b}[2Jxxx") && client.len() < 300, "{client}");
}

#[test]
fn when_levelling_is_switched_off_the_backlog_drains_without_a_peak() {
    let mut queue = queue();
    close_window(&mut queue, 10);
    let held: Vec<u128> = (1..=30).collect();
    planned_step(&mut queue, &held);
    (0..5).for_each(|_| assert_eq!(planned_step(&mut queue, &[]), []));
    queue.set_mode(Mode::Off);
    // The mean is one a tick, so two may leave, and an arrival that is due on time leaves room for one.
    let mut next = 1000;
    let mut left = Vec::new();
    while queue.waiting.values().any(|waiting| waiting.queued.due_tick < queue.next_tick) {
        let ran = step(&mut queue, &[next]);
        next += 1;
        assert!(ran.len() <= 2, "{ran:?}");
        left.extend(ran.into_iter().map(|(n, _)| n).filter(|n| *n <= 30));
    }
    assert_eq!(left, held, "oldest first");
}

/// Slots of three ticks that came together, when all of these had begun, ran in one tick of three times the mean.
#[test]
fn a_plan_that_comes_late_is_not_a_peak() {
    let mut queue = queue();
    close_window(&mut queue, 20);
    planned_step(&mut queue, &[1, 2, 3, 4, 5, 6, 7, 8]);
    (0..3).for_each(|_| assert_eq!(planned_step(&mut queue, &[]), []));
    let slots = [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4), (8, 4)];
    let response = queue.control(&request(1, &slots)).unwrap();
    assert!(
        response.results.iter().all(|result| result.due_tick == Some(Tick(4))),
        "as soon as there is room"
    );
    // The mean is two a tick: three may run, of which two are on time.
    assert_eq!(step(&mut queue, &[]), [(1, 4), (7, 4), (8, 4)]);
    assert_eq!(planned_step(&mut queue, &[]), [(2, 5), (3, 5), (4, 5)]);
}

/// When a client that stood still came back, all that it had placed before ran at once.
#[test]
fn slots_from_before_the_lease_ended_are_not_a_peak_when_it_lives_again() {
    let mut queue = queue();
    close_window(&mut queue, 10);
    let held: Vec<u128> = (1..=30).collect();
    step(&mut queue, &held);
    let slots: Vec<_> = held.iter().map(|n| (*n, 5)).collect();
    queue.control(&ControlRequest { lease_ticks: 2, ..request(1, &slots) }).unwrap();
    let mut left = 0;
    for tick in 1..=40 {
        if tick > 6 {
            queue.control(&request(1, &slots)).unwrap();
        }
        let ran = step(&mut queue, &[]).len();
        assert!(ran <= 2, "{ran} at once in tick {tick}");
        left += ran;
    }
    assert_eq!(left, held.len());
}

#[test]
fn a_backlog_ends_even_when_arrivals_fill_every_tick() {
    let mut queue = queue();
    planned_step(&mut queue, &[1]);
    planned_step(&mut queue, &[2, 3, 4]);
    queue.set_mode(Mode::Off);
    assert_eq!(step(&mut queue, &[]), [(1, 2), (2, 2), (3, 2), (4, 2)]);
}

#[test]
fn a_delay_adds_up_and_is_refused_when_it_cannot_be() {
    let mut queue = queue();
    step(&mut queue, &[1]);
    queue.delay(id(1), 2).unwrap();
    let (queued, record) = queue.delay(id(1), 3).unwrap();
    assert_eq!((queued.due_tick, record.due_tick, record.added_ticks), (Tick(6), Tick(6), 3));
    assert_eq!(queue.delay(id(2), 1), Err(DelayError::NotQueued(id(2))));
    assert_eq!(queue.delay(id(1), 0), Err(DelayError::OutOfRange(0)));
    assert_eq!(queue.delay(id(1), 864_001), Err(DelayError::OutOfRange(864_001)));
}

#[test]
fn in_shadow_executions_run_at_their_base_and_say_what_would_have_been() {
    let mut queue = Queue::new(Lengths::default(), HoldLimits::default(), Mode::Shadow);
    step(&mut queue, &[1, 2]);
    queue.control(&request(1, &[(1, 9)])).unwrap();
    let tick = queue.next_tick();
    let executed = queue.advance(tick, 0, []).unwrap().executed;
    assert_eq!(executed[0].reason, "shadow: would run at tick 9. because");
    assert!(executed[1].reason.starts_with("shadow: "));
    assert_eq!(executed[1].tick, Tick(1));
}

#[test]
fn reasons_are_empty_exactly_when_nothing_was_delayed() {
    let mut queue = queue();
    step(&mut queue, &[1, 2, 3]);
    queue.delay(id(2), 1).unwrap();
    queue.control(&request(1, &[(1, 1), (2, 2), (3, 4)])).unwrap();
    let reasons: Vec<_> = (0..4)
        .flat_map(|_| queue.advance(queue.next_tick(), 0, []).unwrap().executed)
        .map(|executed| executed.reason)
        .collect();
    assert_eq!(reasons, ["", "delayed on request to tick 2", "because"]);
}

#[test]
fn a_recovered_queue_keeps_rows_and_mode_voids_slots_and_renews_the_lease_once() {
    let mut queue = queue();
    step(&mut queue, &[1, 2]);
    queue.control(&request(3, &[(1, 2)])).unwrap();
    let rows: Vec<_> = queue.planned().map(|planned| planned.queued).collect();
    let state = ServerState {
        next_tick: queue.next_tick(),
        mode: queue.mode(),
        lease: queue.lease().cloned(),
        ..ServerState::default()
    };
    let mut queue = Queue::recover(Lengths::default(), HoldLimits::default(), &state, &rows);
    assert!(queue.levelled());
    assert!(queue.planned().all(|planned| planned.held));
    assert!(matches!(queue.control(&request(2, &[])), Err(ControlError::Fenced { .. })));
    assert_eq!(queue.lease().unwrap().until, Tick(11));
}

#[test]
fn a_tick_out_of_step_is_refused() {
    let mut queue = queue();
    assert_eq!(queue.advance(Tick(3), 0, []), Err(OutOfStep { expected: Tick(0), got: Tick(3) }));
    assert_eq!(queue.next_tick(), Tick(0));
}

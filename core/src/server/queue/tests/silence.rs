//! What runs while nobody plans.

use super::*;

/// A queue that has run two a tick for a minute, in which `stock` wait; the next id.
fn level(stock: u128) -> (Queue, u128) {
    let mut queue = queue();
    let mut next = stock;
    planned_step(&mut queue, &(0..stock).collect::<Vec<_>>());
    for tick in 1..600_u64 {
        let slots: Vec<_> = (next - stock..next - stock + 2).map(|n| (n, tick)).collect();
        queue.control(&request(1, &slots)).unwrap();
        assert_eq!(step(&mut queue, &[next, next + 1]).len(), 2);
        next += 2;
        if tick % 10 == 0 {
            close_window(&mut queue, 20);
        }
    }
    (queue, next)
}

/// Ticks without a plan, two arrivals in each: how many ran in each.
fn silent(queue: &mut Queue, next: &mut u128, ticks: usize) -> Vec<usize> {
    let each = (0..ticks).map(|_| {
        let ran = step(queue, &[*next, *next + 1]);
        *next += 2;
        ran.len()
    });
    each.collect()
}

#[test]
fn the_load_goes_on_at_its_pace_and_the_stock_is_held_for_a_minute() {
    let (mut queue, mut next) = level(20);
    let ran = silent(&mut queue, &mut next, 500);
    assert!(ran.iter().all(|ran| (1..=3).contains(ran)), "{ran:?}");
    assert_eq!(ran[..100].iter().sum::<usize>(), 200);
    assert!((18..=22).contains(&queue.len()), "{} wait", queue.len());
}

#[test]
fn after_a_minute_the_stock_fades_and_then_base_due_ticks_count() {
    let (mut queue, mut next) = level(20);
    silent(&mut queue, &mut next, 600);
    let held = queue.len();
    let fading = silent(&mut queue, &mut next, 600);
    assert!(fading.iter().all(|ran| (1..=3).contains(ran)), "{fading:?}");
    assert!(held >= 18 && queue.len() <= 6, "{held} waited, {} are left", queue.len());
    // Once what is overdue has left, an arrival runs in the next tick.
    silent(&mut queue, &mut next, 20);
    assert_eq!(queue.len(), 2);
}

#[test]
fn arrivals_wait_like_the_others_and_leave_oldest_first() {
    let (mut queue, _) = level(20);
    let first = *queue.waiting.keys().next().unwrap();
    let ran = step(&mut queue, &[90_001, 90_002]);
    assert_eq!(ran.first().map(|(n, _)| id(*n)), Some(first));
    let ran: Vec<_> = (0..20).flat_map(|_| step(&mut queue, &[])).map(|(n, _)| n).collect();
    assert!(ran.is_sorted(), "{ran:?}");
}

#[test]
fn a_plan_ends_the_silence() {
    let (mut queue, mut next) = level(20);
    silent(&mut queue, &mut next, 30);
    assert_eq!(planned_step(&mut queue, &[]), [], "what has no slot is held again");
}

#[test]
fn a_plan_that_is_made_from_an_old_view_is_no_stall_and_meets_the_next_one_without_a_peak() {
    let (mut queue, mut next) = level(20);
    let first = *queue.waiting.keys().next().unwrap();
    let first = first.0.as_u128();
    let from = queue.next_tick().0;
    silent(&mut queue, &mut next, 5);
    // Made five ticks ago: all of it has run.
    let slots: Vec<_> =
        (first..first + 6).map(|n| (n, from + u64::try_from(n - first).unwrap() / 2)).collect();
    queue.control(&request(1, &slots)).unwrap();
    let mut ran = silent(&mut queue, &mut next, 2);
    // Two ticks old: one of its slots is left for the next tick.
    let oldest = queue.waiting.keys().next().unwrap().0.as_u128();
    let now = queue.next_tick().0;
    queue
        .control(&request(
            1,
            &[(first, now - 2), (oldest, now), (oldest + 1, now + 1), (oldest + 2, now + 1)],
        ))
        .unwrap();
    ran.extend(silent(&mut queue, &mut next, 1));
    // A new one, which knows nothing of the slots that the last one has placed.
    let waiting: Vec<_> = queue.waiting.keys().rev().take(6).map(|id| (id.0.as_u128(), now + 1)).collect();
    queue.control(&request(1, &waiting)).unwrap();
    ran.push(step(&mut queue, &[]).len());
    assert!(ran[..3].iter().all(|ran| (1..=3).contains(ran)), "the load stands still: {ran:?}");
    assert_eq!(ran[3], 4, "a quarter more than two, and one: {ran:?}");
}

#[test]
fn a_delay_and_a_maximum_delay_count_in_silence_too() {
    let (mut queue, mut next) = level(20);
    let last = *queue.waiting.keys().next_back().unwrap();
    queue.delay(last, 200).unwrap();
    let due = queue.waiting[&last].queued.due_tick;
    let mut ran_at = None;
    while ran_at.is_none() && queue.next_tick() < Tick(900) {
        let ran = step(&mut queue, &[next, next + 1]);
        next += 2;
        ran_at = ran.into_iter().find(|(n, _)| id(*n) == last).map(|(_, tick)| Tick(tick));
    }
    assert!(ran_at >= Some(due), "{ran_at:?} is before {due}");
    let limits = HoldLimits { default_ticks: 5, by_query: BTreeMap::new() };
    let mut queue = Queue::new(Lengths::default(), limits, Mode::Enforce);
    close_window(&mut queue, 1);
    planned_step(&mut queue, &[1, 2, 3]);
    let ran: Vec<_> = (0..5).flat_map(|_| step(&mut queue, &[])).collect();
    assert_eq!(ran.len(), 3, "a tenth a tick is the pace, and none waits for longer than 5 ticks: {ran:?}");
}

#[test]
fn where_nobody_has_ever_levelled_nothing_is_held() {
    let mut queue = queue();
    assert_eq!(step(&mut queue, &[1, 2, 3]), []);
    assert_eq!(step(&mut queue, &[]), [(1, 1), (2, 1), (3, 1)]);
}

#[test]
fn slots_that_were_handed_over_run_without_a_lease_and_the_lease_is_free() {
    let (mut queue, mut next) = level(20);
    let waiting: Vec<_> = queue.waiting.keys().map(|id| id.0.as_u128()).collect();
    let from = queue.next_tick().0;
    // The newest first, so that nobody can take them for those that the server lets go.
    let slots: Vec<_> = waiting.iter().rev().enumerate().map(|(at, n)| (*n, from + at as u64)).collect();
    let answer = queue.control(&ControlRequest { handover: true, ..request(1, &slots) }).unwrap();
    assert!(answer.lease_until < queue.next_tick() && !queue.levelled());
    let mut total = 0;
    for (n, tick) in slots {
        let ran = step(&mut queue, &[next, next + 1]);
        next += 2;
        assert!(ran.contains(&(n, tick)), "{n} at {tick}: {ran:?}");
        assert!(ran.len() <= 3, "slots and arrivals together: {ran:?}");
        total += ran.len();
    }
    assert!((36..=44).contains(&total), "{total} in 20 ticks at two a tick");
    // Whoever comes next needs no higher epoch than one more.
    let standby = ControlRequest { client: "standby".to_owned(), ..request(2, &[]) };
    assert!(queue.control(&standby).is_ok() && queue.levelled());
}

#[test]
fn a_standbys_first_plan_replaces_what_was_handed_over() {
    let (mut queue, _) = level(20);
    let waiting: Vec<_> = queue.waiting.keys().map(|id| id.0.as_u128()).collect();
    let from = queue.next_tick().0;
    let slots: Vec<_> = waiting.iter().map(|n| (*n, from + 2)).collect();
    queue.control(&ControlRequest { handover: true, ..request(1, &slots) }).unwrap();
    let chosen = [(waiting[7], from)];
    queue.control(&ControlRequest { client: "standby".to_owned(), ..request(2, &chosen) }).unwrap();
    assert_eq!(step(&mut queue, &[]), chosen);
    for _ in 0..5 {
        queue.control(&ControlRequest { client: "standby".to_owned(), ..request(2, &[]) }).unwrap();
        assert_eq!(step(&mut queue, &[]), [], "what the new plan does not name is held for its next one");
    }
}

#[test]
fn a_handover_twice_changes_nothing_and_is_all_that_counts() {
    let (mut queue, _) = level(20);
    let waiting: Vec<_> = queue.waiting.keys().map(|id| id.0.as_u128()).collect();
    let from = queue.next_tick().0;
    // A slot of an earlier plan, which the last request does not name.
    queue.control(&request(1, &[(waiting[19], from)])).unwrap();
    let slots: Vec<_> = waiting[..4].iter().map(|n| (*n, from + 1)).collect();
    let handover = ControlRequest { handover: true, ..request(1, &slots) };
    let first = queue.control(&handover).unwrap();
    let planned: Vec<_> = queue.planned().map(|planned| (planned.queued, planned.tick)).collect();
    assert!(planned.iter().filter(|(_, tick)| tick.0 == from + 1).count() == 4, "{planned:?}");
    assert_eq!(queue.control(&handover).unwrap(), first);
    let again: Vec<_> = queue.planned().map(|planned| (planned.queued, planned.tick)).collect();
    assert_eq!(planned, again);
    assert!(!step(&mut queue, &[]).contains(&(waiting[19], from)), "the oldest are let go instead");
}

#[test]
fn a_server_that_starts_again_holds_what_waits_until_its_leader_is_back() {
    let (queue, mut next) = level(20);
    let rows: Vec<_> = queue.planned().map(|planned| planned.queued).collect();
    let state = ServerState {
        next_tick: queue.next_tick(),
        executed_by_window: queue.executed_by_window().to_vec(),
        lease: queue.lease().cloned(),
        mode: Mode::Enforce,
        ..ServerState::default()
    };
    let mut again = Queue::recover(Lengths::default(), HoldLimits::default(), &state, &rows);
    let ran = silent(&mut again, &mut next, 100);
    assert!(ran.iter().all(|ran| (1..=3).contains(ran)), "{ran:?}");
    assert!((18..=22).contains(&again.len()), "{} wait", again.len());
}

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    estimator::CostEstimate,
    journal::{Executed, Outcome, QueueEvent, QueueRecord},
    server::control::REASON_BYTES_MAX,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::PerResource,
    },
};

const QUERIES: usize = 6;

fn query(index: usize) -> QueryId {
    QueryId::simulated(7, index)
}

fn execution(n: usize) -> ExecutionId {
    ExecutionId::new(1_800_000_000_000, n as u128)
}

fn costs() -> Estimates {
    let costs = [[60.0, 35.0, 40.0], [38.0, 62.0, 33.0], [45.0, 36.0, 57.0], [61.0, 34.0, 39.0], [30.0; 3]];
    let estimate = |[cpu, io, memory]: [f64; 3]| CostEstimate {
        cost: PerResource { cpu, io, memory },
        standard_error: PerResource::default(),
        observations: 9,
        identifiable: true,
    };
    // The sixth query was never seen.
    let by_query = costs.into_iter().enumerate().map(|(n, cost)| (query(n), estimate(cost)));
    Estimates::new(by_query.collect(), None)
}

fn expected(rate: f64, tick: Tick) -> Vec<Expected> {
    let mean = rate / QUERIES as f64;
    (0..QUERIES).map(|n| Expected { tick, query: query(n), mean, spread: mean }).collect()
}

prop_compose! {
    fn waiting(tick: u64)(
        rows in prop::collection::vec((0..QUERIES, 0..200_u64, 0..40_u64, 0..300_u64), 0..150)
    ) -> Vec<Pending> {
        let row = |(n, (index, age, delayed, hold)): (usize, (usize, u64, u64, u64))| {
            let queued_tick = Tick(tick - age.min(tick));
            let due_tick = queued_tick.after(1 + delayed);
            Pending {
                execution: execution(n),
                query: query(index),
                queued_tick,
                due_tick,
                deadline: queued_tick.after(hold).max(due_tick),
            }
        };
        let mut pending: Vec<_> = rows.into_iter().enumerate().map(row).collect();
        pending.sort_by_key(|pending| (pending.queued_tick, pending.execution));
        pending
    }
}

proptest! {
    #[test]
    fn a_plan_is_pure_idempotent_and_keeps_every_limit(
        pending in waiting(995),
        tick in 990..1_010_u64,
        rate in 0.1..40.0_f64,
        budget in prop::option::of(1.0..200.0_f64),
    ) {
        let (estimates, tick) = (costs(), Tick(tick));
        let expected = expected(rate, tick.next());
        let problem = Problem {
            lengths: Lengths::default(),
            tick,
            pending: &pending,
            estimates: &estimates,
            expected: &expected,
            recent: &[],
            recent_delay: None,
            delay_budget: budget,
        };
        let (plan, carry) = plan(&problem, &Carry::default());
        prop_assert_eq!(&super::plan(&problem, &Carry::default()), &(plan.clone(), carry.clone()));
        prop_assert_eq!(&super::plan(&problem, &carry), &(plan.clone(), carry));

        let by_id: BTreeMap<_, _> = pending.iter().map(|p| (p.execution, p)).collect();
        let named: BTreeSet<_> = plan.set.iter().map(|set| set.execution).collect();
        prop_assert_eq!(named.len(), plan.set.len());
        for set in &plan.set {
            let pending = by_id[&set.execution];
            prop_assert!(set.due_tick > tick && set.due_tick >= pending.due_tick, "{set:?} {pending:?}");
            prop_assert!(!set.reason.is_empty() && set.reason.len() <= REASON_BYTES_MAX);
        }
        // What must run in the next tick has a slot there; what is overdue does not wait for a plan.
        for pending in pending.iter().filter(|p| p.deadline <= tick.next()) {
            let slot = plan.set.iter().find(|set| set.execution == pending.execution);
            prop_assert_eq!(slot.map(|slot| slot.due_tick), Some(tick.next()));
        }
        let quiet = plan.feasibility.binding == Some(Binding::Arrivals) && rate < 0.7;
        prop_assert_eq!(quiet, rate < 0.7);
    }

    #[test]
    fn the_fold_does_not_depend_on_how_streams_interleave(
        rows in prop::collection::vec((0..QUERIES, 1..30_u64, any::<bool>()), 1..60),
        cuts in prop::collection::vec(any::<bool>(), 240),
    ) {
        let (queue, executions) = journal(&rows);
        let mut in_order = scheduler();
        queue.iter().chain(&executions).for_each(|record| in_order.apply(record));

        let mut mixed = scheduler();
        let (mut queue, mut executions) = (queue.iter().peekable(), executions.iter().peekable());
        for queue_first in cuts {
            match (queue_first, queue.peek(), executions.peek()) {
                (true, Some(_), _) | (_, Some(_), None) => queue.next().into_iter().for_each(|record| mixed.apply(record)),
                (_, _, Some(_)) => executions.next().into_iter().for_each(|record| mixed.apply(record)),
                (_, None, None) => break,
            }
        }
        prop_assert_eq!(in_order.snapshot(), mixed.snapshot());

        let text = serde_json::to_string(&mixed.snapshot()).unwrap();
        let snapshot = serde_json::from_str(&text).unwrap();
        let mut restored =
            Scheduler::restore(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None, snapshot).unwrap();
        prop_assert_eq!(restored.snapshot(), mixed.snapshot());
        prop_assert_eq!(restored.decide(Tick(100), &costs()), mixed.decide(Tick(100), &costs()));
    }
}

fn scheduler() -> Scheduler {
    Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None)
}

/// Arrivals one a tick, some delayed on request, some run.
fn journal(rows: &[(usize, u64, bool)]) -> (Vec<Record>, Vec<Record>) {
    let (mut queue, mut executions) = (Vec::new(), Vec::new());
    for (n, (index, wait, delayed)) in rows.iter().enumerate() {
        let tick = Tick(n as u64);
        let record = QueueRecord {
            event: QueueEvent::Queued,
            execution: execution(n),
            query: query(*index),
            tick,
            due_tick: tick.next(),
            added_ticks: 0,
            statement: None,
        };
        queue.push(record.clone());
        if *delayed {
            queue.push(QueueRecord {
                event: QueueEvent::Delayed,
                due_tick: tick.after(4),
                added_ticks: 3,
                ..record
            });
        }
        if *wait < 20 {
            executions.push(Executed {
                execution: record.execution,
                query: record.query,
                queued_tick: tick,
                due_tick: tick.next(),
                tick: tick.after(*wait),
                finished_tick: tick.after(*wait),
                reason: String::new(),
                outcome: Outcome::Ok,
                executed_at_ms: 0,
                tenant: None,
                trace: None,
                statement: None,
                answer: None,
            });
        }
    }
    executions.sort_by_key(|executed| (executed.tick, executed.execution));
    (queue.into_iter().map(Record::Queue).collect(), executions.into_iter().map(Record::Executed).collect())
}

#[test]
fn a_snapshot_that_cannot_be_is_an_error_and_no_panic() {
    let (queue, _) = journal(&[(0, 25, false), (1, 25, false)]);
    let mut scheduler = scheduler();
    for record in &queue {
        scheduler.apply(record);
    }
    let good = serde_json::to_value(scheduler.snapshot()).unwrap();
    let restore = |value: serde_json::Value| {
        let snapshot = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Scheduler::restore(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None, snapshot)
            .map_err(|error| error.to_string())
    };
    assert_eq!(restore(good.clone()).map(|restored| restored.fold.backlog.pending().len()), Ok(2));

    let mut twice = good.clone();
    twice["waiting"][1] = twice["waiting"][0].clone();
    assert!(restore(twice).is_err());
    let mut negative = good.clone();
    negative["arrivals"]["total"]["sum"] = (-1.0_f64).to_bits().into();
    assert!(restore(negative).is_err());
    let mut unknown = good;
    unknown["surprise"] = 1.into();
    assert!(restore(unknown).is_err());
}

#[test]
fn what_the_server_does_not_know_takes_no_room_in_a_plan_and_stays_in_the_fold() {
    let (queue, _) = journal(&[(0, 25, false), (1, 25, false)]);
    let mut scheduler = scheduler();
    for record in &queue {
        scheduler.apply(record);
    }
    let planned = |scheduler: &mut Scheduler, tick| -> Vec<ExecutionId> {
        scheduler.decide(Tick(tick), &costs()).set.iter().map(|slot| slot.execution).collect()
    };
    let snapshot = scheduler.snapshot();
    let both = planned(&mut scheduler, 30);
    assert_eq!(both.len(), 2);
    let ghost = SetResult { execution: both[0], result: SetOutcome::Unknown, due_tick: None };
    let waits = SetResult { execution: both[1], result: SetOutcome::Set, due_tick: None };
    scheduler.answered(&[ghost, waits]);
    assert_eq!(planned(&mut scheduler, 31), [both[1]]);
    assert_eq!(scheduler.snapshot(), snapshot);
}

#[test]
fn below_one_arrival_a_tick_nobody_is_held_and_the_plan_says_why() {
    let estimates = costs();
    let pending = [Pending {
        execution: execution(1),
        query: query(1),
        queued_tick: Tick(9),
        due_tick: Tick(10),
        deadline: Tick(1_209),
    }];
    let expected = expected(0.3, Tick(10));
    let problem = Problem {
        lengths: Lengths::default(),
        tick: Tick(9),
        pending: &pending,
        estimates: &estimates,
        expected: &expected,
        recent: &[],
        recent_delay: None,
        delay_budget: None,
    };
    let (plan, _) = plan(&problem, &Carry::default());
    assert_eq!(plan.feasibility, Feasibility::bound_by(Binding::Arrivals));
    assert_eq!(plan.set[0].due_tick, Tick(10));
    assert!(plan.set[0].reason.contains("0.30 arrivals"));
}

#[test]
fn where_the_corridor_is_out_of_reach_peaks_are_cut_and_the_plan_says_both() {
    let (estimates, tick) = (costs(), Tick(99));
    let pending: Vec<Pending> = (0..12)
        .map(|n| Pending {
            execution: execution(n),
            query: query(n % 5),
            queued_tick: tick,
            due_tick: tick.next(),
            deadline: Tick(1_299),
        })
        .collect();
    let expected = expected(1.5, tick.next());
    let problem = Problem {
        lengths: Lengths::default(),
        tick,
        pending: &pending,
        estimates: &estimates,
        expected: &expected,
        recent: &[],
        recent_delay: None,
        delay_budget: Some(3.0),
    };
    let (plan, _) = plan(&problem, &Carry::default());
    assert_eq!(plan.feasibility, Feasibility::only_peaks(Binding::Budget));
    let next: Vec<_> = plan.set.iter().filter(|set| set.due_tick == tick.next()).collect();
    assert!((1..=5).contains(&next.len()), "{next:?}");
    assert!(next[0].reason.contains("the delay budget is too small"), "{}", next[0].reason);
    assert!(next[0].reason.contains("peaks are cut"), "{}", next[0].reason);
}

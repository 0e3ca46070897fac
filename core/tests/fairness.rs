//! Nothing starves, and maximum delays are honoured exactly, whatever arrives and however late decisions come.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::collections::BTreeMap;

use evenkeel_core::{
    estimator::{CostEstimate, Estimates},
    journal::{Mode, Recovered, ServerState},
    scheduler::{PolicyName, Scheduler},
    server::{
        control::{ControlRequest, LEASE_TICKS_DEFAULT},
        queue::{HoldLimits, RecordedQueue},
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::{PerResource, Usage},
        tick::Tick,
        window::Measured,
    },
};
use proptest::prelude::*;

const QUERIES: usize = 8;
const TICKS: usize = 240;

fn query(index: usize) -> QueryId {
    QueryId::simulated(11, index)
}

fn estimates(costs: &[[f64; 3]]) -> Estimates {
    let estimate = |[cpu, io, memory]: [f64; 3]| CostEstimate {
        cost: PerResource { cpu, io, memory },
        standard_error: PerResource::default(),
        observations: 9,
        identifiable: true,
    };
    let by_query = costs.iter().enumerate().map(|(n, cost)| (query(n), estimate(*cost)));
    Estimates::new(by_query.collect(), None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn everything_runs_within_its_maximum_delay(
        costs in prop::collection::vec(prop::array::uniform3(1.0..500.0_f64), QUERIES),
        // Of which query, and whether it is delayed on request.
        arrivals in prop::collection::vec(prop::collection::vec((0..QUERIES, 0..40_u64), 0..8), TICKS),
        hold in 1..90_u64,
        hold_of_one in 1..90_u64,
        budget in prop::option::of(1.0..60.0_f64),
        late in prop::collection::vec(any::<bool>(), 7),
    ) {
        let limits = HoldLimits { default_ticks: hold, by_query: BTreeMap::from([(query(0), hold_of_one)]) };
        let begin = Recovered {
            state: ServerState { mode: Mode::Enforce, ..ServerState::default() },
            ..Recovered::default()
        };
        let mut queue = RecordedQueue::recover(Lengths::default(), limits.clone(), &begin);
        let mut scheduler = Scheduler::new(PolicyName::Evenkeel, Lengths::default(), limits.clone(), budget);
        let (estimates, mut measured) = (estimates(&costs), Measured::default());
        let (mut arrived, mut ran, mut under_way) = (0_u128, 0, None);
        for tick in 0..TICKS as u64 + 140 {
            if tick > 0 {
                measured.add(Tick(tick - 1), &Usage::default(), 0).unwrap();
            }
            let of_tick = arrivals.get(tick as usize).map(Vec::as_slice).unwrap_or_default();
            let first = arrived + 1;
            arrived += of_tick.len() as u128;
            let ids = (first..=arrived).map(|n| ExecutionId::new(100 * tick, n));
            let rows = ids.clone().zip(of_tick.iter().map(|(index, _)| query(*index))).map(Into::into).collect();
            let (commit, executed) = queue.advance(Tick(tick), 100 * tick, rows, measured).unwrap();
            for executed in &executed {
                let deadline = limits.deadline(executed.query, executed.queued_tick, executed.due_tick);
                prop_assert!(executed.tick >= executed.due_tick, "{executed:?}");
                prop_assert!(executed.tick <= deadline, "{executed:?}, at most until {deadline}");
            }
            ran += executed.len() as u128;
            if let Some(request) = under_way.take() {
                queue.control(&request).unwrap();
            }
            let mut records = commit.records;
            for (id, (_, added)) in ids.zip(of_tick).filter(|(_, (_, added))| *added > 35) {
                records.extend(queue.delay(id, *added, 100 * tick).unwrap().records);
            }
            for record in &records {
                scheduler.apply(record);
            }
            let set = scheduler.decide(Tick(tick), &estimates).into_request();
            let client = "fair".to_owned();
            let request = ControlRequest { client, epoch: 1, lease_ticks: LEASE_TICKS_DEFAULT, set, handover: false  };
            if late[tick as usize % late.len()] {
                under_way = Some(request);
            } else {
                queue.control(&request).unwrap();
            }
        }
        // The longest hold after the last arrival is over.
        prop_assert_eq!(ran, arrived);
        let kept = serde_json::to_value(scheduler.snapshot()).unwrap();
        prop_assert_eq!(&kept["waiting"], &serde_json::json!([]));
    }
}

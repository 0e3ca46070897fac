//! The circle of queue, estimator and scheduler in virtual time, in which a test says when plans reach the queue.

use std::collections::BTreeMap;

use evenkeel_core::{
    estimator::Estimator,
    journal::{Commit, Executed, Mode, Recovered, ServerState},
    scheduler::{PolicyName, Scheduler},
    server::{
        control::{ControlRequest, LEASE_TICKS_DEFAULT},
        queue::{HoldLimits, RecordedQueue},
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::Measured,
    },
    world::{Scenario, World},
};

/// See the module.
pub(crate) struct Circle {
    world: World,
    index: BTreeMap<QueryId, usize>,
    pub(crate) queue: RecordedQueue,
    scheduler: Scheduler,
    estimator: Estimator,
    measured: Measured,
    last: Option<(Usage, u64)>,
    executions: u128,
}

impl Circle {
    pub(crate) fn new(scenario: Scenario, seed: u64, delay_budget: Option<f64>) -> Self {
        let world = World::new(scenario.parameters(), seed).unwrap();
        let lengths = world.parameters().lengths();
        let state = ServerState { mode: Mode::Enforce, ..ServerState::default() };
        let begin = Recovered { state, ..Recovered::default() };
        Self {
            index: (0..world.query_count()).map(|i| (world.query(i), i)).collect(),
            queue: RecordedQueue::recover(lengths, HoldLimits::default(), &begin),
            scheduler: Scheduler::new(PolicyName::Evenkeel, lengths, HoldLimits::default(), delay_budget),
            estimator: Estimator::default(),
            measured: Measured::default(),
            last: None,
            executions: 0,
            world,
        }
    }

    pub(crate) fn lengths(&self) -> Lengths {
        self.world.parameters().lengths()
    }

    /// A tick of the server: what was recorded, what ran and what that used.
    pub(crate) fn tick(&mut self, tick: Tick) -> (Commit, Vec<Executed>, Usage) {
        if let Some((usage, executed)) = &self.last {
            self.measured.add(Tick(tick.0 - 1), usage, *executed).unwrap();
        }
        let at_ms = self.lengths().ms_of(tick.0);
        let arrivals = self.world.arrivals(tick).into_iter().map(|index| {
            self.executions += 1;
            (ExecutionId::new(at_ms, self.executions), self.world.query(index))
        });
        let (commit, executed) =
            self.queue.advance(tick, at_ms, arrivals.map(Into::into).collect(), self.measured).unwrap();
        let mut usage = Usage::default();
        for executed in &executed {
            usage += self.world.cost(self.index[&executed.query], tick);
        }
        self.last = Some((usage, executed.len() as u64));
        (commit, executed, usage)
    }

    /// The client reads what `commit` recorded.
    pub(crate) fn read(&mut self, commit: &Commit) {
        for record in &commit.records {
            self.estimator.apply(record);
            self.scheduler.apply(record);
        }
    }

    /// What a client of `epoch` decides after `tick`.
    pub(crate) fn plan(&mut self, tick: Tick, epoch: u64, handover: bool) -> ControlRequest {
        let estimates = self.estimator.estimates();
        let plan = if handover {
            self.scheduler.hand_over(tick, estimates)
        } else {
            self.scheduler.decide(tick, estimates)
        };
        let set = plan.into_request();
        let client = format!("client {epoch}");
        ControlRequest { client, epoch, lease_ticks: LEASE_TICKS_DEFAULT, set, handover }
    }
}

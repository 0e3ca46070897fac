//! Queue, steps and scheduler in virtual time, wherever executions come from and whatever they cost.
//!
//! ```text
//! tick t:  usage of t−1 ─▶ window ─▶ queue.advance(t) ─▶ records ─▶ scheduler ─▶ control, acts from t+1
//! ```

use crate::{
    estimator::Estimates,
    journal::{Commit, Executed, Mode, QueueEvent, QueueRecord, Recovered, ServerState},
    scheduler::{Feasibility, Scheduler},
    server::{
        control::{ControlRequest, lease_ticks},
        queue::{Arrival, HoldLimits, Queue, RecordedQueue},
        steps::{Action, Steps, TickUsage},
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::{Measured, OpenWindow},
    },
};

/// See the module.
pub struct Circle {
    queue: RecordedQueue,
    steps: Steps,
    measured: Measured,
    scheduler: Scheduler,
    lengths: Lengths,
}

/// What one tick did.
#[derive(Clone, Debug)]
pub struct Ticked {
    /// What a journal would have recorded.
    pub commit: Commit,
    /// What ran.
    pub executed: Vec<Executed>,
    /// What that used, in resource units.
    pub usage: Usage,
}

impl Circle {
    /// A circle that has seen nothing and begins with tick `first`, the first of a window.
    pub fn new(lengths: Lengths, mode: Mode, limits: HoldLimits, scheduler: Scheduler, first: Tick) -> Self {
        let state = ServerState { mode, next_tick: first, ..ServerState::default() };
        let begin = Recovered { state, ..Recovered::default() };
        let mut steps = Steps::default();
        steps.recovered_once(&begin);
        Self {
            queue: RecordedQueue::recover(lengths, limits, &begin),
            steps,
            measured: Measured::recover(lengths, OpenWindow::of(lengths), None),
            scheduler,
            lengths,
        }
    }

    /// One tick, in the steps that the daemon takes. `cost` says what an execution uses.
    pub fn step(
        &mut self,
        tick: Tick,
        arrivals: Vec<(ExecutionId, QueryId)>,
        cost: impl Fn(&Executed) -> Usage,
    ) -> Ticked {
        let (mut recorded, mut ran, mut used) = (None, Vec::new(), Usage::default());
        let mut arrivals = Some(arrivals);
        let mut steps = std::mem::take(&mut self.steps);
        while steps.due() != Some(tick.next()) {
            match steps.action() {
                Action::Measure(usage) => steps.measured(self.measure(usage)),
                Action::Advance(tick, measured) => {
                    let at_ms = self.lengths.ms_of(tick.0);
                    let arrivals = arrivals.take().unwrap_or_default().into_iter().map(Arrival::from);
                    let advanced = self.queue.advance(tick, at_ms, arrivals.collect(), measured);
                    let (commit, executed) = advanced.expect("ticks come in order");
                    recorded = Some(commit);
                    steps.advanced(executed);
                }
                Action::Start(_, batch) => {
                    for executed in batch {
                        used += cost(executed);
                    }
                    ran = batch.to_vec();
                    steps.started(used);
                }
                Action::Recover | Action::Await(_) => {
                    unreachable!("nothing fails, and usage is told at once")
                }
            }
        }
        self.steps = steps;
        let commit = recorded.expect("a tick records something, be it nothing but its state");
        commit.records.iter().for_each(|record| self.scheduler.apply(record));
        Ticked { commit, executed: ran, usage: used }
    }

    fn measure(&mut self, usage: Option<TickUsage>) -> Measured {
        if let Some(TickUsage { tick, usage, executed }) = usage {
            self.measured.add(tick, &usage, executed).expect("ticks come in order");
        }
        self.measured
    }

    /// Plans after `tick`: the slots act from the next tick on.
    pub fn level(&mut self, tick: Tick, estimates: &Estimates) -> Feasibility {
        let plan = self.scheduler.decide(tick, estimates);
        let feasibility = plan.feasibility;
        let request = ControlRequest {
            client: "simulate".to_owned(),
            epoch: 1,
            lease_ticks: lease_ticks(self.lengths),
            set: plan.into_request(),
            handover: false,
        };
        self.queue.control(&request).expect("the only client is never refused");
        feasibility
    }

    /// Does between two ticks what somebody else did to an execution. One that has run already stays as it is.
    pub fn repeat(&mut self, event: &QueueRecord) {
        let at_ms = self.lengths.ms_of(event.tick.0);
        let commit = match event.event {
            QueueEvent::Queued | QueueEvent::Released => return,
            QueueEvent::Delayed => self.queue.delay(event.execution, event.added_ticks, at_ms),
            QueueEvent::Dropped => self.queue.drop_waiting(event.execution, at_ms),
        };
        for record in commit.map(|commit| commit.records).unwrap_or_default() {
            self.scheduler.apply(&record);
        }
    }

    /// What waits, and when it is to run.
    pub fn queue(&self) -> &Queue {
        self.queue.queue()
    }
}

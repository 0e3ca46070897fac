//! When each waiting execution should run.
//!
//! ```text
//! journal entries ──▶ Backlog (what waits) ──▶ Problem ──plan──▶ Plan (slots, reasons, feasible?)
//! estimates ───────────────────────────────────┘
//! ```

mod backlog;
mod policies;
mod problem;

pub use backlog::Backlog;
pub use policies::{Policy, PolicyName, UnknownPolicy};
pub use problem::{Binding, Feasibility, Pending, Plan, Problem};

use crate::{
    estimator::Estimates,
    journal::{Executed, QueueRecord},
    queue::HoldLimits,
    tick::Tick,
    window::Window,
};

/// Folds the journal and plans, tick after tick.
pub struct Scheduler {
    backlog: Backlog,
    policy: Box<dyn Policy>,
}

impl Scheduler {
    /// A scheduler that has seen nothing. `delay_budget` is a ceiling for the mean delay in ticks, where
    /// 1 is none added; none lets the policy choose.
    pub fn new(policy: PolicyName, limits: HoldLimits, delay_budget: Option<f64>) -> Self {
        Self { backlog: Backlog::new(limits), policy: policy.build(delay_budget) }
    }

    /// Applies an event of the queue.
    pub fn queue_event(&mut self, record: &QueueRecord) {
        self.backlog.queue_event(record);
    }

    /// Applies an execution.
    pub fn executed(&mut self, executed: &Executed) {
        self.backlog.executed(executed);
        self.policy.executed(executed);
    }

    /// Applies a closed window.
    pub fn window(&mut self, window: &Window) {
        self.policy.window(window);
    }

    /// What should run when, seen from after `tick`: its slots act from the next tick on.
    pub fn decide(&mut self, tick: Tick, estimates: &Estimates) -> Plan {
        let pending = self.backlog.pending();
        let plan = self.policy.plan(&Problem { tick, pending: &pending, estimates });
        self.backlog.planned(&plan);
        plan
    }
}

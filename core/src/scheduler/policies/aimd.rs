//! Additive increase, multiplicative decrease (Chiu, Jain 1989): executions a tick are halved when a tick
//! exceeded 1.1 times the last minute's mean, and raised by a tenth of an execution otherwise.

use std::collections::VecDeque;

use super::Policy;
use crate::{
    scheduler::problem::{Feasibility, Plan, Problem},
    server::control::SetSlot,
    units::{lengths::Lengths, resource::Resource, window::Window},
};

/// A window with a tick above so many times the minute's mean is too much.
const TOO_MUCH: f64 = 1.1;
/// Executions a tick that are added otherwise, each tick.
const ADDED: f64 = 0.1;
/// Executions a tick below which it never goes, so that what waits comes to an end.
const LEAST: f64 = 0.1;

/// A limit of executions a tick, and what it has saved up.
pub(super) struct Aimd {
    limit: f64,
    credit: f64,
    /// Averages of the last minute's windows, oldest first.
    averages: VecDeque<[f64; 3]>,
    too_much: bool,
    lengths: Lengths,
}

impl Aimd {
    pub(super) fn new(lengths: Lengths) -> Self {
        Self { lengths, limit: 1.0, credit: 0.0, averages: VecDeque::new(), too_much: false }
    }
}

impl Policy for Aimd {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        let decrease = std::mem::take(&mut self.too_much);
        self.limit = if decrease { (self.limit / 2.0).max(LEAST) } else { self.limit + ADDED };
        self.credit = (self.credit + self.limit).min(self.limit.max(1.0));
        let next = problem.tick.next();
        let ready = problem.pending.iter().filter(|pending| pending.due_tick <= next);
        let chosen: Vec<_> = ready.take(self.credit as usize).collect();
        self.credit -= chosen.len() as f64;
        let set = chosen.into_iter().map(|pending| SetSlot {
            execution: pending.execution,
            due_tick: next,
            reason: format!(
                "waited {} ticks at a limit of {:.1} executions a tick",
                next.since(pending.queued_tick),
                self.limit
            ),
        });
        Plan { set: set.collect(), feasibility: Feasibility::UNKNOWN }
    }

    fn window(&mut self, window: &Window) {
        if self.averages.len() as u64 >= self.lengths.minute_windows() {
            self.averages.pop_front();
        }
        self.averages.push_back(Resource::ALL.map(|r| window.usage[r].average as f64));
        let windows = self.averages.len() as f64;
        self.too_much = (0..3).any(|r| {
            let mean = self.averages.iter().map(|average| average[r]).sum::<f64>() / windows;
            window.usage[Resource::ALL[r]].max as f64 > TOO_MUCH * mean
        });
    }
}

//! Which held statement of a real database may leave now: between ticks, by credit in CPU time.
//!
//! ```text
//! plan ─pace─▶ credit += pace · time     samples of the whole database ─▶ credit −= what was really used
//!                 │                      running statements, others ────▶ the same, until a sample has come
//!                 ▼
//! held, oldest first ─▶ released while credit lasts and fewer than `at_once` use a processor
//!       │                                  no plan: under a cap of its own
//!       └ maximum delay reached ─▶ released, whatever credit and cap say
//! ```
//!
//! Time is an argument, and never goes back: an earlier one counts as the last one.
//!
//! Invariants: what is held leaves at its maximum delay at the latest. Of what leaves before that, at most `at_once` use
//! a processor beside each other. Credit stays within its bounds.

mod ledger;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::ledger::Ledger;
pub use self::waiting::Held;
use self::waiting::Waiting;
use crate::units::ids::ExecutionId;

/// What the database is to use. A leader says it with each request of `POST /api/v1/control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    /// CPU time of the whole database, interactive statements included, µs a second.
    pub core_us_per_s: u64,
    /// Deferrable statements that use a processor at once, at most.
    pub at_once: u32,
}

/// How a [`Pacer`] spends credit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PacerSettings {
    /// Deferrable statements at once while there is no plan.
    pub cap: u32,
    /// Most credit, and most debt, as seconds of the pace.
    pub credit_s: f64,
    /// Share of its cost that a statement must have as credit before it leaves: at a half it is as much too early as it is
    /// too late.
    pub share_of_cost: f64,
    /// By how many times its cost a dear statement counts as younger: cheap ones disturb nobody and need not wait long.
    /// 0 is oldest first.
    pub handicap: f64,
    /// Over which time what others use is averaged, µs.
    pub others_us: f64,
}

impl Default for PacerSettings {
    fn default() -> Self {
        Self { cap: 1, credit_s: 0.4, share_of_cost: 0.5, handicap: 12.0, others_us: 300_000.0 }
    }
}

/// Why a statement may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There is credit for it.
    Credit,
    /// It has waited for as long as its class allows.
    Latest,
    /// Nobody plans: it is its turn under the cap.
    NoPlan,
}

impl Why {
    /// One sentence for the journal.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Credit => "released by credit: the database uses less than its target",
            Self::Latest => "its longest hold was over",
            Self::NoPlan => "released oldest first under the cap: there is no plan",
        }
    }
}

/// A statement that may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which one.
    pub execution: ExecutionId,
    /// Why now.
    pub why: Why,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Pacer {
    settings: PacerSettings,
    plan: Option<(Pace, u64)>,
    waiting: Waiting,
    running: BTreeMap<ExecutionId, Running>,
    ledger: Ledger,
}

/// A statement that has left and not ended.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// CPU time that it is expected to use, µs.
    cost_us: f64,
    /// Processors that it is taken to use now.
    rate: f64,
    /// CPU time that credit has paid for, µs.
    charged_us: f64,
    /// What its clock said last, and when.
    clock: Option<(u64, u64)>,
    /// Whether it waits for a lock or for its client.
    waits: bool,
}

impl Pacer {
    /// Nothing is held, and nobody plans.
    pub fn new(settings: PacerSettings, now_us: u64) -> Self {
        Self {
            settings,
            plan: None,
            waiting: Waiting::default(),
            running: BTreeMap::new(),
            ledger: Ledger::new(now_us, settings.others_us),
        }
    }

    /// Holds a statement. One that is held or runs already stays as it is.
    pub fn hold(&mut self, held: Held) {
        if !self.running.contains_key(&held.execution) {
            self.waiting.hold(held, self.settings.handicap);
        }
    }

    /// Says what a held statement is now expected to cost, µs of CPU time.
    pub fn price(&mut self, execution: ExecutionId, cost_us: u64) {
        if let Some(held) = self.waiting.give_up(execution) {
            self.waiting.hold(Held { cost_us, ..held }, self.settings.handicap);
        }
    }

    /// Forgets a held statement, which will never leave. Whether it was held.
    pub fn give_up(&mut self, execution: ExecutionId) -> bool {
        self.waiting.give_up(execution).is_some()
    }

    /// Takes a plan that holds before `until_us`: after that, nobody plans.
    pub fn plan(&mut self, now_us: u64, pace: Pace, until_us: u64) {
        self.pass(now_us);
        self.plan = Some((pace, until_us));
    }

    /// What the whole database used, by a sample of a stretch of time that has passed. What of that others used, µs:
    /// interactive statements and background. A sample that cannot be is left out, and others have used nothing: no host
    /// has thousands of cores.
    pub fn used(&mut self, now_us: u64, from_us: u64, to_us: u64, cpu_us: u64) -> f64 {
        self.pass(now_us);
        let others_us = self.ledger.used(from_us, to_us, cpu_us);
        self.bound();
        others_us
    }

    /// What a running statement has used since it began, by its backend's clock.
    pub fn progress(&mut self, now_us: u64, execution: ExecutionId, cpu_us: u64) {
        self.pass(now_us);
        let Some(running) = self.running.get_mut(&execution) else { return };
        if let Some((at_us, before)) = running.clock.replace((now_us, cpu_us))
            && now_us > at_us
        {
            running.rate = cpu_us.saturating_sub(before) as f64 / (now_us - at_us) as f64;
        }
        self.ledger.correct(cpu_us as f64 - running.charged_us);
        running.charged_us = cpu_us as f64;
    }

    /// Whether a running statement waits for a lock or for its client: then its place is free.
    pub fn waits(&mut self, now_us: u64, execution: ExecutionId, waits: bool) {
        self.pass(now_us);
        if let Some(running) = self.running.get_mut(&execution) {
            running.waits = waits;
        }
    }

    /// A statement has ended, having used `cpu_us` by its backend's clock, where that was read.
    pub fn ended(&mut self, now_us: u64, execution: ExecutionId, cpu_us: Option<u64>) {
        self.pass(now_us);
        if let (Some(running), Some(cpu_us)) = (self.running.remove(&execution), cpu_us) {
            self.ledger.correct(cpu_us as f64 - running.charged_us);
        }
    }

    /// What may leave now, in order. To be asked whenever something is held or has ended, and every 10 to 20 ms while
    /// something is held.
    pub fn released(&mut self, now_us: u64) -> Vec<Release> {
        self.pass(now_us);
        let mut released = Vec::new();
        while let Some(held) = self.waiting.pop_late(self.ledger.now_us()) {
            released.push(self.release(&held, Why::Latest));
        }
        while let Some((held, why)) = self.next() {
            released.push(self.release(&held, why));
        }
        released
    }

    /// CPU time that may be used beyond what is, µs; below 0, debt.
    pub fn credit_us(&self) -> f64 {
        self.ledger.credit_us
    }

    /// What is held.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.waiting.iter()
    }

    /// Statements that have left, have not ended and use a processor.
    pub fn at_once(&self) -> usize {
        self.running.values().filter(|running| !running.waits).count()
    }

    /// Expected CPU time that what is held, and what runs, has still to use, µs.
    pub fn waiting_us(&self) -> u64 {
        self.waiting.sum_us().saturating_add(self.outstanding_us() as u64)
    }

    /// The same of what runs alone.
    fn outstanding_us(&self) -> f64 {
        let left = |running: &Running| (running.cost_us - running.charged_us).max(0.0);
        self.running.values().map(left).sum()
    }

    /// The pace that holds, if any.
    pub fn pace(&self) -> Option<Pace> {
        self.plan.filter(|(_, until_us)| self.ledger.now_us() < *until_us).map(|(pace, _)| pace)
    }

    fn next(&mut self) -> Option<(Held, Why)> {
        let busy = self.at_once();
        let Some(pace) = self.pace() else {
            return (busy < self.settings.cap as usize).then(|| self.waiting.pop())?.zip(Some(Why::NoPlan));
        };
        let cost_us = self.waiting.first()?.cost_us as f64;
        let most = self.most_us(pace);
        // What costs more than all credit that can be had leaves with that.
        let wanted = (self.settings.share_of_cost * cost_us).min(most);
        let fits = most > 0.0 && self.ledger.credit_us - self.outstanding_us() >= wanted;
        (busy < pace.at_once as usize && fits).then(|| self.waiting.pop())?.zip(Some(Why::Credit))
    }

    fn release(&mut self, held: &Held, why: Why) -> Release {
        let cost_us = held.cost_us as f64;
        let running = Running { cost_us, rate: 1.0, charged_us: 0.0, clock: None, waits: false };
        self.running.insert(held.execution, running);
        Release { execution: held.execution, why }
    }

    /// Time passes: credit grows by the pace, and running statements and others use it.
    fn pass(&mut self, now_us: u64) {
        let passed = now_us.saturating_sub(self.ledger.now_us()) as f64;
        let mut used = 0.0;
        for running in self.running.values_mut().filter(|running| !running.waits) {
            running.charged_us += passed * running.rate;
            used += running.rate;
        }
        let pace = self.pace().map_or(0.0, |pace| pace.core_us_per_s as f64 / 1e6);
        self.ledger.pass(now_us, pace, used);
        self.bound();
    }

    fn bound(&mut self) {
        let most = self.pace().map_or(0.0, |pace| self.most_us(pace));
        self.ledger.credit_us = self.ledger.credit_us.clamp(-most, most);
    }

    fn most_us(&self, pace: Pace) -> f64 {
        self.settings.credit_s * pace.core_us_per_s as f64
    }
}

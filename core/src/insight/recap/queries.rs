//! How often each query ran lately, how long it was held, and what a real database answered.

use std::collections::{BTreeMap, VecDeque};

use crate::{journal::Executed, units::ids::QueryId};

/// What one query did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryActivity {
    /// Executions.
    pub executed: u64,
    /// Ticks by which they were held beyond the delay that every execution has.
    pub added_ticks: u64,
    /// Executions of these whose answer says how long it took.
    pub answered: u64,
    /// From sending to the end of their answers together, µs.
    pub duration_us: u64,
    /// Executions of these whose CPU time is known.
    pub measured: u64,
    /// Their CPU time together, µs.
    pub cpu_us: u64,
}

impl QueryActivity {
    fn of(executed: &Executed, default_delay_ticks: u64) -> Self {
        let answer = executed.answer.as_deref();
        let cpu = answer.and_then(|answer| answer.cpu_us);
        Self {
            executed: 1,
            added_ticks: executed.delay_ticks().saturating_sub(default_delay_ticks),
            answered: answer.is_some().into(),
            duration_us: answer.map_or(0, |answer| answer.duration_us),
            measured: cpu.is_some().into(),
            cpu_us: cpu.unwrap_or_default(),
        }
    }

    /// The same with `change` done to each number and that of `other`.
    fn with(self, other: Self, change: fn(u64, u64) -> u64) -> Self {
        Self {
            executed: change(self.executed, other.executed),
            added_ticks: change(self.added_ticks, other.added_ticks),
            answered: change(self.answered, other.answered),
            duration_us: change(self.duration_us, other.duration_us),
            measured: change(self.measured, other.measured),
            cpu_us: change(self.cpu_us, other.cpu_us),
        }
    }
}

/// Activity by query over the last windows.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryRing {
    windows: VecDeque<BTreeMap<QueryId, QueryActivity>>,
    open: BTreeMap<QueryId, QueryActivity>,
    sum: BTreeMap<QueryId, QueryActivity>,
}

impl QueryRing {
    pub(super) fn executed(&mut self, executed: &Executed, default_delay_ticks: u64) {
        let one = QueryActivity::of(executed, default_delay_ticks);
        for activity in [&mut self.open, &mut self.sum] {
            let activity = activity.entry(executed.query).or_default();
            *activity = activity.with(one, u64::saturating_add);
        }
    }

    /// Closes a window; what is older than `windows` of them is forgotten.
    pub(super) fn window(&mut self, windows: usize) {
        self.windows.push_back(std::mem::take(&mut self.open));
        while self.windows.len() > windows {
            for (query, gone) in self.windows.pop_front().into_iter().flatten() {
                if let Some(sum) = self.sum.get_mut(&query) {
                    *sum = sum.with(gone, u64::saturating_sub);
                    if sum.executed == 0 {
                        self.sum.remove(&query);
                    }
                }
            }
        }
    }

    pub(super) fn sum(&self) -> &BTreeMap<QueryId, QueryActivity> {
        &self.sum
    }
}

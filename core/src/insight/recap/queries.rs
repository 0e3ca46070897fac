//! How often each query ran lately, and how long it was held.

use std::collections::{BTreeMap, VecDeque};

use crate::{journal::Executed, units::ids::QueryId};

/// What one query did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryActivity {
    /// Executions.
    pub executed: u64,
    /// Ticks by which they were held beyond the delay that every execution has.
    pub added_ticks: u64,
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
        let added_ticks = executed.delay_ticks().saturating_sub(default_delay_ticks);
        for activity in [&mut self.open, &mut self.sum] {
            let activity = activity.entry(executed.query).or_default();
            activity.executed += 1;
            activity.added_ticks += added_ticks;
        }
    }

    /// Closes a window; what is older than `windows` of them is forgotten.
    pub(super) fn window(&mut self, windows: usize) {
        self.windows.push_back(std::mem::take(&mut self.open));
        while self.windows.len() > windows {
            for (query, gone) in self.windows.pop_front().into_iter().flatten() {
                if let Some(sum) = self.sum.get_mut(&query) {
                    sum.executed -= gone.executed;
                    sum.added_ticks -= gone.added_ticks;
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

//! What ran in the last ticks, folded from the executions stream.

use serde::{Deserialize, Serialize};

use crate::{
    journal::Executed,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};

/// Executions of the last ticks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentTicks {
    newest: Tick,
    ran: Vec<Ran>,
}

/// That a query ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// When.
    pub tick: Tick,
    /// Which run.
    pub execution: ExecutionId,
    /// Of which query.
    pub query: QueryId,
}

impl RecentTicks {
    /// Notes an execution. Kept are the open window and the one before it, and a tick of slack for an executions
    /// stream that is read ahead of the queue stream.
    pub(super) fn executed(&mut self, executed: &Executed, lengths: Lengths) {
        let kept_ticks = 2 * lengths.window_ticks + 1;
        if executed.tick > self.newest {
            self.newest = executed.tick;
            let newest = self.newest;
            self.ran.retain(|ran| newest.since(ran.tick) < kept_ticks);
        }
        if self.newest.since(executed.tick) < kept_ticks {
            let Executed { tick, execution, query, .. } = *executed;
            self.ran.push(Ran { tick, execution, query });
        }
    }

    /// What ran, in the order of the stream.
    pub(super) fn ran(&self) -> &[Ran] {
        &self.ran
    }
}

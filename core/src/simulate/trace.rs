//! What happened in a run, tick by tick.

use std::collections::BTreeMap;

use crate::{
    journal::Executed,
    scheduler::{Binding, Feasibility},
    units::{ids::QueryId, lengths::Lengths, resource::Usage, tick::Tick, window::Stretch},
};

/// What happened in a run.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// How long its windows are.
    pub lengths: Lengths,
    /// The first tick that is counted.
    pub from: Tick,
    /// What each tick used, from tick 0 on.
    pub usage: Vec<Usage>,
    /// Queued tick and delay of each execution, in the order in which they ran.
    pub delays: Vec<(Tick, u64)>,
    /// Executions of each query.
    pub executed: BTreeMap<QueryId, u64>,
    /// Decisions made.
    pub decisions: u64,
    /// Decisions that said that the corridor can be reached.
    pub feasible: u64,
    /// Decisions that said that it cannot, and that peaks are cut.
    pub only_peaks: u64,
    /// What the others said that binds.
    pub bindings: BTreeMap<Binding, u64>,
    /// What each decision said, from that after tick 0 on.
    pub said: Vec<Feasibility>,
}

impl Trace {
    /// Whether as many ticks as a window has, from `first` on (no border need be there), are in the corridor; none when the
    /// run ends before they do.
    pub fn is_level(&self, first: Tick) -> Option<bool> {
        let first = usize::try_from(first.0).ok()?;
        let ticks = self.usage.get(first..first.checked_add(self.lengths.window_ticks as usize)?)?;
        Some(ticks.iter().collect::<Stretch>().in_corridor())
    }

    pub(super) fn tick(&mut self, usage: Usage, executed: &[Executed]) {
        self.usage.push(usage);
        for executed in executed {
            *self.executed.entry(executed.query).or_default() += 1;
            self.delays.push((executed.queued_tick, executed.delay_ticks()));
        }
    }

    pub(super) fn decided(&mut self, feasibility: Feasibility) {
        self.decisions += 1;
        self.said.push(feasibility);
        self.feasible += u64::from(feasibility.feasible);
        self.only_peaks += u64::from(feasibility.cuts_peaks);
        if let Some(binding) = feasibility.binding {
            *self.bindings.entry(binding).or_default() += 1;
        }
    }
}

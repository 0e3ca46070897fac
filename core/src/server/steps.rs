//! The order of a tick's steps, and of those that take its place after a failure.
//!
//! ```text
//! usage of t−1 ─▶ Measure ─▶ Advance(t), durable ─▶ Start(t) ─▶ usage of t
//!       any step fails ─▶ Recover ─▶ Start the last durable batch again ─▶ its usage
//! ```
//!
//! [`Steps`] says what is to be done next and is told what came of it; whoever asks does it. Invariant: a batch is
//! started after it has become durable, and after a failure everything begins with what is durable.

use crate::{
    journal::{Executed, Recovered},
    units::{resource::Usage, tick::Tick, window::Measured},
};

/// What a tick used, known when the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickUsage {
    /// Which tick.
    pub tick: Tick,
    /// Resource units.
    pub usage: Usage,
    /// Executions that ran in it.
    pub executed: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Action<'a> {
    /// Find out what is durable and restore queue and monitor from it, then [`Steps::recovered`].
    Recover,
    /// Give the monitor the usage of the last tick, then [`Steps::measured`].
    Measure(Option<TickUsage>),
    /// Let the queue advance and wait until that is durable, then [`Steps::advanced`].
    Advance(Tick, Measured),
    /// Start the batch in the database, then [`Steps::started`].
    Start(Tick, &'a [Executed]),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Steps {
    /// What is durable is not known.
    #[default]
    Recovering,
    /// This tick comes next; with it, what the one before it used.
    Due(Tick, Option<TickUsage>),
    /// The monitor knows everything before this tick.
    Measured(Tick, Measured),
    /// This tick is durable, and what it starts.
    Durable(Tick, Vec<Executed>),
}

impl Steps {
    /// What is to be done next.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Recovering => Action::Recover,
            Self::Due(_, usage) => Action::Measure(*usage),
            Self::Measured(tick, measured) => Action::Advance(*tick, *measured),
            Self::Durable(tick, batch) => Action::Start(*tick, batch),
        }
    }

    /// The tick that comes next, while none is under way.
    pub fn due(&self) -> Option<Tick> {
        match self {
            Self::Due(tick, _) => Some(*tick),
            _ => None,
        }
    }

    /// What the last tick used, while none is under way.
    pub fn last_usage(&self) -> Option<TickUsage> {
        match self {
            Self::Due(_, usage) => *usage,
            _ => None,
        }
    }

    /// Queue and monitor have been restored from this. Whether its last batch reached the database is unknown, so it is
    /// started again; the database tells executions apart by their ids.
    pub fn recovered(&mut self, recovered: &Recovered) {
        let next = recovered.state.next_tick;
        *self = match next.0.checked_sub(1) {
            None => Self::Due(next, None),
            Some(last) => Self::Durable(Tick(last), recovered.last_batch.clone()),
        };
    }

    /// What the monitor answered.
    pub fn measured(&mut self, measured: Measured) {
        if let Self::Due(tick, _) = *self {
            *self = Self::Measured(tick, measured);
        }
    }

    /// What runs in the tick, now that this is durable.
    pub fn advanced(&mut self, batch: Vec<Executed>) {
        if let Self::Measured(tick, _) = *self {
            *self = Self::Durable(tick, batch);
        }
    }

    /// What the batch used.
    pub fn started(&mut self, usage: Usage) {
        if let Self::Durable(tick, batch) = self {
            let usage = TickUsage { tick: *tick, usage, executed: batch.len() as u64 };
            *self = Self::Due(tick.next(), Some(usage));
        }
    }

    /// A step failed: what came of it is unknown.
    pub fn failed(&mut self) {
        *self = Self::Recovering;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::ServerState;

    #[test]
    fn a_new_journal_begins_with_tick_0_and_each_tick_is_measured_made_durable_and_started() {
        let mut steps = Steps::default();
        assert_eq!(steps.action(), Action::Recover);
        steps.recovered(&Recovered::default());
        for tick in [Tick(0), Tick(1)] {
            assert_eq!(steps.due(), Some(tick));
            assert_eq!(steps.action(), Action::Measure(steps.last_usage()));
            steps.measured(Measured::default());
            assert_eq!(steps.action(), Action::Advance(tick, Measured::default()));
            steps.advanced(Vec::new());
            assert_eq!(steps.action(), Action::Start(tick, &[]));
            steps.started(Usage::default());
            assert_eq!(steps.last_usage(), Some(TickUsage { tick, usage: Usage::default(), executed: 0 }));
        }
    }

    #[test]
    fn after_a_failure_the_last_durable_batch_is_started_again_before_the_next_tick() {
        let state = ServerState { next_tick: Tick(8), ..ServerState::default() };
        let recovered = Recovered { state, ..Recovered::default() };
        let mut steps = Steps::Due(Tick(9), None);
        steps.failed();
        // What was on its way when it failed comes too late.
        steps.measured(Measured::default());
        steps.advanced(Vec::new());
        steps.started(Usage::default());
        assert_eq!(steps.action(), Action::Recover);
        steps.recovered(&recovered);
        assert_eq!(steps.action(), Action::Start(Tick(7), &[]));
        steps.started(Usage::default());
        assert_eq!(steps.due(), Some(Tick(8)));
    }
}

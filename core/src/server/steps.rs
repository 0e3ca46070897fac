//! The order of a tick's steps, and of those that take its place after a failure.
//!
//! ```text
//! usage of t−1 ─▶ Measure ─▶ Advance(t), durable ─▶ Start(t) ─▶ Await(t) ─▶ usage of t
//!       any step fails ─▶ Recover ─▶ Start the last durable batch again ─▶ its usage
//! ```
//!
//! A database that answers within the tick tells its usage when it is started, so nothing is awaited. One whose outcomes are
//! uncertain is sent each batch once, and tells its usage when it likes: the next tick waits for nothing, and after a failure
//! nothing is started again.
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
    /// Start the batch in the database, then [`Steps::started`], [`Steps::sent`] where its usage is about to be told, or
    /// [`Steps::released`] where its outcomes are uncertain.
    Start(Tick, &'a [Executed]),
    /// Wait until it is known what the tick used, then [`Steps::used`].
    Await(Tick),
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
    /// So many have been started in this tick, and what they use is not known yet.
    Sent(Tick, u64),
}

impl Steps {
    /// What is to be done next.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Recovering => Action::Recover,
            Self::Due(_, usage) => Action::Measure(*usage),
            Self::Measured(tick, measured) => Action::Advance(*tick, *measured),
            Self::Durable(tick, batch) => Action::Start(*tick, batch),
            Self::Sent(tick, _) => Action::Await(*tick),
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

    /// As [`Steps::recovered`], for a database whose outcomes are uncertain: what was released may have been sent, and is
    /// not sent again.
    pub fn recovered_once(&mut self, recovered: &Recovered) {
        *self = Self::Due(recovered.state.next_tick, None);
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

    /// The batch has been handed over; what it uses is told later.
    pub fn sent(&mut self) {
        if let Self::Durable(tick, batch) = self {
            *self = Self::Sent(*tick, batch.len() as u64);
        }
    }

    /// The batch has been handed over to a database whose outcomes are uncertain: the meter learns what it uses.
    pub fn released(&mut self) {
        if let Self::Durable(tick, _) = self {
            *self = Self::Due(tick.next(), None);
        }
    }

    /// What a tick used whose batch has been sent; whatever is told of another one is passed over.
    pub fn used(&mut self, tick: Tick, usage: Usage) {
        if let Self::Sent(awaited, executed) = *self
            && awaited == tick
        {
            *self = Self::Due(tick.next(), Some(TickUsage { tick, usage, executed }));
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

    #[test]
    fn the_usage_of_what_was_sent_is_awaited_and_comes_once_for_its_own_tick() {
        let mut steps = Steps::Durable(Tick(3), Vec::new());
        steps.sent();
        assert_eq!((steps.action(), steps.due()), (Action::Await(Tick(3)), None));
        steps.used(Tick(2), Usage::all(9));
        assert_eq!(steps.action(), Action::Await(Tick(3)), "another tick's");
        steps.used(Tick(3), Usage::all(1));
        let usage = TickUsage { tick: Tick(3), usage: Usage::all(1), executed: 0 };
        assert_eq!((steps.due(), steps.last_usage()), (Some(Tick(4)), Some(usage)));
        let due = steps.clone();
        steps.used(Tick(3), Usage::all(5));
        assert_eq!(steps, due, "it comes twice");
    }

    #[test]
    fn what_may_have_been_sent_once_is_not_started_after_a_failure() {
        let state = ServerState { next_tick: Tick(8), ..ServerState::default() };
        let mut steps = Steps::default();
        steps.recovered_once(&Recovered { state, ..Recovered::default() });
        assert_eq!((steps.due(), steps.action()), (Some(Tick(8)), Action::Measure(None)));
        steps.measured(Measured::default());
        steps.advanced(Vec::new());
        steps.released();
        assert_eq!((steps.due(), steps.action()), (Some(Tick(9)), Action::Measure(None)));
        steps.recovered_once(&Recovered::default());
        assert_eq!(steps.due(), Some(Tick(0)));
    }
}

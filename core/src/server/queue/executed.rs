//! What has run lately, so that a late wish learns "executed" and not "unknown".

use std::collections::{BTreeMap, VecDeque};

use crate::units::{ids::ExecutionId, tick::Tick};

/// Executions remembered: ten full control requests of 10,000; a client asks about what it believes
/// to be waiting, which is a few ticks old.
const REMEMBERED: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(super) struct ExecutedTicks {
    tick_of: BTreeMap<ExecutionId, Tick>,
    oldest_first: VecDeque<ExecutionId>,
}

impl ExecutedTicks {
    pub(super) fn note(&mut self, execution: ExecutionId, tick: Tick) {
        if self.oldest_first.len() == REMEMBERED
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.tick_of.remove(&oldest);
        }
        self.oldest_first.push_back(execution);
        self.tick_of.insert(execution, tick);
    }

    pub(super) fn tick_of(&self, execution: ExecutionId) -> Option<Tick> {
        self.tick_of.get(&execution).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_remembered_as_the_limit_says_and_the_oldest_is_forgotten_first() {
        let id = |n: usize| ExecutionId::new(1, n as u128);
        let mut executed = ExecutedTicks::default();
        for n in 0..=REMEMBERED {
            executed.note(id(n), Tick(n as u64));
        }
        assert_eq!(executed.tick_of(id(0)), None);
        assert_eq!(executed.tick_of(id(1)), Some(Tick(1)));
        assert_eq!(executed.tick_of(id(REMEMBERED)), Some(Tick(REMEMBERED as u64)));
        assert_eq!((executed.tick_of.len(), executed.oldest_first.len()), (REMEMBERED, REMEMBERED));
    }
}

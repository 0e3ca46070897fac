//! What is held, in the order in which it leaves.

use std::collections::{BTreeMap, BTreeSet};

use crate::units::ids::ExecutionId;

/// Longest that a dear statement counts as younger than it is, µs: nobody is overtaken by what comes later than that. Nor
/// by more than half of its maximum delay.
const HANDICAP_US_MAX: f64 = 5_000_000.0;

/// A statement that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which one.
    pub execution: ExecutionId,
    /// When it arrived, µs.
    pub arrived_us: u64,
    /// When it has to leave, µs: its class' maximum delay.
    pub latest_us: u64,
    /// CPU time that it is expected to use, µs.
    pub cost_us: u64,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    held: BTreeMap<ExecutionId, (u64, Held)>,
    order: BTreeSet<(u64, ExecutionId)>,
    latest: BTreeSet<(u64, ExecutionId)>,
    /// What all of them are expected to use, µs.
    sum_us: u128,
}

impl Waiting {
    pub(super) fn hold(&mut self, held: Held, handicap: f64) {
        if self.held.contains_key(&held.execution) {
            return;
        }
        let half_us = held.latest_us.saturating_sub(held.arrived_us) / 2;
        let later = ((handicap * held.cost_us as f64).clamp(0.0, HANDICAP_US_MAX) as u64).min(half_us);
        let rank = held.arrived_us.saturating_add(later);
        self.order.insert((rank, held.execution));
        self.latest.insert((held.latest_us, held.execution));
        self.held.insert(held.execution, (rank, held));
        self.sum_us += u128::from(held.cost_us);
    }

    pub(super) fn give_up(&mut self, execution: ExecutionId) -> Option<Held> {
        let (rank, held) = self.held.remove(&execution)?;
        self.order.remove(&(rank, execution));
        self.latest.remove(&(held.latest_us, execution));
        self.sum_us -= u128::from(held.cost_us);
        Some(held)
    }

    pub(super) fn sum_us(&self) -> u64 {
        u64::try_from(self.sum_us).unwrap_or(u64::MAX)
    }

    pub(super) fn first(&self) -> Option<&Held> {
        let (_, execution) = self.order.first()?;
        self.held.get(execution).map(|(_, held)| held)
    }

    pub(super) fn pop(&mut self) -> Option<Held> {
        let (_, execution) = *self.order.first()?;
        self.give_up(execution)
    }

    /// One that has to leave by `now_us`, the most urgent first.
    pub(super) fn pop_late(&mut self, now_us: u64) -> Option<Held> {
        let (_, execution) = *self.latest.first().filter(|(latest_us, _)| *latest_us <= now_us)?;
        self.give_up(execution)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.order.iter().filter_map(|(_, execution)| self.held.get(execution)).map(|(_, held)| held)
    }
}

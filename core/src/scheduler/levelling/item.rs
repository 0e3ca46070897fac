//! Waiting executions as the search sees them.

use std::collections::BTreeMap;

use super::units::{Units, units};
use crate::{
    estimator::Estimates,
    scheduler::problem::Pending,
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
    },
};

/// What a query costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) cost: Units,
}

/// Costs looked up once per query.
pub(super) struct Kinds<'a> {
    lengths: Lengths,
    estimates: &'a Estimates,
    index: BTreeMap<QueryId, usize>,
    known: Vec<Kind>,
}

/// A waiting execution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) execution: ExecutionId,
    /// Index of its query among the [`Kinds`].
    pub(super) kind: usize,
    pub(super) cost: Units,
    pub(super) queued_tick: Tick,
    /// The tick from which on it is held: the one before its base due tick, if nobody delays it.
    pub(super) held_from: Tick,
    /// The earliest tick that it may run in.
    pub(super) earliest: Tick,
    /// The latest.
    pub(super) deadline: Tick,
}

impl<'a> Kinds<'a> {
    pub(super) fn new(lengths: Lengths, estimates: &'a Estimates) -> Self {
        Self { lengths, estimates, index: BTreeMap::new(), known: Vec::new() }
    }

    /// The index of `query`. Before anything is known every query costs one unit of each resource, so
    /// that executions are counted.
    pub(super) fn of(&mut self, query: QueryId) -> usize {
        *self.index.entry(query).or_insert_with(|| {
            let estimate = self.estimates.get(query);
            self.known.push(Kind {
                cost: estimate.map_or([1.0; 3], |e| units(&e.cost).map(|cost| cost.max(1e-3))),
            });
            self.known.len() - 1
        })
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Units of one execution of a kind.
    pub(super) fn cost(&self, kind: usize) -> Units {
        self.known[kind].cost
    }

    pub(super) fn item(&mut self, pending: &Pending, tick: Tick) -> Item {
        let kind = self.of(pending.query);
        let earliest = pending.due_tick.max(tick.next());
        Item {
            execution: pending.execution,
            kind,
            cost: self.cost(kind),
            queued_tick: pending.queued_tick,
            held_from: self.lengths.base_of(pending.queued_tick).previous(),
            earliest,
            deadline: pending.deadline.max(earliest),
        }
    }
}

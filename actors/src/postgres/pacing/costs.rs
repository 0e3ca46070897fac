//! What statements and held transactions cost, from what sessions tell and probes measure.

use std::collections::BTreeMap;

use evenkeel_core::{
    estimator::runs::{Began, RunEstimator, Sample},
    units::ids::ExecutionId,
};
use uuid::Uuid;

use super::Run;

/// What is expected of a query before anything is known of any, µs of CPU time.
const UNKNOWN_US: u64 = 50_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Costs {
    estimator: RunEstimator,
    /// Statements that have begun: their backends, and the units that they are of.
    open: BTreeMap<ExecutionId, Member>,
    /// Held transactions that have begun, by session and number.
    units: BTreeMap<(Uuid, u64), OpenUnit>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    session: Uuid,
    unit: Option<(Uuid, u64)>,
    ends_unit: bool,
}

#[derive(Clone, Copy, Debug)]
struct OpenUnit {
    /// Its BEGIN, whose execution stands for all of it.
    execution: ExecutionId,
    /// CPU time that clocks have told of its statements.
    cpu_us: Option<u64>,
}

/// A run that is over for the pacer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) execution: ExecutionId,
    pub(super) cpu_us: Option<u64>,
}

impl Costs {
    pub(super) fn new(cores: f64) -> Self {
        Self { estimator: RunEstimator::new(cores), open: BTreeMap::new(), units: BTreeMap::new() }
    }

    /// What a run is expected to use, µs of CPU time.
    pub(super) fn expected_us(&self, run: &Run) -> u64 {
        let query = if run.begins() { run.query_of_unit() } else { run.query };
        let known = self.estimator.cost(query).map(|cost| cost.cpu_us);
        known.or_else(|| self.estimator.unseen_us()).map_or(UNKNOWN_US, |us| us.max(0.0) as u64)
    }

    /// A run begins. `held`: it was held, and with a BEGIN so is its transaction.
    pub(super) fn began(&mut self, run: &Run, held: bool, now_us: u64) {
        let unit = run.unit();
        let (is_unit, session) = (held && run.begins(), run.statement.session);
        if let Some(of) = unit.filter(|_| is_unit) {
            self.units.insert(of, OpenUnit { execution: run.execution, cpu_us: None });
        }
        let unit = unit.filter(|of| self.units.contains_key(of));
        self.open.insert(run.execution, Member { session, unit, ends_unit: run.ends() });
        // What a unit does is one run of it.
        if unit.is_none() || is_unit {
            let query = if is_unit { run.query_of_unit() } else { run.query };
            let backend = backend(session);
            self.estimator.began(Began { execution: run.execution, query, at_us: now_us, backend });
        }
    }

    /// A run ends, having used so much by its backend's clock. What is over with it.
    pub(super) fn ended(&mut self, execution: ExecutionId, cpu_us: Option<u64>, now_us: u64) -> Option<Over> {
        let Member { unit, ends_unit, .. } = self.open.remove(&execution)?;
        let Some(of) = unit else {
            self.estimator.ended(execution, now_us, cpu_us);
            return Some(Over { execution, cpu_us });
        };
        let open = self.units.get_mut(&of)?;
        if let Some(more) = cpu_us {
            *open.cpu_us.get_or_insert(0) += more;
        }
        ends_unit.then(|| self.unit_over(of, now_us)).flatten()
    }

    fn unit_over(&mut self, of: (Uuid, u64), now_us: u64) -> Option<Over> {
        let OpenUnit { execution, cpu_us } = self.units.remove(&of)?;
        self.estimator.ended(execution, now_us, cpu_us);
        Some(Over { execution, cpu_us })
    }

    /// A session is over: nobody will tell how its statements end.
    pub(super) fn session_over(&mut self, session: Uuid, now_us: u64) -> Vec<Over> {
        let units: Vec<_> = self.units.keys().copied().filter(|(of, _)| *of == session).collect();
        let mut over: Vec<_> = units.into_iter().filter_map(|of| self.unit_over(of, now_us)).collect();
        let open = self.open.iter().filter(|(_, member)| member.session == session);
        let left: Vec<_> = open.map(|(execution, _)| *execution).collect();
        over.extend(left.into_iter().filter_map(|execution| self.ended(execution, None, now_us)));
        over
    }

    /// What all have used together in a stretch of time, where that is known.
    pub(super) fn used(&mut self, from_us: u64, to_us: u64, cpu_us: Option<u64>) {
        self.estimator.sample(Sample { from_us, to_us, cpu_us, backends: Vec::new() });
    }
}

/// A session's backend has no other session.
fn backend(session: Uuid) -> u64 {
    session.as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evenkeel_core::{journal::Statement, units::ids::QueryId};

    use super::*;

    const SESSION: Uuid = Uuid::from_u128(7);

    fn run(number: u128, kind: &'static str, transaction: Option<u64>) -> Run {
        let text = |text: &str| text.to_owned();
        let statement = Statement {
            class: text("batch"),
            user: text("etl"),
            database: text("app"),
            application: text("nightly"),
            client: text("127.0.0.1"),
            session: SESSION,
            transaction,
            pid: 1,
            backend_start: None,
            tag: None,
        };
        let query = QueryId(Uuid::from_u128(number % 10));
        Run { execution: ExecutionId(Uuid::from_u128(number)), query, kind, statement: Arc::new(statement) }
    }

    #[test]
    fn what_clocks_tell_of_a_query_is_expected_of_it_and_something_of_any_other() {
        let mut costs = Costs::new(2.0);
        assert_eq!(costs.expected_us(&run(1, "select", None)), UNKNOWN_US);
        for number in 1..=20 {
            let (run, now_us) = (run(number * 10 + 1, "select", None), 1_000_000 * number as u64);
            costs.began(&run, false, now_us);
            let over = costs.ended(run.execution, Some(30_000), now_us + 40_000);
            costs.used(now_us, now_us + 100_000, Some(31_000));
            assert_eq!(over, Some(Over { execution: run.execution, cpu_us: Some(30_000) }));
        }
        let known = costs.expected_us(&run(1, "select", None));
        assert!((29_000..31_000).contains(&known), "{known}");
        let unseen = costs.expected_us(&run(2, "select", None));
        assert!((25_000..35_000).contains(&unseen), "the mean of what is known: {unseen}");
    }

    #[test]
    fn a_held_transaction_is_one_unit_from_begin_to_commit() {
        let mut costs = Costs::new(2.0);
        let mut now_us = 0;
        for transaction in 1..=10 {
            let number = |at: u128| u128::from(transaction) * 100 + at;
            let begin = run(number(0), "begin", Some(transaction));
            costs.began(&begin, true, now_us);
            assert_eq!(costs.ended(begin.execution, Some(100), now_us + 100), None);
            let insert = run(number(1), "insert", Some(transaction));
            costs.began(&insert, false, now_us + 200);
            assert_eq!(costs.ended(insert.execution, Some(9_800), now_us + 20_000), None, "it goes on");
            let commit = run(number(2), "commit", Some(transaction));
            costs.began(&commit, false, now_us + 20_000);
            let over = costs.ended(commit.execution, Some(100), now_us + 21_000);
            assert_eq!(over, Some(Over { execution: begin.execution, cpu_us: Some(10_000) }));
            costs.used(now_us, now_us + 100_000, Some(11_000));
            now_us += 1_000_000;
        }
        let expected = costs.expected_us(&run(9_900, "begin", Some(11)));
        assert!((9_500..10_500).contains(&expected), "{expected}");
        assert!(costs.open.is_empty() && costs.units.is_empty());
    }

    #[test]
    fn a_session_that_is_over_takes_what_it_had_under_way_with_it() {
        let mut costs = Costs::new(2.0);
        let (alone, begin, insert) =
            (run(1, "select", None), run(2, "begin", Some(1)), run(3, "insert", Some(1)));
        costs.began(&alone, false, 1);
        costs.began(&begin, true, 2);
        costs.began(&insert, false, 3);
        let over: Vec<_> = costs.session_over(SESSION, 4).iter().map(|over| over.execution).collect();
        assert_eq!(over, [begin.execution, alone.execution]);
        assert!(costs.open.is_empty() && costs.units.is_empty());
        assert_eq!(costs.ended(insert.execution, Some(5), 5), None, "told once");
    }
}

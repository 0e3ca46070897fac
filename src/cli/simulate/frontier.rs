//! What each policy reaches at which delay: the same load under several budgets, on all cores.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{Mutex, PoisonError},
    thread,
};

use evenkeel_core::{
    scheduler::PolicyName,
    simulate::{BUDGETS, Report, Run},
};

use super::{
    Runs,
    plot::{Frontier, Point},
};
use crate::{config::ScenarioChoice, exit::ExitError};

/// A policy under one of [`BUDGETS`].
type Job = (PolicyName, usize);

/// What has been run, and by whom which budget was not used up.
#[derive(Default)]
struct Found {
    points: BTreeMap<Job, Point>,
    enough: BTreeMap<PolicyName, usize>,
}

/// Runs all policies; evenkeel's `own` run is known.
pub(super) fn run(
    runs: &Runs,
    choice: &ScenarioChoice,
    seed: u64,
    own: &Run,
) -> Result<Vec<Frontier>, ExitError> {
    let unbound = runs.delay_budget.is_none().then_some(point(&own.report));
    let unbound = |policy| unbound.filter(|_| policy == PolicyName::Evenkeel);
    let waiting = Mutex::new(jobs());
    let found = Mutex::new(Found::default());
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(job @ (policy, nth)) = take() {
            let enough = found.lock().unwrap_or_else(PoisonError::into_inner).enough.get(&policy).copied();
            if enough.is_some_and(|enough| nth > enough) {
                continue;
            }
            let report = runs.run(choice, seed, policy, Some(BUDGETS[nth]))?.report;
            found.lock().unwrap_or_else(PoisonError::into_inner).note(job, point(&report), unbound(policy));
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.try_for_each(|done: Result<(), ExitError>| done)
    })?;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let frontier =
        |policy: PolicyName| Frontier { policy: policy.name(), points: found.of(policy, unbound(policy)) };
    Ok(PolicyName::ALL.into_iter().map(frontier).collect())
}

fn point(report: &Report) -> Point {
    Point { delay: report.delay_ticks.mean, share: report.in_corridor, peak: report.peak_to_mean_60s }
}

/// Budget by budget, those that take longest first. The largest come last: most policies do not use them up, which is
/// known by then.
fn jobs() -> VecDeque<Job> {
    let of = |policy: PolicyName| if policy.levels() { BUDGETS.len() } else { 1 };
    let budgets = |nths: Range<usize>| {
        let policies = PolicyName::ALL.into_iter().rev();
        policies.flat_map(move |policy| {
            nths.clone().filter(move |nth| *nth < of(policy)).map(move |nth| (policy, nth))
        })
    };
    budgets(0..5).chain(budgets(5..BUDGETS.len())).collect()
}

impl Found {
    fn note(&mut self, (policy, nth): Job, point: Point, unbound: Option<Point>) {
        self.points.insert((policy, nth), point);
        let before = nth.checked_sub(1).and_then(|before| self.points.get(&(policy, before)));
        if before == Some(&point) || unbound == Some(point) {
            let enough = self.enough.entry(policy).or_insert(nth);
            *enough = nth.min(*enough);
        }
    }

    /// The point under each budget, up to the first that the policy does not use up: a ceiling that does not bind gives
    /// the same as all above it.
    fn of(&self, policy: PolicyName, unbound: Option<Point>) -> Vec<Point> {
        let mut points = Vec::new();
        for nth in 0..BUDGETS.len() {
            let Some(&point) = self.points.get(&(policy, nth)) else { break };
            let same = points.last() == Some(&point) || unbound == Some(point);
            points.push(point);
            if same {
                break;
            }
        }
        points.sort_by(|a: &Point, b| a.delay.total_cmp(&b.delay));
        points
    }
}

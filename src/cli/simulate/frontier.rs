//! What each policy reaches at which delay: the same load under several budgets, on all cores.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
};

use evenkeel_core::{scheduler::PolicyName, simulate::Run};

use super::{Runs, plot::Frontier};
use crate::{config::ScenarioChoice, exit::ExitError};

/// Budgets, in ticks of mean delay.
const BUDGETS: [f64; 8] = [1.5, 2.5, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

/// (mean delay, share in the corridor).
type Point = (f64, f64);

/// Runs all policies; evenkeel's `own` run is known. Those that take longest first, so that none is waited for alone.
pub(super) fn run(
    runs: &Runs,
    choice: &ScenarioChoice,
    seed: u64,
    own: &Run,
) -> Result<Vec<Frontier>, ExitError> {
    let unbound =
        runs.delay_budget.is_none().then_some((own.report.delay_ticks.mean, own.report.in_corridor));
    let waiting: VecDeque<PolicyName> = PolicyName::ALL.into_iter().rev().collect();
    let waiting = Mutex::new(waiting);
    let take = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        let mut done = Vec::new();
        while let Some(policy) = take() {
            let unbound = unbound.filter(|_| policy == PolicyName::Evenkeel);
            done.push((policy, points(runs, choice, seed, policy, unbound)?));
        }
        Ok(done)
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let done: Result<Vec<_>, ExitError> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect()
    });
    let mut done: Vec<_> = done?.into_iter().flatten().collect();
    done.sort_by_key(|(policy, _)| PolicyName::ALL.iter().position(|other| other == policy));
    Ok(done.into_iter().map(|(policy, points)| Frontier { policy: policy.name(), points }).collect())
}

/// The point under each budget, up to the first that a policy does not use up: a ceiling that does
/// not bind gives the same as all above it.
fn points(
    runs: &Runs,
    choice: &ScenarioChoice,
    seed: u64,
    policy: PolicyName,
    unbound: Option<Point>,
) -> Result<Vec<Point>, ExitError> {
    let budgets = if policy.levels() { &BUDGETS[..] } else { &BUDGETS[..1] };
    let mut points = Vec::new();
    for &budget in budgets {
        let report = runs.run(choice, seed, policy, Some(budget))?.report;
        let point = (report.delay_ticks.mean, report.in_corridor);
        let same = points.last() == Some(&point) || unbound == Some(point);
        points.push(point);
        if same {
            break;
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(points)
}

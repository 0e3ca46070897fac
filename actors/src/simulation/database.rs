//! A database whose outcomes are uncertain: it runs what is sent, tells how that ended late, in any order, twice or never,
//! and is not the server's: it lives on when that one is killed.

use std::collections::BTreeMap;

use evenkeel_core::{
    invariants::TruthRow,
    journal::{Outcome, Released},
    server::queue::Finished,
    units::{
        ids::{ExecutionId, QueryId},
        resource::Usage,
        tick::Tick,
    },
};

use super::{dice::Draws as _, server::cost, world::World};
use crate::ports::database::Resolution;

/// What it knows of an execution.
#[derive(Clone, Copy, Debug)]
struct Run {
    tick: Tick,
    outcome: Option<Outcome>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Uncertain {
    runs: BTreeMap<ExecutionId, Run>,
    /// What it has told, and nobody has heard yet.
    mail: Vec<Finished>,
    usage: BTreeMap<Tick, Usage>,
    /// Ticks whose usage the probe has not told.
    untold: Vec<Tick>,
    /// What a server has been told and has made durable.
    heard: BTreeMap<ExecutionId, Outcome>,
}

impl Uncertain {
    /// Outcomes that a server has recorded, for the checks.
    pub(super) fn heard(&self) -> impl Iterator<Item = (ExecutionId, Outcome)> + '_ {
        self.heard.iter().map(|(execution, outcome)| (*execution, *outcome))
    }

    fn usage(&self, tick: Tick) -> Usage {
        self.usage.get(&tick).copied().unwrap_or_default()
    }
}

/// Sends an execution: it runs, however often it is sent.
pub(super) fn send(world: &mut World, execution: ExecutionId, query: QueryId, tick: Tick) {
    world.truth.push(TruthRow { execution, tick, query });
    let Some(database) = &mut world.uncertain else { return };
    database.runs.entry(execution).or_insert(Run { tick, outcome: None });
    *database.usage.entry(tick).or_default() += cost(query);
}

/// Time passes for it until `now`: some executions end, and are told once, twice or never.
pub(super) fn runs_on(world: &mut World, now: Tick) {
    let World { uncertain: Some(database), dice, .. } = world else { return };
    let running = database.runs.iter_mut().filter(|(_, run)| run.outcome.is_none());
    for (&execution, run) in running {
        if !dice.hits(250) {
            continue;
        }
        let outcome = dice.pick(&[Outcome::Ok, Outcome::Ok, Outcome::Failed]);
        run.outcome = Some(outcome);
        let tick = Tick(run.tick.0 + dice.roll(now.since(run.tick) + 1));
        let told = dice.pick(&[0, 1, 1, 1, 1, 2]);
        database.mail.extend((0..told).map(|_| Finished { execution, tick, outcome, answer: None }));
    }
}

/// What arrives now, in any order; what has arrived may come again.
pub(super) fn told(world: &mut World) -> Vec<Finished> {
    let World { uncertain: Some(database), dice, .. } = world else { return Vec::new() };
    let mut heard = Vec::new();
    while !database.mail.is_empty() && dice.hits(600) {
        let which = dice.roll(database.mail.len() as u64) as usize;
        heard.push(if dice.hits(100) {
            database.mail[which].clone()
        } else {
            database.mail.swap_remove(which)
        });
    }
    heard
}

/// What it says of an execution after a restart. Now and then it has forgotten, and in the end it knows.
pub(super) fn resolve(world: &mut World, released: &Released, calm: bool) -> Resolution {
    let World { uncertain: Some(database), dice, .. } = world else { return Resolution::Unknown };
    match database.runs.get(&released.execution) {
        _ if !calm && dice.hits(100) => Resolution::Unknown,
        Some(Run { outcome: Some(outcome), tick }) => Resolution::Ended(*outcome, *tick),
        Some(Run { outcome: None, .. }) => Resolution::Running,
        None => Resolution::Unknown,
    }
}

/// What the probe tells of ticks before `begins`: late, in any order, twice, or never.
pub(super) fn used(world: &mut World, begins: Tick) -> Vec<(Tick, Usage)> {
    let World { uncertain: Some(database), dice, .. } = world else { return Vec::new() };
    // A tick in which nothing ran used nothing, and that is told, too.
    if let Some(last) = begins.0.checked_sub(1).map(Tick) {
        database.untold.push(last);
    }
    let mut told = Vec::new();
    while !database.untold.is_empty() && dice.hits(700) {
        let at = dice.roll(database.untold.len() as u64) as usize;
        let tick = if dice.hits(50) { database.untold[at] } else { database.untold.swap_remove(at) };
        if !dice.hits(30) {
            told.push((tick, database.usage(tick)));
        }
    }
    told
}

/// A server has made these outcomes durable.
pub(super) fn heard(world: &mut World, finished: &[Finished]) {
    let Some(database) = &mut world.uncertain else { return };
    for finished in finished {
        database.heard.entry(finished.execution).or_insert(finished.outcome);
    }
}

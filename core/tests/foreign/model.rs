//! A foreign server as far as its wire tells: a queue that shows an execution until it runs, windows by a timer
//! of its own, additive delays. Driven from outside, in virtual time or in real time.
#![allow(dead_code, reason = "each of those who share it uses some of it")]

use evenkeel_core::{
    units::{
        ids::{ExecutionId, QueryId},
        resource::{PerResource, Resource, Usage},
        tick::Tick,
        window::{Extent, Stretch},
    },
    world::{Scenario, World},
};
use uuid::Uuid;

/// Something that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) execution: ExecutionId,
    pub(crate) query: QueryId,
    index: usize,
    due: u64,
}

/// See the module.
pub(crate) struct Model {
    world: World,
    /// Ticks so far.
    pub(crate) ticks: u64,
    waiting: Vec<Waiting>,
    /// Usage is counted a tick after it happens, as by a monitor that reads counters.
    counts_late: bool,
    uncounted: Usage,
    open: Vec<Usage>,
    /// The last window, and how many there were.
    pub(crate) window: PerResource<Extent>,
    pub(crate) windows: u64,
    /// What each tick used, and ran: the truth.
    pub(crate) usage: Vec<Usage>,
    pub(crate) executed: u64,
    pub(crate) delays: u64,
    pub(crate) refused: u64,
    lives: u64,
    ids: u64,
}

impl Model {
    pub(crate) fn new(scenario: Scenario, seed: u64, counts_late: bool) -> Self {
        let world = World::new(scenario.parameters(), seed).expect("the parameters are valid");
        Self {
            world,
            ticks: 0,
            waiting: Vec::new(),
            counts_late,
            uncounted: Usage::default(),
            open: Vec::new(),
            window: PerResource::default(),
            windows: 0,
            usage: Vec::new(),
            executed: 0,
            delays: 0,
            refused: 0,
            lives: 0,
            ids: 0,
        }
    }

    /// A tick: what is due runs, then queries arrive.
    pub(crate) fn tick(&mut self) {
        let now = self.ticks;
        let (due, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|one| one.due <= now);
        self.waiting = waiting;
        let mut usage = Usage::default();
        for one in &due {
            usage += self.world.cost(one.index, Tick(now));
        }
        self.executed += due.len() as u64;
        self.usage.push(usage);
        self.open.push(if self.counts_late { std::mem::replace(&mut self.uncounted, usage) } else { usage });
        for index in self.world.arrivals(Tick(now)) {
            self.ids += 1;
            let execution = ExecutionId(self.id(&format!("execution {}", self.ids)));
            let query = QueryId(self.id(&format!("query {index}")));
            self.waiting.push(Waiting { execution, query, index, due: now + 1 });
        }
        self.ticks += 1;
    }

    /// The window's timer.
    pub(crate) fn close_window(&mut self) {
        let ticks: Stretch = self.open.iter().collect();
        if ticks.ticks == 0 {
            return;
        }
        self.window = PerResource::from_fn(|r| Extent {
            average: ticks.sum[r] / ticks.ticks,
            min: ticks.min[r],
            max: ticks.max[r],
        });
        self.windows += 1;
        self.open.clear();
    }

    /// What waits, in no order.
    pub(crate) fn queued(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.clone();
        waiting.sort_by_key(|one| Uuid::new_v5(&one.execution.0, &self.ticks.to_le_bytes()));
        waiting
    }

    /// Adds ticks; false when it does not wait.
    pub(crate) fn delay(&mut self, execution: ExecutionId, ticks: u64) -> bool {
        let found = self.waiting.iter_mut().find(|one| one.execution == execution);
        let Some(one) = found else {
            self.refused += 1;
            return false;
        };
        one.due += ticks;
        self.delays += 1;
        true
    }

    /// Starts anew: what waited is gone, and everything has another id.
    pub(crate) fn restart(&mut self) {
        self.lives += 1;
        self.waiting.clear();
        self.open.clear();
    }

    fn id(&self, name: &str) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{} {} {name}", self.world.seed(), self.lives).as_bytes())
    }
}

/// Share of the windows of ten ticks from `usage` that are in the corridor, at any alignment.
pub(crate) fn level(usage: &[Usage]) -> f64 {
    let windows = usage.windows(10);
    let count = windows.len().max(1);
    windows.filter(|window| window.iter().collect::<Stretch>().in_corridor()).count() as f64 / count as f64
}

/// The median over windows of ten ticks of the largest distance from the window's mean, as a share of it.
pub(crate) fn median_deviation(usage: &[Usage]) -> f64 {
    let of = |window: &[Usage], r: Resource| {
        let mean = window.iter().map(|tick| tick[r]).sum::<u64>() as f64 / window.len() as f64;
        window.iter().map(|tick| (tick[r] as f64 / mean - 1.0).abs()).fold(0.0, f64::max)
    };
    let mut deviations: Vec<f64> = usage
        .windows(10)
        .map(|window| Resource::ALL.map(|r| of(window, r)).into_iter().fold(0.0, f64::max))
        .collect();
    deviations.sort_by(f64::total_cmp);
    deviations[deviations.len() / 2]
}

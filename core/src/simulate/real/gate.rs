//! Those who time deferrable statements: what is compared.

use std::collections::{BTreeSet, VecDeque};

use super::{DELAY_MAX_US, RealPolicy, Tuning, paced::Paced};

/// What [`RealPolicy::FixedDelay`] adds, µs.
const FIXED_US: u64 = 2_000_000;
/// How [`RealPolicy::PacedFifo`] counts: over which time it averages arrivals, and in which time a backlog leaves, µs.
const FIFO_MEAN_US: f64 = 30e6;
const FIFO_DRAIN_US: f64 = 5e6;

/// See the module. Executions are numbers of the caller's.
pub(super) enum Gate {
    Simple(Simple),
    Paced(Box<Paced>),
}

/// Those that know nothing of costs.
pub(super) struct Simple {
    policy: RealPolicy,
    cap: usize,
    held: VecDeque<(u64, usize)>,
    running: BTreeSet<usize>,
    /// Arrivals a µs, on an exponential mean.
    rate: f64,
    tokens: f64,
    now_us: u64,
}

impl Gate {
    pub(super) fn new(policy: RealPolicy, cores: u32, tuning: Tuning) -> Self {
        if policy == RealPolicy::Paced {
            return Self::Paced(Box::new(Paced::new(cores, tuning)));
        }
        let cap = match policy {
            RealPolicy::CapOne => 1,
            RealPolicy::CapCores => cores as usize,
            _ => usize::MAX,
        };
        let (held, running) = <(VecDeque<_>, BTreeSet<_>)>::default();
        Self::Simple(Simple { policy, cap, held, running, rate: 0.0, tokens: 0.0, now_us: 0 })
    }

    pub(super) fn arrived(&mut self, us: u64, id: usize, cost_us: u64) {
        match self {
            Self::Simple(simple) => {
                simple.pass(us);
                simple.rate += 1.0 / FIFO_MEAN_US;
                simple.held.push_back((us, id));
            }
            Self::Paced(paced) => paced.arrived(us, id, cost_us),
        }
    }

    /// What may begin now.
    pub(super) fn released(&mut self, us: u64) -> Vec<usize> {
        match self {
            Self::Simple(simple) => {
                simple.pass(us);
                std::iter::from_fn(|| simple.next(us)).collect()
            }
            Self::Paced(paced) => paced.released(us),
        }
    }

    pub(super) fn ended(&mut self, us: u64, id: usize, cpu_us: Option<u64>) {
        match self {
            Self::Simple(simple) => drop(simple.running.remove(&id)),
            Self::Paced(paced) => paced.ended(us, id, cpu_us),
        }
    }

    /// A tick is over, in which the database used so much; what clocks say of running executions.
    pub(super) fn tick(&mut self, us: u64, used_us: u64, clocks: &[(usize, u64)]) {
        if let Self::Paced(paced) = self {
            paced.tick(us, used_us, clocks);
        }
    }

    pub(super) fn waiting(&self) -> Vec<usize> {
        match self {
            Self::Simple(simple) => simple.held.iter().map(|(_, id)| *id).collect(),
            Self::Paced(paced) => paced.waiting(),
        }
    }
}

impl Simple {
    fn pass(&mut self, us: u64) {
        let passed = us.saturating_sub(self.now_us) as f64;
        self.now_us = us;
        let pace = self.rate + self.held.len() as f64 / FIFO_DRAIN_US;
        self.tokens = (self.tokens + passed * pace).min(1.0);
        self.rate *= libm::exp(-passed / FIFO_MEAN_US);
    }

    fn next(&mut self, us: u64) -> Option<usize> {
        let (arrived_us, id) = *self.held.front()?;
        let may = match self.policy {
            RealPolicy::CapOne | RealPolicy::CapCores => self.running.len() < self.cap,
            RealPolicy::FixedDelay => us >= arrived_us + FIXED_US,
            RealPolicy::PacedFifo => self.tokens >= 1.0,
            RealPolicy::None | RealPolicy::Paced => true,
        };
        if !may && us < arrived_us + DELAY_MAX_US {
            return None;
        }
        self.tokens -= 1.0;
        self.held.pop_front();
        self.running.insert(id);
        Some(id)
    }
}

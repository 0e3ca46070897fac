//! What a database with executions that take time is made of, and the loads that have names.

use std::{fmt, str::FromStr};

use super::SECOND_US;

/// Everything that defines such a database, besides its seed.
#[derive(Clone, Debug, PartialEq)]
pub struct RealParameters {
    /// Cores of its host.
    pub cores: u32,
    /// Transactions and SELECTs of `pgbench`, 1 : 4, a second.
    pub interactive_per_s: f64,
    /// Analytic kinds.
    pub analytic_kinds: usize,
    /// Mean CPU time of the cheapest and the dearest of them, µs.
    pub analytic_us: [f64; 2],
    /// Analytic statements a second, on the mean.
    pub analytic_per_s: f64,
    /// They come in bursts: one in each stretch as long as this, µs.
    pub burst_every_us: u64,
    /// Mean time between two of a burst, µs.
    pub burst_gap_us: f64,
    /// A report in each stretch as long as this, µs, if any.
    pub report_every_us: Option<u64>,
    /// Parallel workers of reports and of every second analytic kind over 100 ms.
    pub workers: u32,
    /// CPU time of the database's own processes, µs a second.
    pub own_us_per_s: f64,
    /// Statements a second of clients that go past evenkeel: 5 to 60 ms each.
    pub others_per_s: f64,
    /// A run of autovacuum in each stretch of so many seconds; 0 for none.
    pub vacuum_every_s: u64,
}

/// A load that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RealScenario {
    /// Two cores, interactive load, bursts of analytic statements; a report now and then, parallel workers, autovacuum,
    /// clients that nobody records.
    Real,
    /// The same without reports, workers and autovacuum.
    RealPlain,
    /// Batches and reports alone.
    RealNight,
}

/// No load has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scenario `{name}`: one of {}", RealScenario::ALL.map(RealScenario::name).join(", "))]
pub struct UnknownRealScenario {
    /// What was asked for.
    pub name: String,
}

impl RealScenario {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Real, Self::RealPlain, Self::RealNight];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::RealPlain => "real-plain",
            Self::RealNight => "real-night",
        }
    }

    /// Its parameters.
    pub fn parameters(self) -> RealParameters {
        let real = RealParameters {
            cores: 2,
            interactive_per_s: 300.0,
            analytic_kinds: 20,
            analytic_us: [700.0, 500_000.0],
            analytic_per_s: 6.0,
            burst_every_us: 5 * SECOND_US,
            burst_gap_us: 15_000.0,
            report_every_us: Some(40 * SECOND_US),
            workers: 1,
            own_us_per_s: 8_000.0,
            others_per_s: 0.3,
            vacuum_every_s: 20,
        };
        match self {
            Self::Real => real,
            Self::RealPlain => {
                RealParameters { report_every_us: None, workers: 0, vacuum_every_s: 0, ..real }
            }
            Self::RealNight => RealParameters {
                interactive_per_s: 0.0,
                analytic_per_s: 8.0,
                report_every_us: Some(15 * SECOND_US),
                others_per_s: 0.0,
                ..real
            },
        }
    }
}

impl fmt::Display for RealScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RealScenario {
    type Err = UnknownRealScenario;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == text)
            .ok_or_else(|| UnknownRealScenario { name: text.to_owned() })
    }
}

//! Ways to choose slots: evenkeel's own and those that it is compared with.

mod aimd;
mod evenkeel;
mod jitter;
mod least_loaded;
mod none;
mod token_bucket;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use self::{
    aimd::Aimd, evenkeel::Evenkeel, jitter::Jitter, least_loaded::LeastLoaded, none::NoPolicy,
    token_bucket::TokenBucket,
};
use super::{
    levelling::AtArrival,
    problem::{Plan, Problem},
};
use crate::{
    journal::Executed,
    units::{lengths::Lengths, window::Window},
};

/// Chooses slots.
pub trait Policy: Send {
    /// Slots for what should run when. Without a slot an execution is held.
    fn plan(&mut self, problem: &Problem<'_>) -> Plan;

    /// Notes an execution.
    fn executed(&mut self, _executed: &Executed) {}

    /// Notes a closed window.
    fn window(&mut self, _window: &Window) {}
}

/// A policy that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// Nobody levels.
    None,
    /// A random number of ticks later.
    Jitter,
    /// As many executions a tick as arrive on average.
    TokenBucket,
    /// The tick with the least planned.
    LeastLoaded,
    /// Fewer executions a tick after a peak, slowly more otherwise.
    Aimd,
    /// Every tick near the same sums of all three resources.
    Evenkeel,
    /// The same for a database that can only be asked to run something later: each execution is placed
    /// once, when it arrives.
    AtArrival,
}

/// No policy has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown policy `{name}`: one of {}", PolicyName::ALL.map(PolicyName::name).join(", "))]
pub struct UnknownPolicy {
    /// What was asked for.
    pub name: String,
}

impl PolicyName {
    /// Those that are compared with each other.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Jitter, Self::TokenBucket, Self::LeastLoaded, Self::Aimd, Self::Evenkeel];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Jitter => "jitter",
            Self::TokenBucket => "token-bucket",
            Self::LeastLoaded => "least-loaded",
            Self::Aimd => "aimd",
            Self::Evenkeel => "evenkeel",
            Self::AtArrival => "at-arrival",
        }
    }

    /// Whether it wants to decide at all; if not, nobody takes the lease.
    pub fn levels(self) -> bool {
        self != Self::None
    }

    /// A policy that has seen nothing of a database of these lengths.
    pub fn build(self, lengths: Lengths) -> Box<dyn Policy> {
        match self {
            Self::None => Box::new(NoPolicy),
            Self::Jitter => Box::new(Jitter::default()),
            Self::TokenBucket => Box::new(TokenBucket::default()),
            Self::LeastLoaded => Box::new(LeastLoaded::default()),
            Self::Aimd => Box::new(Aimd::new(lengths)),
            Self::Evenkeel => Box::new(Evenkeel::default()),
            Self::AtArrival => Box::new(AtArrival::default()),
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PolicyName {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        (Self::ALL.into_iter().chain([Self::AtArrival]))
            .find(|policy| policy.name() == text)
            .ok_or_else(|| UnknownPolicy { name: text.to_owned() })
    }
}

impl Policy for AtArrival {
    fn plan(&mut self, problem: &Problem<'_>) -> Plan {
        Self::plan(self, problem)
    }
}

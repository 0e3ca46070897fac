//! The database that a server leads: which kind, with the settings of that kind.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use evenkeel_actors::{
    databases::simulated::{Simulated, SimulatedWorkload},
    ports::database::{Measured, Workload},
    stores::outbox::{Identity, OutboxReader},
};
use evenkeel_core::{units::lengths::Lengths, world::Parameters};

use crate::config::ScenarioChoice;

/// See the module.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A database in virtual hardware, whose clients are simulated, too.
    Simulated(SimulatedSettings),
}

/// What a simulated database is made of.
#[derive(Clone, Debug)]
pub struct SimulatedSettings {
    /// Its parameters.
    pub scenario: ScenarioChoice,
    /// Draws it.
    pub seed: u64,
    /// Where it writes what it really ran.
    pub truth: Option<PathBuf>,
}

impl SimulatedSettings {
    /// The scenario and the seed that the journal in `dir` belongs to; none where there is none that says so.
    pub fn kept(dir: &Path) -> Option<(ScenarioChoice, u64)> {
        let Identity { label, text, .. } = OutboxReader::open(dir).ok()?.meta().ok()?.identity;
        let (seed, parameters) = text.strip_prefix("seed = ")?.split_once('\n')?;
        let parameters = toml::from_str(parameters).ok()?;
        let label = label.strip_prefix("scenario ")?.rsplit_once(" seed ")?.0.to_owned();
        Some((ScenarioChoice { label, parameters }, seed.parse().ok()?))
    }
}

/// A database, and who sends it queries in this process.
pub(super) type Opened = (Box<dyn Measured>, Box<dyn Workload>);

impl Backend {
    /// What people call it.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Simulated(SimulatedSettings { scenario, seed, .. }) => {
                format!("scenario {} seed {seed}", scenario.label)
            }
        }
    }

    /// How long its ticks and windows are, and the delay that nobody asked for.
    pub(crate) fn lengths(&self) -> Lengths {
        match self {
            Self::Simulated(settings) => settings.scenario.parameters.lengths(),
        }
    }

    /// What a data directory of this database belongs to.
    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Simulated(settings) => Identity {
                label: self.label(),
                text: format!("seed = {}\n{}", settings.seed, text(&settings.scenario.parameters)),
                lengths: self.lengths(),
                defaults: text(&Parameters::default()),
            },
        }
    }

    /// The database itself.
    ///
    /// # Errors
    /// It cannot be what was asked for, or its own record cannot be used.
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        match self {
            Self::Simulated(SimulatedSettings { scenario, seed, truth }) => {
                let world = scenario.world(*seed)?;
                let database = Simulated::new(world.clone(), truth.as_deref()).with_context(|| {
                    let path = truth.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
                    format!("{path} cannot be used for --truth")
                })?;
                Ok((Box::new(database), Box::new(SimulatedWorkload(world))))
            }
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated(SimulatedSettings { scenario, seed, .. }) => {
                write!(f, "scenario {}, seed {seed}", scenario.label)
            }
        }
    }
}

fn text(parameters: &Parameters) -> String {
    toml::to_string(parameters).unwrap_or_default()
}

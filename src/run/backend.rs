//! The database that a server leads: which kind, with the settings of that kind.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use evenkeel_actors::{
    databases::simulated::{Simulated, SimulatedWorkload},
    ports::database::{Measured, Workload},
    postgres::{
        desk::{Desk, RealDatabase, Releases},
        front::FrontSettings,
        own::OwnSettings,
        probe::Probe,
        upstream::Upstream,
    },
    stores::outbox::{Identity, OutboxReader},
};
use evenkeel_core::{journal::Mode, postgres::classes::Classes, units::lengths::Lengths, world::Parameters};

use crate::config::ScenarioChoice;

/// See the module.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A database in virtual hardware, whose clients are simulated, too.
    Simulated(Box<SimulatedSettings>),
    /// A PostgreSQL, whose clients connect to the front.
    Postgres(Box<PostgresSettings>),
}

/// Where what a real database uses can be read.
#[derive(Clone, Debug)]
pub enum ProbeAt {
    /// Nowhere: windows have no usage.
    Nowhere,
    /// In its control group.
    Cgroup(PathBuf),
    /// From the clocks of its backends, whose cluster is there.
    Pgdata(PathBuf),
}

impl ProbeAt {
    fn open(&self, tick_ms: u64) -> std::io::Result<Option<Probe>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Cgroup(path) => Probe::cgroup(path, tick_ms).map(Some),
            Self::Pgdata(path) => Probe::pgdata(path, tick_ms).map(Some),
        }
    }
}

/// What a real database is led with.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// Where it is.
    pub upstream: Upstream,
    /// Where its clients connect.
    pub front: FrontSettings,
    /// Deferrable statements beside each other.
    pub at_once: Option<u32>,
    /// How long busy sessions may go on at the end, in ms.
    pub drain_ms: u64,
    /// What statements are deferrable, and the file that says so.
    pub classes: (Classes, Option<PathBuf>),
    /// How evenkeel itself asks the database.
    pub own: OwnSettings,
    /// Whether verifiers of passwords are asked of the database.
    pub asks_verifiers: bool,
    /// Certificates and key that clients are offered.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Where what the database uses is read.
    pub probe: ProbeAt,
    /// Where held statements wait.
    pub desk: Desk,
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
            Self::Simulated(settings) => {
                let SimulatedSettings { scenario, seed, .. } = &**settings;
                format!("scenario {} seed {seed}", scenario.label)
            }
            Self::Postgres(settings) => format!("postgres {}", settings.upstream.identity()),
        }
    }

    /// How long its ticks and windows are, and the delay that nobody asked for.
    pub(crate) fn lengths(&self) -> Lengths {
        match self {
            Self::Simulated(settings) => settings.scenario.parameters.lengths(),
            Self::Postgres(_) => Lengths::default(),
        }
    }

    /// Whether `run` has a client that levels it: a real database's pacing needs none.
    pub(super) fn is_levelled_here(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// Who decides in a new journal: a real database is watched before anything is held.
    pub(super) fn first_mode(&self) -> Option<Mode> {
        match self {
            Self::Simulated(_) => None,
            Self::Postgres(_) => Some(Mode::Shadow),
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
            // The database may move to another host: the journal is that of the name (`--name`).
            Self::Postgres(_) => Identity {
                label: "a PostgreSQL".to_owned(),
                text: "postgres".to_owned(),
                lengths: self.lengths(),
                defaults: String::new(),
            },
        }
    }

    /// The database itself.
    ///
    /// # Errors
    /// It cannot be what was asked for, or its own record cannot be used.
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        match self {
            Self::Simulated(settings) => {
                let SimulatedSettings { scenario, seed, truth } = &**settings;
                let world = scenario.world(*seed)?;
                let database = Simulated::new(world.clone(), truth.as_deref()).with_context(|| {
                    let path = truth.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
                    format!("{path} cannot be used for --truth")
                })?;
                Ok((Box::new(database), Box::new(SimulatedWorkload(world))))
            }
            Self::Postgres(settings) => {
                let probe = settings.probe.open(self.lengths().tick_ms);
                let probe = probe.context("what the database uses cannot be read")?;
                let database = RealDatabase::new(settings.desk.clone(), Releases::Pacing, probe);
                Ok((Box::new(database), Box::new(settings.desk.clone())))
            }
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simulated(settings) => {
                let SimulatedSettings { scenario, seed, .. } = &**settings;
                write!(f, "scenario {}, seed {seed}", scenario.label)
            }
            Self::Postgres(settings) => write!(f, "PostgreSQL at {}", settings.upstream),
        }
    }
}

fn text(parameters: &Parameters) -> String {
    toml::to_string(parameters).unwrap_or_default()
}

//! Configuration in three layers: file < environment < flag. Environment and flags come from clap; this
//! is the file, and the merge.

use std::{collections::BTreeMap, path::Path};

use evenkeel_core::{
    control::Mode,
    ids::QueryId,
    queue::{HoldLimits, MAX_DELAY_TICKS_DEFAULT},
    world::{Parameters, Scenario, World},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{exit::ExitError, telemetry::LogFormat};

/// Longest maximum delay that may be configured: a day at the default pace, as for `/delay`.
const MAX_DELAY_TICKS_MAX: u64 = 864_000;

/// What a configuration file may say; unknown keys are refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// See `--name`.
    pub name: Option<String>,
    /// See `--prefix`.
    pub prefix: Option<String>,
    /// See `--listen`.
    pub listen: Option<String>,
    /// See `--log-format`.
    pub log_format: Option<LogFormat>,
    /// See `--tokens`.
    pub tokens: Option<std::path::PathBuf>,
    /// See `--open-wire`.
    pub open_wire: Option<bool>,
    /// See `--allow-host`.
    pub allow_hosts: Option<Vec<String>>,
    /// See `--requests-per-second`.
    pub requests_per_second: Option<std::num::NonZeroU32>,
    /// See `--base-path`.
    pub base_path: Option<String>,
    /// See `--scenario`.
    pub scenario: Option<String>,
    /// See `--seed`.
    pub seed: Option<u64>,
    /// See `--data-dir`.
    pub data_dir: Option<std::path::PathBuf>,
    /// See `--mode`.
    pub mode: Option<Mode>,
    /// See `--redis`.
    pub redis: Option<String>,
    /// See `--redis-password-file`.
    pub redis_password_file: Option<std::path::PathBuf>,
    /// See `--server`.
    pub server: Option<String>,
    /// See `--token-file`.
    pub token_file: Option<std::path::PathBuf>,
    /// See `--delay-budget`.
    pub delay_budget: Option<f64>,
    /// Longest time in ticks that a slot may hold an execution.
    pub max_delay_ticks: Option<u64>,
    /// The same by query id.
    #[serde(default)]
    pub max_delay_ticks_by_query: BTreeMap<QueryId, u64>,
}

impl File {
    /// Reads `path`; without one, nothing is configured.
    ///
    /// # Errors
    /// It cannot be read, or says something that it cannot say; exit code 2.
    pub fn read(path: Option<&Path>) -> Result<Self, ExitError> {
        path.map_or_else(|| Ok(Self::default()), read_toml)
    }

    /// How long slots may hold executions.
    ///
    /// # Errors
    /// A limit is out of range; exit code 2.
    pub fn hold_limits(&self) -> Result<HoldLimits, ExitError> {
        let default_ticks = self.max_delay_ticks.unwrap_or(MAX_DELAY_TICKS_DEFAULT);
        let by_query = self.max_delay_ticks_by_query.clone();
        let mut all = by_query.values().copied().chain([default_ticks]);
        if let Some(ticks) = all.find(|ticks| !(1..=MAX_DELAY_TICKS_MAX).contains(ticks)) {
            return Err(ExitError::usage(format!(
                "a maximum delay is {ticks} ticks: expected 1..={MAX_DELAY_TICKS_MAX}"
            )));
        }
        Ok(HoldLimits { default_ticks, by_query })
    }
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ExitError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ExitError::usage(format!("{} cannot be read: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| ExitError::usage(format!("{}: {error}", path.display())))
}

/// A simulated database that was asked for.
#[derive(Clone, Debug)]
pub struct ScenarioChoice {
    /// The scenario's name, or the file's path.
    pub label: String,
    /// What it stands for.
    pub parameters: Parameters,
}

impl ScenarioChoice {
    /// A scenario by name, or the parameters in a TOML file (those that it does not set are `seed`'s).
    ///
    /// # Errors
    /// Neither a name nor a readable file of parameters that can be; exit code 2.
    pub fn parse(text: &str) -> Result<Self, ExitError> {
        let parameters = match text.parse::<Scenario>() {
            Ok(scenario) => scenario.parameters(),
            Err(unknown) if Path::new(text).extension().is_none() && !Path::new(text).exists() => {
                return Err(ExitError::usage(format!("{unknown}, or a file of parameters")));
            }
            Err(_) => read_toml(Path::new(text))?,
        };
        parameters.check().map_err(|error| ExitError::usage(format!("scenario {text}: {error}")))?;
        Ok(Self { label: text.to_owned(), parameters })
    }

    /// Its world under `seed`.
    ///
    /// # Errors
    /// As for [`ScenarioChoice::parse`].
    pub fn world(&self, seed: u64) -> Result<World, ExitError> {
        World::new(self.parameters.clone(), seed).map_err(ExitError::usage)
    }
}

/// A delay budget that can be: 1 is none added.
///
/// # Errors
/// It is below 1 or not finite; exit code 2.
pub fn delay_budget(budget: Option<f64>) -> Result<Option<f64>, ExitError> {
    match budget {
        Some(ticks) if !ticks.is_finite() || ticks < 1.0 => Err(ExitError::usage(format!(
            "the delay budget is {ticks}: expected a mean delay of 1 tick (none added) or more"
        ))),
        budget => Ok(budget),
    }
}

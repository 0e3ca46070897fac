//! Where each setting comes from: default < file < environment < flag.

use std::{collections::BTreeMap, fmt, path::Path};

use clap::{ArgMatches, Command, parser::ValueSource};

use crate::{config::File, exit::ExitError};

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file and its line.
    File(String),
    /// A variable of the environment.
    Variable(String),
    /// The command line.
    Flag(String),
}

impl Origin {
    /// Its kind, for machines.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Variable(_) => "variable",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(text) | Self::Variable(text) | Self::Flag(text) => f.write_str(text),
        }
    }
}

/// What was given as a flag or a variable, by the argument's name in this program.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(BTreeMap<String, Origin>);

impl Given {
    /// What `matches` found of the subcommand of `command` that was typed.
    pub(super) fn of(matches: &ArgMatches, command: &Command) -> Self {
        let mut given = BTreeMap::new();
        let (mut matches, mut command) = (matches, command);
        loop {
            for arg in command.get_arguments() {
                let id = arg.get_id().as_str();
                if !matches.ids().any(|other| other.as_str() == id) {
                    continue;
                }
                let origin = match matches.value_source(id) {
                    Some(ValueSource::CommandLine) => {
                        Origin::Flag(format!("--{}", arg.get_long().unwrap_or(id)))
                    }
                    Some(ValueSource::EnvVariable) => {
                        Origin::Variable(arg.get_env().unwrap_or_default().to_string_lossy().into_owned())
                    }
                    _ => continue,
                };
                given.insert(id.to_owned(), origin);
            }
            let Some((name, below)) = matches.subcommand() else { return Self(given) };
            let Some(found) = command.find_subcommand(name) else { return Self(given) };
            (matches, command) = (below, found);
        }
    }
}

/// One effective setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Its name, as in the file.
    pub(super) name: &'static str,
    /// Its value without secrets; none when there is none.
    pub(super) value: Option<String>,
    /// Where it comes from.
    pub(super) origin: Origin,
}

/// A configuration file below what was given.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub(super) file: File,
    given: Given,
}

impl Layers {
    /// # Errors
    /// The file cannot be read; exit code 2.
    pub(super) fn read(path: Option<&Path>, given: &Given) -> Result<Self, ExitError> {
        let file = File::read(path).map_err(|error| match given.0.get("config") {
            Some(origin) => ExitError::usage(format!("{origin}: {error}")),
            None => error,
        })?;
        Ok(Self { file, given: given.clone() })
    }

    /// Where the setting `name` comes from.
    pub(super) fn origin(&self, name: &str, in_file: bool) -> Origin {
        match self.given.0.get(name) {
            Some(origin) => origin.clone(),
            None if in_file => Origin::File(self.file.place.of(name)),
            None => Origin::Default,
        }
    }

    /// An error about the setting `name`, which is in the file or not.
    pub(super) fn refuse(&self, name: &str, in_file: bool, message: impl fmt::Display) -> ExitError {
        match self.origin(name, in_file) {
            Origin::Default => ExitError::usage(message),
            origin => ExitError::usage(format!("{origin}: {message}")),
        }
    }

    /// The setting `name` for people: what was given, or what the file says, or `default`.
    pub(super) fn setting<T: ToString>(
        &self,
        name: &'static str,
        given: Option<T>,
        filed: Option<T>,
        default: Option<&str>,
    ) -> Setting {
        let origin = self.origin(name, filed.is_some());
        let value = given.or(filed).map(|value| value.to_string());
        Setting { name, value: value.or_else(|| default.map(str::to_owned)), origin }
    }
}

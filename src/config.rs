//! Configuration in three layers: file < environment < flag. Environment and flags come from clap; this
//! is the file, and the merge.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use evenkeel_core::{
    journal::Mode,
    server::queue::HoldSettings,
    units::{ids::QueryId, span::Given},
    world::{Parameters, Scenario, World},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{exit::ExitError, telemetry::LogFormat};

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
    pub tokens: Option<PathBuf>,
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
    pub data_dir: Option<PathBuf>,
    /// See `--mode`.
    pub mode: Option<Mode>,
    /// See `--postgres`.
    pub postgres: Option<Masked>,
    /// See `--redis`.
    pub redis: Option<Masked>,
    /// See `--redis-password-file`.
    pub redis_password_file: Option<PathBuf>,
    /// See `--redis-ca`.
    pub redis_ca: Option<PathBuf>,
    /// See `--server`.
    pub server: Option<Masked>,
    /// See `--server-ca`.
    pub server_ca: Option<PathBuf>,
    /// See `--token-file`.
    pub token_file: Option<PathBuf>,
    /// See `--delay-budget`.
    pub delay_budget: Option<Given>,
    /// See `--tick-ms`.
    pub tick_ms: Option<u64>,
    /// See `--window-ticks`.
    pub window_ticks: Option<u64>,
    /// See `--default-delay-ticks`.
    pub default_delay_ticks: Option<u64>,
    /// See `--delay-objective`.
    pub delay_objective: Option<Given>,
    /// See `--max-delay`; its name was another one while it took ticks alone.
    #[serde(alias = "max_delay_ticks")]
    pub max_delay: Option<Given>,
    /// The same by query id.
    #[serde(default, alias = "max_delay_ticks_by_query")]
    pub max_delay_by_query: BTreeMap<QueryId, Given>,
    /// Where all of that stands.
    #[serde(skip)]
    pub place: Place,
}

/// An address as it was typed. It may hold a secret, so that it is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Masked(String);

impl Masked {
    /// The text, for whoever reads the address.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Masked {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masked(…)")
    }
}

/// A configuration file, and the lines of its keys.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// None where there is no file.
    pub path: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
}

impl Place {
    fn new(path: &Path, text: &str) -> Self {
        let mut lines = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let Some((key, _)) = line.split_once('=') else { continue };
            // Also under the names that keys had once.
            let key = key.trim().trim_matches(['"', '\'']).replace("max_delay_ticks", "max_delay");
            lines.entry(key).or_insert(at + 1);
        }
        Self { path: Some(path.to_owned()), lines }
    }

    /// Where `key` stands, for people.
    pub fn of(&self, key: &str) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new("the file")).display();
        self.lines.get(key).map_or_else(|| path.to_string(), |line| format!("{path}, line {line}"))
    }
}

impl File {
    /// Reads `path`; without one, nothing is configured.
    ///
    /// # Errors
    /// It cannot be read, or says something that it cannot say; exit code 2.
    pub fn read(path: Option<&Path>) -> Result<Self, ExitError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = read_text(path)?;
        let file: Self = parse(path, &text)?;
        Ok(Self { place: Place::new(path, &text), ..file })
    }

    /// How long slots may hold executions.
    pub fn hold_settings(&self) -> HoldSettings {
        HoldSettings { default: self.max_delay, by_query: self.max_delay_by_query.clone() }
    }
}

/// The text of a file that a person wrote, without the mark that some editors put before it.
pub(crate) fn read_text(path: &Path) -> Result<String, ExitError> {
    let wrong =
        |why: &dyn fmt::Display| ExitError::usage(format!("{} cannot be read: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8, save it as that"))?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, ExitError> {
    parse(path, &read_text(path)?)
}

/// An error names file and line. The line is not shown, for it may hold a secret.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ExitError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let key = text.lines().nth(line - 1).and_then(|line| Some(line.split_once('=')?.0.trim()));
        let key = key.filter(|key| is_a_name(key)).map(|key| format!("`{key}`: ")).unwrap_or_default();
        let reason = without_values(error.message());
        ExitError::usage(format!("{}, line {line}: {key}{reason}", path.display()))
    })
}

fn is_a_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 40 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// What a deserialiser says, without the values that it quotes: names of fields are shown, and what was expected.
fn without_values(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let (said, expected) = match message.find("expected") {
        Some(at) => message.split_at(at),
        None => (message.as_str(), ""),
    };
    let mut shown = String::new();
    let mut rest = said;
    while let Some(at) = rest.find(['"', '`']) {
        let quote = if rest[at..].starts_with('`') { '`' } else { '"' };
        let inner = &rest[at + 1..];
        let end = if quote == '`' { inner.find(quote) } else { inner.rfind(quote) };
        let (quoted, after) = end.map_or((inner, ""), |end| (&inner[..end], &inner[end + 1..]));
        let field = rest[..at].ends_with("field ") && is_a_name(quoted);
        shown.push_str(&rest[..at]);
        shown.extend(if field { ["`", quoted, "`"] } else { ["", "…", ""] });
        rest = after;
    }
    shown + rest + expected
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

/// A delay budget that can be: 1 tick is none added.
///
/// # Errors
/// It is below 1 tick; exit code 2.
pub fn delay_budget(budget: Option<Given>) -> Result<Option<Given>, ExitError> {
    match budget {
        Some(Given::Ticks(ticks)) if ticks < 1.0 => Err(ExitError::usage(format!(
            "the delay budget is {ticks}: expected a mean delay of 1 tick (none added) or more, or a time such as 6s"
        ))),
        budget => Ok(budget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.toml");
        std::fs::write(&file, text).unwrap();
        File::read(Some(&file)).map_or_else(|error| error.message, |file| format!("{file:?}"))
    }

    #[test]
    fn no_error_shows_a_value() {
        for (line, says) in [
            ("redis = redis://x:SECRET@h", ""),
            ("redis = \"redis://x:SECRET@h", ""),
            ("redis = [\"redis://x:SECRET@h\"]", "string"),
            ("redis_pasword = \"SECRET\"", "unknown field `redis_pasword`, expected one of"),
            ("redis://x:SECRET@h", ""),
            ("\"redis://x:SECRET@h\" = 1", "unknown field"),
            ("seed = \"SECRET\"", "expected u64"),
            ("mode = \"SECRET\"", "shadow"),
            ("log_format = \"SECRET\"", "json"),
            ("max_delay_by_query = { SECRET = 1 }", ""),
            ("max_delay_ticks = \"SECRET\"", "or a time"),
            ("redis = \"a\"\nredis = \"SECRET\"", "duplicate"),
            ("requests_per_second = 0", "expected"),
        ] {
            let said = said(&format!("name = \"main\"\n{line}\n"));
            assert!(said.contains("evenkeel.toml, line ") && !said.contains("line 1:"), "{line}: {said}");
            assert!(said.contains(says) && !said.contains("SECRET"), "{line}: {said}");
        }
    }

    #[test]
    fn files_are_read_as_editors_write_them() {
        let text = said("\u{feff}name = \"a\"\r\n\r\nseed = 7\r\n");
        assert!(text.contains("name: Some(\"a\")") && text.contains("seed: Some(7)"), "{text}");
        assert!(said("").contains("name: None"));
    }
}

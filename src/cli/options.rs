//! Options that several commands share. Flags are optional so that the file can speak where neither flag nor
//! environment does.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use evenkeel_actors::journal::redis::{Keys, Target};
use evenkeel_core::control::Mode;

use crate::{
    config::{self, File, ScenarioChoice},
    exit::ExitError,
    http::{AccessSettings, BasePath},
    output,
    run::{Common, Levelling, Serving},
    telemetry::LogFormat,
    tokens::{Secret, Tokens},
};

/// What every long-running command takes.
#[derive(Debug, Args)]
pub(super) struct CommonOptions {
    /// Name of the database [default: main]
    #[arg(long, env = "EVENKEEL_NAME")]
    name: Option<String>,
    /// Prefix of the keys in Redis [default: evenkeel]
    #[arg(long, env = "EVENKEEL_PREFIX")]
    prefix: Option<String>,
    /// Address to listen on [default: 127.0.0.1:7070, a client 127.0.0.1:7071]
    #[arg(long, env = "EVENKEEL_LISTEN")]
    listen: Option<String>,
    /// A TOML file; environment and flags go before it.
    #[arg(long, env = "EVENKEEL_CONFIG")]
    config: Option<PathBuf>,
    /// Form of the log on stderr [default: text]
    #[arg(long, env = "EVENKEEL_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(flatten)]
    access: AccessOptions,
}

/// Who may ask this process over HTTP.
#[derive(Debug, Args)]
pub(super) struct AccessOptions {
    /// File of hashed bearer tokens, as `evenkeel token new` writes it; needed to listen beyond loopback.
    #[arg(long, env = "EVENKEEL_TOKENS_FILE", value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Let everybody who reaches the address read, place slots and change the mode.
    #[arg(long, env = "EVENKEEL_NO_AUTH", conflicts_with = "tokens")]
    no_auth: bool,
    /// Let /queued, /resources and /delay be used without a token, for clients that know of none.
    #[arg(long, env = "EVENKEEL_OPEN_WIRE")]
    open_wire: bool,
    /// A name under which this process is asked, besides localhost and addresses; may be repeated.
    #[arg(long, env = "EVENKEEL_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    allow_host: Vec<String>,
    /// Requests that one token may make in a second [default: 200]
    #[arg(long, env = "EVENKEEL_REQUESTS_PER_SECOND", value_name = "N")]
    requests_per_second: Option<NonZeroU32>,
    /// Path under which a proxy shows this process, as /evenkeel.
    #[arg(long, env = "EVENKEEL_BASE_PATH", value_name = "PATH")]
    base_path: Option<BasePath>,
}

/// More than a client that levels and some dashboards need: 10 slots and 1 event a second.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).expect("200 is not 0");

impl AccessOptions {
    fn merge(&self, file: &File, listen: &str) -> Result<AccessSettings, ExitError> {
        let tokens = self.tokens.clone().or_else(|| file.tokens.clone()).filter(|_| !self.no_auth);
        let base_path = match (&self.base_path, &file.base_path) {
            (Some(path), _) => path.clone(),
            (None, path) => path.as_deref().unwrap_or_default().parse().map_err(ExitError::usage)?,
        };
        let mut hosts = self.allow_host.clone();
        hosts.extend(file.allow_hosts.iter().flatten().cloned());
        if tokens.is_none() && !is_loopback(listen) {
            if !self.no_auth {
                return Err(ExitError::usage(format!(
                    "whoever reaches {listen} could read everything and change the mode: give --tokens FILE (`evenkeel \
                     token new` makes one), or say --no-auth"
                )));
            }
            output::note(format!(
                "--no-auth: whoever reaches {listen} can read everything, delay queries and change the mode"
            ));
        }
        if let Some(tokens) = &tokens {
            Tokens::read(tokens).map_err(ExitError::usage)?;
        }
        Ok(AccessSettings {
            tokens,
            open_wire: self.open_wire || file.open_wire.unwrap_or_default(),
            hosts,
            requests_per_second: self
                .requests_per_second
                .or(file.requests_per_second)
                .unwrap_or(REQUESTS_PER_SECOND),
            base_path,
        })
    }
}

/// Whether only this machine can reach `listen`, `host:port`.
fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _port)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl CommonOptions {
    pub(super) fn file(&self) -> Result<File, ExitError> {
        File::read(self.config.as_deref())
    }

    pub(super) fn merge(&self, file: &File, listen: &str) -> Result<Common, ExitError> {
        let name = self.name.clone().or_else(|| file.name.clone()).unwrap_or_else(|| "main".to_owned());
        let prefix = self.prefix.clone().or_else(|| file.prefix.clone());
        let keys = Keys::new(prefix.as_deref().unwrap_or("evenkeel"), &name).map_err(ExitError::usage)?;
        let listen = self.listen.clone().or_else(|| file.listen.clone()).unwrap_or_else(|| listen.to_owned());
        let log_format = self.log_format.or(file.log_format).unwrap_or_default();
        let access = self.access.merge(file, &listen)?;
        Ok(Common { name, keys, listen, access, log_format, limits: file.hold_limits()? })
    }
}

/// What the commands with a server's half take.
#[derive(Debug, Args)]
pub(super) struct ServingOptions {
    /// A scenario's name, or a TOML file of parameters [default: seed]
    #[arg(long, env = "EVENKEEL_SCENARIO")]
    scenario: Option<String>,
    /// Draws the simulated database [default: 1]
    #[arg(long, env = "EVENKEEL_SEED")]
    seed: Option<u64>,
    /// Where the journal lives [default: ./evenkeel-data]
    #[arg(long, env = "EVENKEEL_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// off, shadow or enforce [default: what it was, at first enforce]
    #[arg(long, env = "EVENKEEL_MODE")]
    mode: Option<Mode>,
    /// Write what the database really ran to this file, for checks.
    #[arg(long, env = "EVENKEEL_TRUTH")]
    truth: Option<PathBuf>,
    /// Stop after this many ticks, counted from the journal's beginning.
    #[arg(long)]
    until_tick: Option<u64>,
    /// The clock is right now, and was ahead when the last entries were recorded: start all the same. Needed once.
    // Not in the environment, where it would stay and let any wrong clock pass.
    #[arg(long)]
    clock_was_wrong: bool,
}

impl ServingOptions {
    pub(super) fn merge(&self, file: &File) -> Result<Serving, ExitError> {
        let scenario = self.scenario.as_deref().or(file.scenario.as_deref()).unwrap_or("seed");
        let data_dir = self.data_dir.clone().or_else(|| file.data_dir.clone());
        Ok(Serving {
            scenario: ScenarioChoice::parse(scenario)?,
            seed: self.seed.or(file.seed).unwrap_or(1),
            data_dir: data_dir.unwrap_or_else(|| "evenkeel-data".into()),
            mode: self.mode.or(file.mode),
            truth: self.truth.clone(),
            until_tick: self.until_tick,
            clock_was_wrong: self.clock_was_wrong,
        })
    }
}

/// What the commands with a client's half take.
#[derive(Debug, Args)]
pub(super) struct LevellingOptions {
    /// Ceiling for the mean delay, in ticks, where 1 is none added [default: where more buys little]
    #[arg(long, env = "EVENKEEL_DELAY_BUDGET")]
    delay_budget: Option<f64>,
}

impl LevellingOptions {
    pub(super) fn merge(&self, file: &File) -> Result<Levelling, ExitError> {
        let delay_budget = config::delay_budget(self.delay_budget.or(file.delay_budget))?;
        Ok(Levelling { delay_budget })
    }
}

/// Where Redis is.
#[derive(Debug, Args)]
pub(super) struct RedisOptions {
    /// Where Redis is, redis://[user:password@]host[:port]; a password is better kept in the environment or the file.
    #[arg(long, env = "EVENKEEL_REDIS", hide_env_values = true, value_name = "URL")]
    redis: Option<String>,
    /// File that holds the password for it, as of a container's secret.
    #[arg(long, env = "EVENKEEL_REDIS_PASSWORD_FILE", value_name = "FILE")]
    redis_password_file: Option<PathBuf>,
}

impl RedisOptions {
    pub(super) fn merge(&self, file: &File) -> Result<Target, ExitError> {
        let url = self.redis.as_deref().or(file.redis.as_deref()).ok_or_else(|| {
            ExitError::usage(
                "where is Redis? --redis redis://127.0.0.1:6379, EVENKEEL_REDIS, or `redis` in the file",
            )
        })?;
        let file = self.redis_password_file.as_deref().or(file.redis_password_file.as_deref());
        let password = file.map(Secret::read).transpose().map_err(ExitError::usage)?;
        let target = Target::new(url, password.as_ref().map(Secret::expose)).map_err(ExitError::usage)?;
        let Some(file) = file.map(Path::to_owned) else { return Ok(target) };
        let url = url.to_owned();
        Ok(target.renewed_by(move || Target::new(&url, Some(Secret::read(&file).ok()?.expose())).ok()))
    }
}

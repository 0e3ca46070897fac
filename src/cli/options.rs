//! Options that several commands share. Flags are optional so that the file can speak where neither flag nor
//! environment does.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::Args;
use evenkeel_actors::{
    remote::{
        reach::{self, Server},
        secret::Secret,
    },
    stores::redis::{Keys, Target},
};
use evenkeel_core::journal::Mode;

use super::{
    delays::{MaxDelayOptions, ObjectiveOptions},
    known,
    layers::{Given, Layers, Setting},
    postgres::PostgresOptions,
};
use crate::{
    config::{Masked, ScenarioChoice},
    exit::ExitError,
    http::{AccessSettings, BasePath},
    output,
    run::{Backend, Common, Serving, SimulatedSettings},
    telemetry::LogFormat,
    tokens::Tokens,
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
    max_delay: MaxDelayOptions,
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
    #[arg(
        long,
        env = "EVENKEEL_OPEN_WIRE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false"
    )]
    open_wire: Option<bool>,
    /// A name under which this process is asked, besides localhost and addresses; may be repeated.
    #[arg(long = "allow-host", env = "EVENKEEL_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    allow_hosts: Vec<String>,
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
    fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let file = &layers.file;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let some = |hosts: Vec<String>| Some(hosts.join(",")).filter(|text| !text.is_empty());
        let allow_hosts =
            some(self.allow_hosts.iter().chain(file.allow_hosts.iter().flatten()).cloned().collect());
        vec![
            layers.setting("tokens", path(&self.tokens), path(&file.tokens), None),
            layers.setting("no_auth", self.no_auth.then_some(true), None, Some("false")),
            layers.setting("open_wire", self.open_wire, file.open_wire, Some("false")),
            Setting {
                value: allow_hosts,
                ..layers.setting(
                    "allow_hosts",
                    None::<String>,
                    some(file.allow_hosts.clone().unwrap_or_default()),
                    None,
                )
            },
            layers.setting(
                "requests_per_second",
                self.requests_per_second,
                file.requests_per_second,
                Some(&REQUESTS_PER_SECOND.to_string()),
            ),
            layers.setting(
                "base_path",
                self.base_path.as_ref().map(ToString::to_string),
                file.base_path.clone(),
                None,
            ),
        ]
    }

    fn merge(&self, layers: &Layers, listen: &str) -> Result<AccessSettings, ExitError> {
        let file = &layers.file;
        let tokens = self.tokens.clone().or_else(|| file.tokens.clone()).filter(|_| !self.no_auth);
        let base_path = match (&self.base_path, &file.base_path) {
            (Some(path), _) => path.clone(),
            (None, path) => {
                let parsed = path.as_deref().unwrap_or_default().parse();
                parsed.map_err(|error| layers.refuse("base_path", path.is_some(), error))?
            }
        };
        let mut hosts = self.allow_hosts.clone();
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
            let read = Tokens::read(tokens);
            read.map_err(|error| layers.refuse("tokens", file.tokens.is_some(), error))?;
        }
        Ok(AccessSettings {
            tokens,
            open_wire: self.open_wire.or(file.open_wire).unwrap_or_default(),
            hosts,
            requests_per_second: self
                .requests_per_second
                .or(file.requests_per_second)
                .unwrap_or(REQUESTS_PER_SECOND),
            base_path,
        })
    }
}

/// What can be listened on: an address or a name, and a port.
fn check_listen(listen: &str) -> Result<(), String> {
    let expected = |why: &str| {
        format!(
            "`{listen}` is nothing to listen on, {why}: expected ADDRESS:PORT, such as 127.0.0.1:7070, [::1]:7070 or \
             0.0.0.0:7070"
        )
    };
    let (host, port) = listen.rsplit_once(':').ok_or_else(|| expected("it has no port"))?;
    if port.parse::<u16>().is_err() {
        return Err(expected("its port is no number up to 65535"));
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match bracketed {
        Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_err() => {
            Err(expected("there is no IPv6 address in the brackets"))
        }
        None if host.contains(':') => Err(expected("an IPv6 address stands in brackets")),
        None if host.is_empty() => Err(expected("it has no address")),
        None if !host.chars().all(name) => Err(expected("it has no address")),
        _ => Ok(()),
    }
}

/// Whether only this machine can reach `listen`, `host:port`.
fn is_loopback(listen: &str) -> bool {
    let host = listen.rsplit_once(':').map_or(listen, |(host, _port)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl CommonOptions {
    /// The file, below what was given.
    pub(super) fn layers(&self, given: &Given) -> Result<Layers, ExitError> {
        Layers::read(self.config.as_deref(), given)
    }

    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers, listen: &str) -> Vec<Setting> {
        let file = &layers.file;
        let format = |format: LogFormat| if format == LogFormat::Json { "json" } else { "text" };
        let mut settings = vec![
            layers.setting("config", self.config.as_ref().map(|path| path.display()), None, None),
            layers.setting("name", self.name.as_ref(), file.name.as_ref(), Some("main")),
            layers.setting("prefix", self.prefix.as_ref(), file.prefix.as_ref(), Some("evenkeel")),
            layers.setting("listen", self.listen.as_ref(), file.listen.as_ref(), Some(listen)),
            layers.setting(
                "log_format",
                self.log_format.map(format),
                file.log_format.map(format),
                Some("text"),
            ),
        ];
        settings.extend(self.max_delay.settings(layers));
        settings.extend(self.access.settings(layers));
        settings
    }

    pub(super) fn merge(&self, layers: &Layers, listen: &str) -> Result<Common, ExitError> {
        let file = &layers.file;
        let name = self.name.clone().or_else(|| file.name.clone()).unwrap_or_else(|| "main".to_owned());
        let prefix = self.prefix.clone().or_else(|| file.prefix.clone());
        let keys = Keys::new(prefix.as_deref().unwrap_or("evenkeel"), &name).map_err(ExitError::usage)?;
        let listen = self.listen.clone().or_else(|| file.listen.clone()).unwrap_or_else(|| listen.to_owned());
        check_listen(&listen).map_err(|wrong| layers.refuse("listen", file.listen.is_some(), wrong))?;
        let log_format = self.log_format.or(file.log_format).unwrap_or_default();
        let access = self.access.merge(layers, &listen)?;
        Ok(Common {
            name,
            keys,
            listen,
            access,
            log_format,
            limits: self.max_delay.merge(&file.hold_settings()),
        })
    }
}

/// What the commands with a server's half take.
#[derive(Debug, Args)]
pub(super) struct ServingOptions {
    /// A scenario's name, or a TOML file of parameters [default: that of the data directory, for a new one seed]
    #[arg(long, env = "EVENKEEL_SCENARIO", value_parser = known::scenarios(), hide_possible_values = true)]
    scenario: Option<String>,
    /// Draws the simulated database [default: 1; without --scenario that of the data directory]
    #[arg(long, env = "EVENKEEL_SEED")]
    seed: Option<u64>,
    /// Where the journal lives [default: ./evenkeel-data]
    #[arg(long, env = "EVENKEEL_DATA_DIR", value_hint = clap::ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// off, shadow or enforce [default: what it was, at first enforce]
    #[arg(long, env = "EVENKEEL_MODE", value_parser = known::modes(), hide_possible_values = true)]
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
    #[command(flatten)]
    objective: ObjectiveOptions,
    #[command(flatten)]
    postgres: PostgresOptions,
}

impl ServingOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let file = &layers.file;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let mode = |mode: Option<Mode>| mode.map(Mode::name);
        let mut settings = vec![
            layers.setting("scenario", self.scenario.as_ref(), file.scenario.as_ref(), Some("seed")),
            layers.setting("seed", self.seed, file.seed, Some("1")),
            layers.setting("data_dir", path(&self.data_dir), path(&file.data_dir), Some("evenkeel-data")),
            layers.setting("mode", mode(self.mode), mode(file.mode), Some("what it was, at first enforce")),
            layers.setting("truth", path(&self.truth), None, None),
            layers.setting("until_tick", self.until_tick, None, None),
            self.objective.settings(layers),
        ];
        settings.extend(self.postgres.settings(layers));
        settings
    }

    pub(super) fn merge(&self, layers: &Layers) -> Result<Serving, ExitError> {
        let file = &layers.file;
        let data_dir = self.data_dir.clone().or_else(|| file.data_dir.clone());
        let data_dir = data_dir.unwrap_or_else(|| "evenkeel-data".into());
        Ok(Serving {
            backend: self.backend(layers, &data_dir)?,
            data_dir,
            mode: self.mode.or(file.mode),
            until_tick: self.until_tick,
            clock_was_wrong: self.clock_was_wrong,
            fast_forward_ticks: 0,
            delay_objective: self.objective.merge(layers),
        })
    }

    /// What is asked for; else the database that the journal in `data_dir` belongs to; else `seed`.
    fn backend(&self, layers: &Layers, data_dir: &Path) -> Result<Backend, ExitError> {
        let file = &layers.file;
        if let Some(settings) = self.postgres.merge(layers)? {
            return Ok(Backend::Postgres(Box::new(settings)));
        }
        let (named, seed) = (self.scenario.as_deref().or(file.scenario.as_deref()), self.seed.or(file.seed));
        let kept = if named.is_none() { SimulatedSettings::kept(data_dir) } else { None };
        let (scenario, kept_seed) = if let Some((scenario, seed)) = kept {
            (scenario, Some(seed))
        } else {
            let parsed = ScenarioChoice::parse(named.unwrap_or("seed"));
            (parsed.map_err(|error| layers.refuse("scenario", file.scenario.is_some(), error))?, None)
        };
        let (seed, truth) = (seed.or(kept_seed).unwrap_or(1), self.truth.clone());
        Ok(Backend::Simulated(Box::new(SimulatedSettings { scenario, seed, truth })))
    }
}

/// Where Redis is.
#[derive(Debug, Args)]
pub(super) struct RedisOptions {
    /// Where Redis is, redis://[user:password@]host[:port], rediss:// for TLS; a password is better kept in a file.
    #[arg(long, env = "EVENKEEL_REDIS", value_name = "URL")]
    redis: Option<Masked>,
    #[command(flatten)]
    secrets: RedisSecrets,
}

/// What opens it, and whom to believe that it is Redis.
#[derive(Debug, Args)]
pub(super) struct RedisSecrets {
    /// File that holds the password for it, as of a container's secret.
    #[arg(long, env = "EVENKEEL_REDIS_PASSWORD_FILE", value_name = "FILE")]
    redis_password_file: Option<PathBuf>,
    /// File of authorities, PEM, that sign its certificate, in place of those that the system trusts.
    #[arg(long, env = "EVENKEEL_REDIS_CA", value_name = "FILE")]
    redis_ca: Option<PathBuf>,
}

impl RedisSecrets {
    /// The Redis at `url`.
    pub(super) fn target(
        &self,
        url: &str,
        filed_password: Option<&Path>,
        filed_ca: Option<&Path>,
    ) -> Result<Target, ExitError> {
        let password_file = self.redis_password_file.as_deref().or(filed_password);
        let password = password_file.map(Secret::read_password).transpose().map_err(ExitError::usage)?;
        let ca_file = self.redis_ca.as_deref().or(filed_ca);
        let authorities = ca_file.map(reach::authorities).transpose().map_err(ExitError::usage)?;
        let password = password.as_ref().map(Secret::expose);
        let target = Target::trusting(url, password, authorities.as_deref()).map_err(ExitError::usage)?;
        if target.is_encrypted() && ca_file.is_none() {
            reach::system_authorities("--redis-ca").map_err(ExitError::usage)?;
        }
        // It may be rotated: what the file holds at a connection counts.
        let Some(file) = password_file.map(Path::to_owned) else { return Ok(target) };
        let url = url.to_owned();
        Ok(target.renewed_by(move || {
            let password = Secret::read_password(&file).ok()?;
            Target::trusting(&url, Some(password.expose()), authorities.as_deref()).ok()
        }))
    }
}

impl RedisOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let file = &layers.file;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let shown = |url: &Masked| {
            url.expose().parse::<Target>().map_or_else(|error| error.to_string(), |target| target.to_string())
        };
        let RedisSecrets { redis_password_file, redis_ca } = &self.secrets;
        let redis = self.redis.as_ref().map(shown);
        let password_file = (path(redis_password_file), path(&file.redis_password_file));
        vec![
            layers.setting("redis", redis, file.redis.as_ref().map(shown), None),
            layers.setting("redis_password_file", password_file.0, password_file.1, None),
            layers.setting("redis_ca", path(redis_ca), path(&file.redis_ca), Some("those of the system")),
        ]
    }

    pub(super) fn merge(&self, layers: &Layers) -> Result<Target, ExitError> {
        let file = &layers.file;
        let url = self.redis.as_ref().or(file.redis.as_ref()).ok_or_else(|| {
            ExitError::usage(
                "where is Redis? --redis redis://127.0.0.1:6379, EVENKEEL_REDIS, or `redis` in the file",
            )
        })?;
        self.secrets
            .target(url.expose(), file.redis_password_file.as_deref(), file.redis_ca.as_deref())
            .map_err(|error| layers.refuse("redis", file.redis.is_some(), error))
    }
}

/// Where the server is.
#[derive(Debug, Args)]
pub(super) struct ServerOptions {
    /// Where the server is, http://host:port or https://host:port.
    #[arg(long, env = "EVENKEEL_SERVER", value_name = "URL")]
    server: Option<Masked>,
    /// File of authorities, PEM, that sign its certificate, in place of those that the system trusts.
    #[arg(long, env = "EVENKEEL_SERVER_CA", value_name = "FILE")]
    server_ca: Option<PathBuf>,
    /// File that holds the bearer token for it, with the scope control.
    #[arg(long, env = "EVENKEEL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl ServerOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let file = &layers.file;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let shown = |url: &Masked| Server::shown(url.expose());
        let server = self.server.as_ref().map(shown);
        vec![
            layers.setting("server", server, file.server.as_ref().map(shown), None),
            layers.setting(
                "server_ca",
                path(&self.server_ca),
                path(&file.server_ca),
                Some("those of the system"),
            ),
            layers.setting("token_file", path(&self.token_file), path(&file.token_file), None),
        ]
    }

    pub(super) fn merge(&self, layers: &Layers) -> Result<(Server, Option<Secret>), ExitError> {
        let file = &layers.file;
        let url = self.server.as_ref().or(file.server.as_ref()).ok_or_else(|| {
            ExitError::usage(
                "where is the server? --server http://127.0.0.1:7070, EVENKEEL_SERVER, or `server` in the file",
            )
        })?;
        let ca_file = self.server_ca.as_deref().or(file.server_ca.as_deref());
        let server = Server::new(url.expose(), ca_file)
            .map_err(|error| layers.refuse("server", file.server.is_some(), error))?;
        let token_file = self.token_file.as_deref().or(file.token_file.as_deref());
        let token = token_file.map(Secret::read).transpose();
        let token = token.map_err(|error| layers.refuse("token_file", file.token_file.is_some(), error))?;
        Ok((server, token))
    }
}

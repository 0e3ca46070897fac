//! Options of a real database: where it is, where its clients connect, what of them is recorded and held.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use evenkeel_actors::postgres::{
    desk::Desk,
    front::{Cidr, FrontSettings, Listen, Verifiers},
    own::OwnSettings,
    probe::Clocks,
    recorder::WhenFull,
    upstream::Upstream,
};
use evenkeel_core::{postgres::session::Recording, units::span::Given};

use super::layers::{Layers, Setting};
use crate::{
    classes,
    config::Masked,
    exit::ExitError,
    run::{PostgresSettings, ProbeAt},
};

/// Where clients connect, unless told otherwise: PgBouncer's port, which no PostgreSQL has.
const LISTEN: &str = "127.0.0.1:6432";
/// How long sessions that are busy may go on when the process ends: the process itself is waited for 10 s.
const DRAIN_MS: u64 = 6_000;
/// Connections at once, each with its own to the database.
const CONNECTIONS_MAX: usize = 5_000;

/// See the module.
#[derive(Debug, Args)]
pub(super) struct PostgresOptions {
    /// Put evenkeel before this PostgreSQL, in place of a simulated database: `postgres://user@host:port/` (a password is
    /// better kept in PGPASSFILE). Clients keep their own users and passwords.
    #[arg(long, env = "EVENKEEL_POSTGRES", value_name = "URL", conflicts_with_all = ["scenario", "seed", "truth"])]
    postgres: Option<Masked>,
    /// Address or socket where PostgreSQL's clients connect; may be repeated [default: 127.0.0.1:6432]
    #[arg(long, env = "EVENKEEL_PG_LISTEN", value_name = "ADDRESS:PORT|PATH", value_delimiter = ',')]
    pg_listen: Vec<ListenOn>,
    /// What of a statement is durable before it is sent: commit: what has an effect; strict: each statement; async: nothing,
    /// within 50 ms; off: nothing is recorded [default: commit]
    #[arg(long, env = "EVENKEEL_RECORD", value_name = "WHAT", value_enum)]
    record: Option<Record>,
    /// What is done with statements that cannot be recorded: refuse (53100), or pass and count them [default: refuse]
    #[arg(long, env = "EVENKEEL_WHEN_FULL", value_name = "refuse|pass", value_enum)]
    when_full: Option<Full>,
    /// Deferrable statements that run beside each other at most [default: as many as the pace has processors; one without a plan]
    #[arg(long, env = "EVENKEEL_AT_ONCE", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// Addresses that may connect, as 10.0.0.0/8; may be repeated [default: all]
    #[arg(long, env = "EVENKEEL_PG_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    pg_allow: Vec<Cidr>,
    /// Let clients from elsewhere in that the database lets in without a password: the database sees evenkeel's address.
    #[arg(long, env = "EVENKEEL_PG_ALLOW_TRUST")]
    pg_allow_trust: bool,
    /// A parameter that each session begins with, as `client_connection_check_interval=10s`; may be repeated.
    #[arg(long, env = "EVENKEEL_PG_SESSION", value_name = "NAME=VALUE")]
    pg_session: Vec<Parameter>,
    /// Tell a client whose statement is held so, by a notice.
    #[arg(long, env = "EVENKEEL_PG_NOTICE")]
    pg_notice: bool,
    /// TOML file that says which statements may wait [default: a comment class='batch', or an application batch*]
    #[arg(long, env = "EVENKEEL_CLASSES", value_name = "FILE")]
    classes: Option<PathBuf>,
    /// PEM file of the certificates that clients are offered TLS with; read again on SIGHUP.
    #[arg(long, env = "EVENKEEL_PG_TLS_CERT", value_name = "FILE", requires = "pg_tls_key")]
    pg_tls_cert: Option<PathBuf>,
    /// PEM file of the first certificate's key.
    #[arg(long, env = "EVENKEEL_PG_TLS_KEY", value_name = "FILE", requires = "pg_tls_cert")]
    pg_tls_key: Option<PathBuf>,
    /// SQL that returns a user's verifier, with $1 for the user: for SCRAM through TLS on both sides.
    #[arg(long, env = "EVENKEEL_PG_AUTH_QUERY", value_name = "SQL", conflicts_with = "pg_auth_file")]
    pg_auth_query: Option<String>,
    /// File of users and verifiers, as PgBouncer's userlist.txt, for the same.
    #[arg(long, env = "EVENKEEL_PG_AUTH_FILE", value_name = "FILE")]
    pg_auth_file: Option<PathBuf>,
    /// Control group of the database, on this machine: windows then tell what it uses.
    #[arg(long, env = "EVENKEEL_CGROUP", value_name = "PATH", conflicts_with = "pgdata")]
    cgroup: Option<PathBuf>,
    /// Data directory of the database, on this machine: windows then tell what its backends' CPU clocks say.
    #[arg(long, env = "EVENKEEL_PGDATA", value_name = "PATH")]
    pgdata: Option<PathBuf>,
    /// How long busy sessions may go on when evenkeel is asked to end [default: 6s]
    #[arg(long, env = "EVENKEEL_DRAIN", value_name = "TIME")]
    drain: Option<Given>,
}

/// See [`Recording`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Record {
    Commit,
    Strict,
    Async,
    Off,
}

/// See [`WhenFull`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Full {
    Refuse,
    Pass,
}

/// Somewhere to listen.
#[derive(Clone, Debug)]
struct ListenOn(Listen);

impl FromStr for ListenOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Ok(Self(Listen::Socket(PathBuf::from(text))));
        }
        let named = text.replace("localhost:", "127.0.0.1:");
        let address: Result<SocketAddr, _> = named.parse();
        address.map(|address| Self(Listen::Tcp(address))).map_err(|_| {
            format!("`{text}` is nothing to listen on: expected ADDRESS:PORT, as 127.0.0.1:6432, or the path of a socket")
        })
    }
}

/// A parameter of a session.
#[derive(Clone, Debug)]
struct Parameter(String, String);

impl FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
        named
            .map(|(name, value)| Self(name.to_owned(), value.to_owned()))
            .ok_or_else(|| format!("`{text}` is no parameter: expected NAME=VALUE"))
    }
}

impl PostgresOptions {
    /// What is in force, for people.
    pub(super) fn settings(&self, layers: &Layers) -> Vec<Setting> {
        let shown = |url: &Masked| {
            Upstream::parse(url.expose())
                .map_or_else(|error| error.to_string(), |upstream| upstream.to_string())
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let all = |texts: Vec<String>| Some(texts.join(",")).filter(|text| !text.is_empty());
        let name =
            |value: Option<String>, known: &'static str, default| layers.setting(known, value, None, default);
        let listen = all(self.pg_listen.iter().map(|listen| listen.0.to_string()).collect());
        let value =
            |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        vec![
            layers.setting(
                "postgres",
                self.postgres.as_ref().map(shown),
                layers.file.postgres.as_ref().map(shown),
                None,
            ),
            name(listen, "pg_listen", Some(LISTEN)),
            name(value(self.record.and_then(|one| one.to_possible_value())), "record", Some("commit")),
            name(value(self.when_full.and_then(|one| one.to_possible_value())), "when_full", Some("refuse")),
            name(self.at_once.map(|count| count.to_string()), "at_once", None),
            name(all(self.pg_allow.iter().map(ToString::to_string).collect()), "pg_allow", None),
            name(self.pg_allow_trust.then(|| "true".to_owned()), "pg_allow_trust", Some("false")),
            name(all(self.pg_session.iter().map(|one| one.0.clone()).collect()), "pg_session", None),
            name(self.pg_notice.then(|| "true".to_owned()), "pg_notice", Some("false")),
            name(path(&self.classes), "classes", None),
            name(path(&self.pg_tls_cert), "pg_tls_cert", None),
            name(path(&self.pg_tls_key), "pg_tls_key", None),
            name(self.pg_auth_query.clone(), "pg_auth_query", None),
            name(path(&self.pg_auth_file), "pg_auth_file", None),
            name(path(&self.cgroup), "cgroup", None),
            name(path(&self.pgdata), "pgdata", None),
            name(self.drain.map(|drain| drain.to_string()), "drain", Some("6s")),
        ]
    }

    /// The real database; none where a simulated one is meant.
    pub(super) fn merge(&self, layers: &Layers) -> Result<Option<PostgresSettings>, ExitError> {
        let filed = layers.file.postgres.as_ref();
        let Some(url) = self.postgres.as_ref().or(filed) else {
            return match self.needless() {
                Some(flag) => Err(ExitError::usage(format!(
                    "{flag} is about a real database: give --postgres postgres://user@host:port/, too"
                ))),
                None => Ok(None),
            };
        };
        let upstream = Upstream::parse(url.expose())
            .map_err(|error| layers.refuse("postgres", self.postgres.is_none(), error))?;
        let listen = self.pg_listen.iter().map(|listen| listen.0.clone()).collect::<Vec<_>>();
        let default = || vec![Listen::Tcp(LISTEN.parse().expect("an address"))];
        let front = FrontSettings {
            listen: if listen.is_empty() { default() } else { listen },
            recording: match self.record {
                None | Some(Record::Commit) => Recording::Commit,
                Some(Record::Strict) => Recording::Strict,
                Some(Record::Async) => Recording::Async,
                Some(Record::Off) => Recording::Off,
            },
            when_full: match self.when_full {
                None | Some(Full::Refuse) => WhenFull::Refuse,
                Some(Full::Pass) => WhenFull::Pass,
            },
            allow: self.pg_allow.clone(),
            allow_trust: self.pg_allow_trust,
            session_parameters: self.pg_session.iter().map(|one| (one.0.clone(), one.1.clone())).collect(),
            tls: None,
            clocks: match self.probe() {
                ProbeAt::Cgroup(path) => Clocks::Cgroup(path),
                ProbeAt::Pgdata(path) => Clocks::Pgdata(path),
                ProbeAt::Nowhere => Clocks::Nowhere,
            },
            tells_holds: self.pg_notice,
            verifiers: self.verifiers(layers)?,
            connections_max: CONNECTIONS_MAX,
            threads: std::thread::available_parallelism().map_or(2, |count| count.get().min(4)),
        };
        let drain_ms = self.drain.map_or(DRAIN_MS, |drain| drain.whole_ticks(1));
        let classes = self.classes.as_deref().map(classes::read).transpose()?.unwrap_or_default();
        Ok(Some(PostgresSettings {
            upstream,
            front,
            at_once: self.at_once,
            drain_ms,
            classes: (classes, self.classes.clone()),
            own: OwnSettings { passfile: passfile(), auth_query: self.pg_auth_query.clone() },
            asks_verifiers: self.pg_auth_query.is_some(),
            tls: self.pg_tls_cert.clone().zip(self.pg_tls_key.clone()),
            probe: self.probe(),
            desk: Desk::default(),
        }))
    }

    fn probe(&self) -> ProbeAt {
        match (&self.cgroup, &self.pgdata) {
            (Some(path), _) => ProbeAt::Cgroup(path.clone()),
            (None, Some(path)) => ProbeAt::Pgdata(path.clone()),
            (None, None) => ProbeAt::Nowhere,
        }
    }

    fn verifiers(&self, layers: &Layers) -> Result<Verifiers, ExitError> {
        let Some(file) = &self.pg_auth_file else { return Ok(Verifiers::nowhere()) };
        Verifiers::in_file(file).map_err(|error| layers.refuse("pg_auth_file", false, error))
    }

    /// A flag that means nothing without a real database.
    fn needless(&self) -> Option<&'static str> {
        let flags = [
            ("--pg-listen", !self.pg_listen.is_empty()),
            ("--record", self.record.is_some()),
            ("--when-full", self.when_full.is_some()),
            ("--at-once", self.at_once.is_some()),
            ("--pg-allow", !self.pg_allow.is_empty()),
            ("--pg-allow-trust", self.pg_allow_trust),
            ("--pg-session", !self.pg_session.is_empty()),
            ("--pg-notice", self.pg_notice),
            ("--classes", self.classes.is_some()),
            ("--pg-tls-cert", self.pg_tls_cert.is_some()),
            ("--pg-auth-query", self.pg_auth_query.is_some()),
            ("--pg-auth-file", self.pg_auth_file.is_some()),
            ("--cgroup", self.cgroup.is_some()),
            ("--pgdata", self.pgdata.is_some()),
            ("--drain", self.drain.is_some()),
        ];
        flags.into_iter().find(|(_, given)| *given).map(|(flag, _)| flag)
    }
}

/// Where evenkeel's own passwords stand, as libpq has it.
fn passfile() -> Option<PathBuf> {
    let named = std::env::var_os("PGPASSFILE").map(PathBuf::from);
    named.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass")))
}

//! What a process is started with, after file, environment and flags have been merged.

use std::path::PathBuf;

use evenkeel_actors::{
    remote::{reach::Server, secret::Secret},
    stores::redis::{Keys, Target},
};
use evenkeel_core::{
    journal::Mode,
    server::queue::HoldSettings,
    units::{lengths::Lengths, span::Given},
};

use super::backend::Backend;
use crate::{http::AccessSettings, telemetry::LogFormat};

/// What every process has.
#[derive(Clone, Debug)]
pub struct Common {
    /// Name of the database.
    pub name: String,
    /// The keys of that database in Redis.
    pub keys: Keys,
    /// Address to listen on.
    pub listen: String,
    /// Who may ask.
    pub access: AccessSettings,
    /// Form of the log.
    pub log_format: LogFormat,
    /// How long slots may hold executions.
    pub limits: HoldSettings,
}

/// What the server's half needs.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The database.
    pub backend: Backend,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// Who decides, when it is not what it was.
    pub mode: Option<Mode>,
    /// Where to stop, counted from the journal's beginning.
    pub until_tick: Option<u64>,
    /// Whether the clock is right now and was ahead of it when the last entries were recorded.
    pub clock_was_wrong: bool,
    /// Ticks of a new journal that run ahead of their time.
    pub fast_forward_ticks: u64,
    /// Delay within which executions should run.
    pub delay_objective: Given,
}

/// What the client's half needs.
#[derive(Clone, Copy, Debug)]
pub struct Levelling {
    /// Ceiling for the mean delay.
    pub delay_budget: Option<Given>,
}

/// `evenkeel run`.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// See there.
    pub common: Common,
    /// See there.
    pub serving: Serving,
    /// See there.
    pub levelling: Levelling,
}

/// `evenkeel server`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// See there.
    pub common: Common,
    /// See there.
    pub serving: Serving,
    /// Where the journal is handed out.
    pub redis: Target,
}

/// `evenkeel client`.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// See there.
    pub common: Common,
    /// See there.
    pub levelling: Levelling,
    /// Where the server is.
    pub server: Server,
    /// What that asks for, where it asks.
    pub token: Option<Secret>,
    /// Where the journal is read.
    pub redis: Target,
}

/// `evenkeel client --poll`.
#[derive(Clone, Debug)]
pub struct PollSettings {
    /// See there.
    pub common: Common,
    /// See there.
    pub levelling: Levelling,
    /// How long the server's ticks and windows are, which it does not tell.
    pub lengths: Lengths,
    /// Where the server is.
    pub server: Server,
    /// What it asks for, if anything.
    pub token: Option<Secret>,
}

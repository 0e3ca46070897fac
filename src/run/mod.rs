//! `evenkeel run`: both halves in one process. Starts, prints a line a second, ends in order.
//!
//! ```text
//! open the outbox ─▶ start the actors, the HTTP server ─▶ a line a second
//!    signal, --until-tick ─▶ no further tick ─▶ the client's state is saved ─▶ the outbox is closed
//!    an actor gave up     ─▶ exit 70: whoever runs the process starts it afresh
//! ```

mod line;
mod wiring;

use std::{io::Write, path::PathBuf, time::Duration};

use actix::System;
use evenkeel_actors::{
    clock::unix_ms,
    guard::GaveUp,
    journal::outbox::{Identity, Limits, OpenError, Outbox},
};
use evenkeel_core::{control::Mode, queue::HoldLimits, tick::Tick};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use uuid::Uuid;

use self::wiring::Running;
use crate::{
    config::ScenarioChoice,
    exit::{Exit, ExitError},
    telemetry::LogFormat,
};

/// Longest that the end may take; whoever sent the signal waits 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(9);

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the database.
    pub name: String,
    /// Address to listen on.
    pub listen: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// The simulated database.
    pub scenario: ScenarioChoice,
    /// Draws it.
    pub seed: u64,
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// Who decides, when it is not what it was.
    pub mode: Option<Mode>,
    /// Ceiling for the mean delay, in ticks.
    pub delay_budget: Option<f64>,
    /// How long slots may hold executions.
    pub limits: HoldLimits,
    /// Where the database writes what it really ran.
    pub truth: Option<PathBuf>,
    /// Where to stop, counted from the journal's beginning.
    pub until_tick: Option<u64>,
}

/// Runs until a signal, `until_tick`, or an actor that is given up.
///
/// # Errors
/// It cannot start; see [`ExitError`] for the code.
pub fn run(settings: Settings) -> anyhow::Result<Exit> {
    System::new().block_on(async move {
        let mut signals = Signals::new()?;
        let outbox = open(&settings)?;
        let mut running = Running::start(&settings, outbox)?;
        introduce(&settings, &running)?;
        if let Some(mode) = settings.mode {
            running.set_mode(mode).await;
        }
        let end = watch(&settings, &mut running, &mut signals).await;
        finish(end, running, signals).await
    })
}

fn introduce(settings: &Settings, running: &Running) -> std::io::Result<()> {
    let Settings { name, scenario, seed, data_dir, .. } = settings;
    let (address, data_dir) = (running.address, data_dir.display());
    let mut out = std::io::stdout().lock();
    writeln!(out, "evenkeel levels `{name}` (scenario {}, seed {seed})", scenario.label)?;
    writeln!(out, "API      http://{address}/  e.g. curl http://{address}/resources")?;
    writeln!(out, "journal  {data_dir}  e.g. evenkeel journal tail --data-dir {data_dir}")
}

/// Why the run ends.
enum End {
    Asked(&'static str),
    GaveUp(GaveUp),
}

async fn watch(settings: &Settings, running: &mut Running, signals: &mut Signals) -> End {
    let until = settings.until_tick.map(Tick);
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut line = line::Line::default();
    let mut pace = running.views.pace.clone();
    loop {
        tokio::select! {
            name = signals.next() => return End::Asked(name),
            Some(gave_up) = running.gave_up.recv() => return End::GaveUp(gave_up),
            // Without a reader there is nobody to tell, and levelling goes on.
            _ = second.tick() => drop(line.print(running)),
            Ok(()) = pace.changed(), if until.is_some() => {
                let last = pace.borrow_and_update().last.map(|last| last.tick);
                if last.is_some_and(|last| until.is_some_and(|until| last.next() >= until)) {
                    return End::Asked("--until-tick");
                }
            }
        }
    }
}

async fn finish(end: End, running: Running, mut signals: Signals) -> anyhow::Result<Exit> {
    let reason = match end {
        End::Asked(reason) => reason,
        End::GaveUp(GaveUp { actor, cause }) => {
            // Its state is suspect: what is durable stays as it is, the next start reads it.
            tracing::error!(
                actor = actor.name(),
                cause,
                "given up: the process ends and should be started again"
            );
            return Ok(Exit::GaveUp);
        }
    };
    tracing::info!(reason, "ending: no further tick, the state is saved");
    tokio::select! {
        ended = tokio::time::timeout(DRAIN_MAX, running.end()) => {
            if ended.is_ok() {
                return Ok(Exit::Ok);
            }
                tracing::error!("not ended within {} s: what is durable is found at the next start", DRAIN_MAX.as_secs());
            Ok(Exit::Failure)
        },
        name = signals.next() => {
            tracing::warn!(name, "ended at once; what is durable is found at the next start");
            Ok(Exit::Failure)
        }
    }
}

fn open(settings: &Settings) -> Result<Outbox, ExitError> {
    let label = format!("scenario {} seed {}", settings.scenario.label, settings.seed);
    let parameters = toml::to_string(&settings.scenario.parameters).unwrap_or_default();
    let identity = Identity { label, text: format!("seed = {}\n{parameters}", settings.seed) };
    let (outbox, _recovered) =
        Outbox::open(&settings.data_dir, &identity, Uuid::new_v4(), unix_ms(), Limits::default()).map_err(
            |error| {
                let exit = match error {
                    OpenError::OtherIdentity { .. } => Exit::Usage,
                    _ => Exit::Failure,
                };
                ExitError { exit, message: error.to_string() }
            },
        )?;
    Ok(outbox)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

//! The three long-running commands: `run` has both halves in one process, `server` and `client` one each.
//!
//! ```text
//! embedded  open the outbox ─▶ ServerHalf + ClientHalf over it ─▶ HTTP ─▶ a line a second
//! server    open the outbox ─▶ ServerHalf + Shipper ─▶ Redis      HTTP: as embedded, what the client told included
//! client    Redis ─▶ ClientHalf ─▶ RemoteQueue ─▶ server          HTTP: health, metrics
//! poll      server ◀─ ForeignServer ─▶ ClientHalf                  HTTP: health, metrics
//!    signal, --until-tick ─▶ no further tick ─▶ the state is saved ─▶ what Redis takes is shipped ─▶ exit 0
//!    an actor gave up     ─▶ exit 70: whoever runs the process starts it afresh
//! ```

mod bearer;
mod client;
mod client_half;
mod clock;
mod degraded;
mod embedded;
mod foreign;
mod limits;
mod line;
mod poll;
mod remote_queue;
mod server;
mod server_half;
mod settings;
mod starter;
mod told;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use actix::System;
use actix_web::dev::{Server, ServerHandle};
use anyhow::Context as _;
use evenkeel_actors::{
    ports::ledger::{CommitError, Published},
    supervise::guard::GaveUp,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

pub use self::{
    client::run as client,
    embedded::run as embedded,
    poll::run as poll,
    server::run as server,
    settings::{ClientSettings, Common, EmbeddedSettings, Levelling, PollSettings, ServerSettings, Serving},
};
use crate::{
    exit::{Exit, ExitError},
    reread,
};

/// Longest that the end may take; whoever sent the signal waits 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(9);

/// Runs `process` on a system of actors.
fn block_on(process: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    limits::enough_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.context("the system gives this process no room to run")?;
    System::with_tokio_rt(move || runtime).block_on(process)
}

/// Runs an HTTP server that has its address beside the actors.
fn serve(
    listen: &str,
    bound: anyhow::Result<(Server, SocketAddr)>,
) -> anyhow::Result<(ServerHandle, SocketAddr)> {
    let (server, address) =
        bound.with_context(|| format!("cannot listen on {listen}; choose another --listen"))?;
    let handle = server.handle();
    actix::spawn(server);
    Ok((handle, address))
}

/// Why a process ends.
enum End {
    Asked(&'static str),
    GaveUp(GaveUp),
    /// It must not go on.
    Failed(String),
}

/// When another server has become the writer of the outbox, or its files were taken away: this one must not go on.
async fn over(mut outbox: watch::Receiver<Published>) -> End {
    let is_over = |published: &Published| matches!(published.trouble, Some(CommitError::Over(_)));
    match outbox.wait_for(is_over).await {
        Ok(published) => End::Failed(published.trouble.as_ref().map(ToString::to_string).unwrap_or_default()),
        Err(_writer_gone) => std::future::pending().await,
    }
}

/// Waits for an end while `each_second` is called. `watched` is what else may end the process.
async fn live(
    signals: &mut Signals,
    gave_up: &mut mpsc::Receiver<GaveUp>,
    watched: impl Future<Output = End>,
    mut each_second: impl FnMut(),
) -> End {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut watched = std::pin::pin!(watched);
    loop {
        tokio::select! {
            name = signals.next() => return End::Asked(name),
            Some(gave_up) = gave_up.recv() => return End::GaveUp(gave_up),
            end = &mut watched => return end,
            _ = second.tick() => each_second(),
        }
    }
}

/// Ends in order, within the time that whoever asked for it waits; a second signal ends at once.
async fn finish(end: End, ended: impl Future<Output = ()>, mut signals: Signals) -> anyhow::Result<Exit> {
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
        End::Failed(message) => return Err(ExitError { exit: Exit::Failure, message }.into()),
    };
    tracing::info!(reason, "ending: nothing new is begun, the state is saved");
    tokio::select! {
        ended = tokio::time::timeout(DRAIN_MAX, ended) => {
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

/// SIGTERM and SIGINT, which end the program, and SIGHUP, which does not.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next that asks for the end.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => reread::ask(),
            }
        }
    }
}

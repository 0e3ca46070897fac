//! A process of any role: starts what the role lists, answers over HTTP, waits for its end, ends in order.
//!
//! ```text
//! role ─▶ work is started, one after the other ─▶ HTTP: the slices of all work ─▶ each second …
//!    signal, --until-tick ─▶ work drains: nothing new, the state is saved ─▶ HTTP ends ─▶ work closes ─▶ exit 0
//!    an actor gave up     ─▶ exit 70: whoever runs the process starts it afresh
//!    work is over         ─▶ exit 1: another writer, no files
//! ```

use std::{future, io, net::SocketAddr, sync::Arc, time::Duration};

use actix::System;
use anyhow::Context as _;
use evenkeel_actors::{reread, supervise::guard::GaveUp};
use futures_util::future::{LocalBoxFuture, select_all};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{limits, settings::Common, starter::Starter};
use crate::{
    exit::{Exit, ExitError},
    http::{self, Access, Slice},
};

/// Longest that the end may take; whoever sent the signal waits 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(9);

/// Why a process ends.
pub(super) enum End {
    Asked(&'static str),
    GaveUp(GaveUp),
    /// It must not go on.
    Failed(String),
}

/// What a slice does without being asked. Its actors run when it is added to the process.
pub(super) trait Work {
    /// What is asked of it over HTTP.
    fn slices(&self) -> Vec<Arc<dyn Slice>> {
        Vec::new()
    }

    /// Called when the address is known, and once a second from then on.
    fn each_second(&mut self) {}

    /// When the process must end because of it.
    fn over(&self) -> LocalBoxFuture<'static, End> {
        Box::pin(future::pending())
    }

    /// Begins nothing new, and saves its state.
    fn drain(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(future::ready(()))
    }

    /// Ends, after the last request has been answered.
    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        Box::pin(future::ready(()))
    }
}

/// Work that is done each second, and nothing else.
pub(super) struct EachSecond<F>(pub(super) F);

impl<F: FnMut()> Work for EachSecond<F> {
    fn each_second(&mut self) {
        (self.0)();
    }
}

/// See the module.
pub(super) struct Process {
    /// Starts actors, which the process then watches.
    pub(super) starter: Starter,
    /// Who may ask.
    pub(super) access: Arc<Access>,
    listen: String,
    work: Vec<Box<dyn Work>>,
    signals: Signals,
    gave_up: mpsc::Receiver<GaveUp>,
}

/// Runs a process until its end. `role` starts its work; `introduce` says what it is, and where.
///
/// # Errors
/// It cannot start, or must not go on; see [`ExitError`] for the code.
pub(super) fn run(
    common: &Common,
    role: impl AsyncFnOnce(&mut Process) -> anyhow::Result<()>,
    introduce: impl FnOnce(SocketAddr),
) -> anyhow::Result<Exit> {
    limits::enough_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.context("the system gives this process no room to run")?;
    System::with_tokio_rt(move || runtime).block_on(async {
        let mut process = Process::new(common)?;
        role(&mut process).await?;
        process.live(introduce).await
    })
}

impl Process {
    fn new(common: &Common) -> anyhow::Result<Self> {
        let signals = Signals::new()?;
        let (starter, gave_up) = Starter::new();
        let access = Access::new(common.access.clone())?;
        Ok(Self { starter, access, listen: common.listen.clone(), work: Vec::new(), signals, gave_up })
    }

    /// Adds work that has been started. It drains and closes in the order in which it was added.
    pub(super) fn add(&mut self, work: impl Work + 'static) {
        self.work.push(Box::new(work));
    }

    async fn live(mut self, introduce: impl FnOnce(SocketAddr)) -> anyhow::Result<Exit> {
        let slices = self.work.iter().flat_map(|work| work.slices()).collect();
        let bound = http::serve(&self.listen, &self.access, self.starter.actors.clone(), slices);
        let (server, address) =
            bound.with_context(|| format!("cannot listen on {}; choose another --listen", self.listen))?;
        let http = server.handle();
        actix::spawn(server);
        introduce(address);
        let end = self.end().await;
        let Self { mut work, signals, .. } = self;
        let ended = async move {
            for work in &mut work {
                work.drain().await;
            }
            http.stop(true).await;
            for work in work {
                work.close().await;
            }
        };
        finish(end, ended, signals).await
    }

    /// Waits for an end.
    async fn end(&mut self) -> End {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut over = select_all(self.work.iter().map(|work| work.over()));
        loop {
            tokio::select! {
                name = self.signals.next() => return End::Asked(name),
                Some(gave_up) = self.gave_up.recv() => return End::GaveUp(gave_up),
                (end, ..) = &mut over => return end,
                _ = second.tick() => self.work.iter_mut().for_each(|work| work.each_second()),
            }
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

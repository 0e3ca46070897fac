//! `evenkeel run`: both halves in one process. Starts, prints a line a second, ends in order.

use std::net::SocketAddr;

use actix::Arbiter;
use actix_web::dev::ServerHandle;
use evenkeel_actors::{
    ports::lease::LeaseEpoch,
    stores::{
        file::state::FileStateStore,
        outbox::{Limits, source::OutboxSource},
    },
    supervise::guard::GaveUp,
};
use evenkeel_core::scheduler::PolicyName;
use tokio::sync::mpsc;

use super::{
    Signals,
    client_half::{self, ClientHalf},
    degraded::{EMBEDDED_CLIENT, Gatherer},
    finish, line, live,
    server_half::{self, ServerHalf, Tellers},
    settings::EmbeddedSettings,
    starter::Starter,
    told::Reporter,
};
use crate::{
    exit::Exit,
    http::{self, Access, Views},
    output,
};

/// Runs until a signal, `until_tick`, or an actor that is given up.
///
/// # Errors
/// It cannot start; see [`crate::exit::ExitError`] for the code.
pub fn run(settings: &EmbeddedSettings) -> anyhow::Result<Exit> {
    super::block_on(async {
        let mut signals = Signals::new()?;
        let mut process = Process::start(settings)?;
        introduce(settings, process.address);
        if let Some(mode) = settings.serving.mode {
            process.server.set_mode(mode).await;
        }
        let mut line = line::Embedded::default();
        let until = super::server::until(process.views.pace.clone(), settings.serving.until_tick);
        let over = super::over(process.server.writer.published());
        let watched = async {
            tokio::select! {
                end = until => end,
                end = over => end,
            }
        };
        let Process { gave_up, views, server, client, tellers, clock_ahead_ms, .. } = &mut process;
        let mut reporter = Reporter::new(client);
        let observer = server.observer.port();
        let mut gatherer = Gatherer::new(*clock_ahead_ms);
        let each_second = || {
            tellers.degraded.send_replace(gatherer.embedded(views));
            reporter.tell(&tellers.told, &observer);
            line.print(views, &client.decision);
        };
        let end = live(&mut signals, gave_up, watched, each_second).await;
        finish(end, process.end(), signals).await
    })
}

fn introduce(settings: &EmbeddedSettings, address: SocketAddr) {
    let EmbeddedSettings { common, serving, .. } = settings;
    let data_dir = serving.data_dir.display();
    output::line(format_args!(
        "evenkeel levels `{}` (scenario {}, seed {})",
        common.name, serving.scenario.label, serving.seed
    ));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/resources"));
    output::line(format_args!("journal  {data_dir}  e.g. evenkeel journal tail --data-dir {data_dir}"));
}

/// Both halves, running.
struct Process {
    address: SocketAddr,
    views: Views,
    server: ServerHalf,
    client: ClientHalf,
    gave_up: mpsc::Receiver<GaveUp>,
    http: ServerHandle,
    tellers: Tellers,
    /// Of the journal's last entry, at the start.
    clock_ahead_ms: u64,
}

impl Process {
    fn start(settings: &EmbeddedSettings) -> anyhow::Result<Self> {
        let EmbeddedSettings { common, serving, levelling } = settings;
        let (outbox, recovered) = server_half::open(serving, &common.name, Limits::default())?;
        let clock_ahead_ms = outbox.clock_ahead_ms();
        let (mut starter, gave_up) = Starter::new();
        let states = FileStateStore::open(&serving.data_dir)?;
        let server =
            ServerHalf::start(serving, common.limits.clone(), (outbox, &recovered), None, &mut starter)?;
        let ports = client_half::Ports {
            client: EMBEDDED_CLIENT.to_owned(),
            // One process writes this journal, so nobody else is to level: its client goes above a stranger.
            epoch: LeaseEpoch::sole(server.writer.meta().writer_epoch),
            source: Box::new(OutboxSource::new(&serving.data_dir, server.writer.published())),
            states: Box::new(states.beside(server.writer.published())),
            control: server.queue.port(),
            policy: PolicyName::Evenkeel,
            applied: Some(server.journal.port()),
        };
        let client =
            ClientHalf::start(*levelling, common.limits.clone(), ports, Arbiter::try_new()?, &mut starter);
        let (tellers, news) = Tellers::new(false);
        let access = Access::new(common.access.clone())?;
        let views = server.views(access, server.about(common, serving, None), starter.actors, news);
        let (http, address) = super::serve(&common.listen, http::server(&common.listen, views.clone()))?;
        Ok(Self { address, views, server, client, gave_up, http, tellers, clock_ahead_ms })
    }

    /// Ends in order: no further tick, the client's state, the outbox.
    async fn end(self) {
        self.tellers.draining.send_replace(true);
        self.server.stop_ticking().await;
        self.client.end().await;
        self.http.stop(true).await;
        self.server.end().await;
    }
}

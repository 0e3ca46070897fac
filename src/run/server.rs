//! `evenkeel server`: the server's half, its journal handed out through Redis.

use std::{future::Future, net::SocketAddr, time::Duration};

use actix_web::dev::ServerHandle;
use anyhow::Context as _;
use evenkeel_actors::{
    ports::sink::Remedy,
    server::{daemon::Pace, shipper::Shipping},
    stores::{
        outbox::{Limits, Outbox},
        redis::{RedisFault, ReportReader, Shipment, ShipmentSettings, ShippingFault},
    },
    supervise::guard::GaveUp,
};
use evenkeel_core::{journal::Recovered, units::tick::Tick};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{
    End, Signals,
    degraded::Gatherer,
    finish, line, live,
    server_half::{self, ServerHalf, Tellers},
    settings::ServerSettings,
    starter::Starter,
    told,
};
use crate::{
    exit::{Exit, ExitError},
    http::{self, Access, Degraded, Views},
    output,
};

/// Runs until a signal, `until_tick`, an actor that is given up, or another writer of the same journal.
///
/// # Errors
/// It cannot start, or must not go on; see [`ExitError`] for the code.
pub fn run(settings: &ServerSettings) -> anyhow::Result<Exit> {
    super::block_on(async {
        let mut signals = Signals::new()?;
        let mut process = Process::start(settings)?;
        introduce(settings, process.address);
        if let Some(mode) = settings.serving.mode {
            process.server.set_mode(mode).await;
        }
        let mut line = line::Server::default();
        let until = until(process.views.pace.clone(), settings.serving.until_tick);
        let replaced = replaced(process.shipping.clone());
        let over = super::over(process.server.writer.published());
        let watched = async {
            tokio::select! {
                end = until => end,
                end = replaced => end,
                end = over => end,
            }
        };
        let Process { gave_up, views, shipping, server, degraded, clock_ahead_ms, .. } = &mut process;
        let outbox = server.writer.published();
        let mut gatherer = Gatherer::new(*clock_ahead_ms);
        let each_second = || {
            let lag = shipping.borrow().lag(&outbox.borrow().last_seq);
            let found = gatherer.server(views, &shipping.borrow(), lag);
            degraded.send_replace(found);
            line.print(views, lag);
        };
        let end = live(&mut signals, gave_up, watched, each_second).await;
        finish(end, process.end(), signals).await
    })
}

fn introduce(settings: &ServerSettings, address: SocketAddr) {
    let ServerSettings { common, serving, redis } = settings;
    output::line(format_args!(
        "evenkeel serves `{}` (scenario {}, seed {})",
        common.name, serving.scenario.label, serving.seed
    ));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/queued"));
    output::line(format_args!(
        "journal  {}, handed out as {} in {redis}",
        serving.data_dir.display(),
        common.keys
    ));
}

/// When the tick before `until_tick` has run; never without one.
pub(super) async fn until(mut pace: watch::Receiver<Pace>, until_tick: Option<u64>) -> End {
    let Some(until) = until_tick.map(Tick) else { return std::future::pending().await };
    let reached = |pace: &Pace| pace.last.is_some_and(|last| last.tick.next() >= until);
    match pace.wait_for(reached).await {
        Ok(_) => End::Asked("--until-tick"),
        Err(_daemon_gone) => std::future::pending().await,
    }
}

/// When another server has become the writer of this journal, or this one turns out to have begun with an older copy of it:
/// the same executions would run twice.
fn replaced(mut shipping: watch::Receiver<Shipping>) -> impl Future<Output = End> {
    let is_replaced = |shipping: &Shipping| {
        shipping.trouble.as_ref().is_some_and(|trouble| trouble.fault.remedy == Remedy::None)
    };
    async move {
        match shipping.wait_for(is_replaced).await {
            Ok(shipping) => {
                let fault = shipping.trouble.as_ref().map(|trouble| trouble.fault.to_string());
                End::Failed(fault.unwrap_or_default())
            }
            Err(_shipper_gone) => std::future::pending().await,
        }
    }
}

/// The server's half, running.
struct Process {
    address: SocketAddr,
    views: Views,
    server: ServerHalf,
    shipping: watch::Receiver<Shipping>,
    gave_up: mpsc::Receiver<GaveUp>,
    http: ServerHandle,
    draining: watch::Sender<bool>,
    degraded: watch::Sender<Degraded>,
    /// Of the journal's last entry, at the start.
    clock_ahead_ms: u64,
}

impl Process {
    fn start(settings: &ServerSettings) -> anyhow::Result<Self> {
        let ServerSettings { common, serving, redis } = settings;
        let (outbox, recovered) = server_half::open(serving, &common.name, Limits::shipping())?;
        let meta = outbox.meta();
        let shipment = ShipmentSettings {
            target: redis.clone(),
            keys: common.keys.clone(),
            journal: meta.journal,
            writer_epoch: meta.writer_epoch,
            writer: Uuid::new_v4(),
            label: meta.identity.label.clone(),
            lengths: meta.identity.lengths,
            age_max: Duration::from_hours(24),
            entries_max: 5_000_000,
        };
        try_shipping(settings, &shipment, &outbox, &recovered)?;
        let clock_ahead_ms = outbox.clock_ahead_ms();
        let (mut starter, gave_up) = Starter::new();
        let server = ServerHalf::start(
            serving,
            common.limits.clone(),
            (outbox, &recovered),
            Some(shipment),
            &mut starter,
        )?;
        let shipping = server.shipping.clone().context("a server ships")?;
        let (tellers, news) = Tellers::new(true);
        let access = Access::new(common.access.clone())?;
        let views = server.views(access, server.about(common, serving, Some(redis)), starter.actors, news);
        let reader = ReportReader::new(redis.clone(), common.keys.clone());
        let Tellers { draining, degraded, told, redis } = tellers;
        actix::spawn(told::hear(reader, told, redis, server.observer.port()));
        let (http, address) = super::serve(&common.listen, http::server(&common.listen, views.clone()))?;
        Ok(Self { address, views, server, shipping, gave_up, http, draining, degraded, clock_ahead_ms })
    }

    /// Ends in order: no further tick, what Redis takes is shipped, the outbox.
    async fn end(self) {
        self.draining.send_replace(true);
        self.server.stop_ticking().await;
        self.http.stop(true).await;
        self.server.end().await;
    }
}

/// Whose streams are they? A journal that has begun goes on without Redis; a new one must not begin before that is
/// known.
fn try_shipping(
    settings: &ServerSettings,
    shipment: &ShipmentSettings,
    outbox: &Outbox,
    recovered: &Recovered,
) -> Result<(), ExitError> {
    let tried = Shipment::new(shipment.clone(), &settings.serving.data_dir)
        .map_err(ShippingFault::from)
        .and_then(|mut shipment| shipment.ship());
    let Err(fault) = tried else { return Ok(()) };
    let new = recovered.revision == 0;
    let exit = match &fault {
        ShippingFault::OtherJournal { .. }
        | ShippingFault::Older { .. }
        | ShippingFault::Replaced { .. }
        | ShippingFault::Outbox(_)
        | ShippingFault::OlderFormat { .. }
        | ShippingFault::Redis(RedisFault::Newer(_)) => Exit::Failure,
        ShippingFault::Foreign { .. }
        | ShippingFault::Evicting(_)
        | ShippingFault::Redis(RedisFault::Unexpected(_))
            if new =>
        {
            Exit::Failure
        }
        ShippingFault::Redis(_) if new => Exit::Unreachable,
        _ => {
            tracing::warn!(%fault, journal = %outbox.meta().journal, "starting all the same: entries wait in the outbox");
            return Ok(());
        }
    };
    Err(ExitError { exit, message: format!("{}: {fault}", settings.redis) })
}

//! `evenkeel server`: the server's half, its journal handed out through Redis.

use std::{net::SocketAddr, time::Duration};

use evenkeel_actors::stores::{
    outbox::{Limits, Outbox},
    redis::{RedisFault, ReportReader, Shipment, ShipmentSettings, ShippingFault},
};
use evenkeel_core::journal::Recovered;
use uuid::Uuid;

use super::{
    backend::Backend,
    front::FrontWork,
    line,
    process::{self, EachSecond, Process},
    server_half::{self, ServerHalf},
    settings::ServerSettings,
    told,
};
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// Runs until a signal, `until_tick`, an actor that is given up, or another writer of the same journal.
///
/// # Errors
/// It cannot start, or must not go on; see [`ExitError`] for the code.
pub fn run(settings: &ServerSettings) -> anyhow::Result<Exit> {
    process::run(
        &settings.common,
        async |process| start(settings, process),
        |address| introduce(settings, address),
    )
}

fn introduce(settings: &ServerSettings, address: SocketAddr) {
    let ServerSettings { common, serving, redis } = settings;
    output::line(format_args!("evenkeel serves `{}` ({})", common.name, serving.backend));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/queued"));
    output::line(format_args!(
        "journal  {}, handed out as {} in {redis}",
        serving.data_dir.display(),
        common.keys
    ));
}

fn start(settings: &ServerSettings, process: &mut Process) -> anyhow::Result<()> {
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
    let (server, tellers) =
        ServerHalf::start(common, serving, (outbox, &recovered), Some(shipment), process)?;
    let reader = ReportReader::new(redis.clone(), common.keys.clone());
    actix::spawn(told::hear(reader, tellers.told, tellers.redis, server.observer.port()));
    let (mut line, views) = (line::Server::default(), server.views.clone());
    if let Backend::Postgres(settings) = &serving.backend {
        process.add(FrontWork::start(settings, &server)?);
    }
    process.add(server);
    process.add(EachSecond(move || line.print(&views)));
    Ok(())
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

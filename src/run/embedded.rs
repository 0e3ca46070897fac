//! `evenkeel run`: both halves in one process.

use std::net::SocketAddr;

use actix::Arbiter;
use evenkeel_actors::{
    ports::lease::LeaseEpoch,
    stores::{
        file::state::FileStateStore,
        outbox::{Limits, source::OutboxSource},
    },
};
use evenkeel_core::scheduler::PolicyName;

use super::{
    backend::{Backend, PostgresSettings},
    client_half::{self, ClientHalf},
    degraded::EMBEDDED_CLIENT,
    front::FrontWork,
    line,
    process::{self, EachSecond, Process},
    server_half::{self, ServerHalf},
    settings::EmbeddedSettings,
    told::Reporter,
};
use crate::{exit::Exit, output};

/// Runs until a signal, `until_tick`, or an actor that is given up.
///
/// # Errors
/// It cannot start; see [`crate::exit::ExitError`] for the code.
pub fn run(settings: &EmbeddedSettings) -> anyhow::Result<Exit> {
    process::run(
        &settings.common,
        async |process| start(settings, process),
        |address| introduce(settings, address),
    )
}

fn introduce(settings: &EmbeddedSettings, address: SocketAddr) {
    let EmbeddedSettings { common, serving, .. } = settings;
    let data_dir = serving.data_dir.display();
    output::line(format_args!("evenkeel levels `{}` ({})", common.name, serving.backend));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/resources"));
    output::line(format_args!("journal  {data_dir}  e.g. evenkeel journal tail --data-dir {data_dir}"));
}

/// Ends in this order, too: no further tick, the client's state, the outbox.
fn start(settings: &EmbeddedSettings, process: &mut Process) -> anyhow::Result<()> {
    let EmbeddedSettings { common, serving, levelling } = settings;
    let (outbox, recovered) = server_half::open(serving, &common.name, Limits::default())?;
    let states = FileStateStore::open(&serving.data_dir)?;
    let (server, tellers) = ServerHalf::start(common, serving, (outbox, &recovered), None, process)?;
    if let Backend::Postgres(settings) = &serving.backend {
        return before_postgres(settings, server, process);
    }
    let ports = client_half::Ports {
        client: EMBEDDED_CLIENT.to_owned(),
        // One process writes this journal, so nobody else is to level: its client goes above a stranger.
        epoch: LeaseEpoch::sole(server.writer.meta().writer_epoch),
        lengths: serving.backend.lengths(),
        source: Box::new(OutboxSource::new(&serving.data_dir, server.writer.published())),
        states: Box::new(states.beside(server.writer.published())),
        control: server.queue.port(),
        policy: PolicyName::Evenkeel,
        applied: Some(server.journal.port()),
    };
    let client = ClientHalf::start(
        *levelling,
        common.limits.clone(),
        ports,
        Arbiter::try_new()?,
        &mut process.starter,
    );
    let (mut reporter, observer) = (Reporter::new(&client), server.observer.port());
    let (mut line, views, decision) =
        (line::Embedded::default(), server.views.clone(), client.decision.clone());
    process.add(server);
    process.add(client);
    process.add(EachSecond(move || reporter.tell(&tellers.told, &observer)));
    process.add(EachSecond(move || line.print(&views, &decision)));
    Ok(())
}

/// Before a real database the front's pacing times what is held: no client of this process plans slots.
fn before_postgres(
    settings: &PostgresSettings,
    server: ServerHalf,
    process: &mut Process,
) -> anyhow::Result<()> {
    let (mut line, views) = (line::Server::default(), server.views.clone());
    // Its sessions end first, so that their ends are recorded.
    process.add(FrontWork::start(settings, &server)?);
    process.add(server);
    process.add(EachSecond(move || line.print(&views)));
    Ok(())
}

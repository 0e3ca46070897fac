//! `evenkeel client --poll`: the client's half, for a server that offers only `/queued`, `/resources` and `/delay`.
//!
//! ```text
//! server ◀─ looks twice a tick ─ ForeignServer ─ entries ─▶ ClientHalf ─ slots ─▶ ForeignServer ─ POST /delay ─▶ server
//! ```

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use actix::Arbiter;
use evenkeel_actors::{
    ports::lease::LeaseEpoch,
    remote::{
        foreign::{ForeignServer, ForeignSource, MemoryStates},
        reach::{self, Server},
    },
    supervise::health::ActorName,
};
use evenkeel_core::{foreign::Coverage, scheduler::PolicyName};
use tokio::sync::watch;

use super::{
    client_half::{self, Alone, ClientHalf},
    line,
    process::{self, EachSecond, Process},
    settings::PollSettings,
};
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// Messages that wait for the foreign server: the scheduler asks one at a time.
const MAILBOX: usize = 16;
/// Longest that a start waits for the server: both may be starting at once.
const SERVER_MAX: Duration = Duration::from_secs(5);
/// Wait between two tries at the start.
const RETRY: Duration = Duration::from_millis(200);

/// Runs until a signal, or an actor that is given up.
///
/// # Errors
/// It cannot start; see [`ExitError`] for the code.
pub fn run(settings: &PollSettings) -> anyhow::Result<Exit> {
    let start = async |process: &mut Process| {
        find_server(&settings.server).await?;
        start(settings, process)
    };
    process::run(&settings.common, start, |address| introduce(settings, address))
}

fn introduce(settings: &PollSettings, address: SocketAddr) {
    let PollSettings { server, .. } = settings;
    output::line(format_args!(
        "evenkeel levels {server}, watched from outside: it has no journal, so what it ran cannot be proved complete"
    ));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/readyz"));
    output::line(format_args!("state    in memory: costs are learned anew after a restart of this client"));
}

/// What was seen, and what was not.
fn seen(coverage: &Coverage) -> String {
    let Coverage { seen, missed, ticks_missed, windows_unclear, restarts, late } = *coverage;
    let mut text = format!("seen {seen}, missed perhaps {:.0}", missed.ceil());
    for (count, what) in [
        (ticks_missed, "ticks not looked at"),
        (windows_unclear, "windows unclear"),
        (late, "delays too late"),
        (restarts, "restarts"),
    ] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}

async fn find_server(server: &Server) -> Result<(), ExitError> {
    let begun = tokio::time::Instant::now();
    let (url, client) = (server.url("/queued"), server.client(SERVER_MAX, Duration::ZERO));
    loop {
        let Err(error) = client.get(&url).send().await else { return Ok(()) };
        let cause = reach::cause(&error);
        // Another certificate does not come by waiting.
        if begun.elapsed() >= SERVER_MAX || cause.contains("certificate") {
            return Err(ExitError { exit: Exit::Unreachable, message: format!("{url}: {cause}") });
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// What was delayed runs when it was delayed to: that is no peak, so the end needs no more than the client's.
fn start(settings: &PollSettings, process: &mut Process) -> anyhow::Result<()> {
    let PollSettings { common, levelling, lengths, server, token } = settings;
    let arbiter = Arbiter::try_new()?;
    let (coverage_sender, coverage) = watch::channel(Coverage::default());
    let (outside_sender, outside) = watch::channel(None);
    let (url, token, of) = (server.clone(), token.clone(), *lengths);
    // It looks and delays on time while the others think: an arbiter of its own.
    let watching = Arbiter::try_new()?;
    let foreign = process.starter.start(ActorName::RemoteQueue, &watching, MAILBOX, move |health| {
        ForeignServer::new(&url, token.as_ref(), of, health, coverage_sender, outside_sender)
    });
    let ports = client_half::Ports {
        client: "poll".to_owned(),
        epoch: LeaseEpoch::sole(1),
        lengths: *lengths,
        source: Box::new(ForeignSource(foreign.port())),
        states: Box::<MemoryStates>::default(),
        control: foreign.port(),
        policy: PolicyName::AtArrival,
        applied: None,
    };
    let client = ClientHalf::start(*levelling, common.limits.clone(), ports, arbiter, &mut process.starter);
    let alone = Alone::new(&client, outside, process);
    let (mut line, views) = (line::Client::default(), alone.views.clone());
    process.add(client);
    process.add(alone);
    process.add(EachSecond(move || line.print(&views, &seen(&coverage.borrow()))));
    Ok(())
}

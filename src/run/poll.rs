//! `evenkeel client --poll`: the client's half, for a server that offers only `/queued`, `/resources` and `/delay`.
//!
//! ```text
//! server ◀─ looks twice a tick ─ ForeignServer ─ entries ─▶ ClientHalf ─ slots ─▶ ForeignServer ─ POST /delay ─▶ server
//! ```

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use actix::Arbiter;
use actix_web::dev::ServerHandle;
use evenkeel_actors::{
    ports::lease::LeaseEpoch,
    supervise::{guard::GaveUp, health::ActorName},
};
use evenkeel_core::{foreign::Coverage, scheduler::PolicyName};
use tokio::sync::{mpsc, watch};

use super::{
    Signals,
    client_half::{self, ClientHalf},
    degraded::Gatherer,
    finish,
    foreign::{ForeignServer, ForeignSource, MemoryStates},
    line, live,
    settings::PollSettings,
    starter::Starter,
};
use crate::{
    exit::{Exit, ExitError},
    http::{self, Access, ClientViews, Degraded},
    output,
    reach::{self, Server},
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
    super::block_on(async {
        let mut signals = Signals::new()?;
        find_server(&settings.server).await?;
        let mut process = Process::start(settings)?;
        introduce(settings, process.address);
        let mut line = line::Client::default();
        let Process { gave_up, client, coverage, views, degraded, .. } = &mut process;
        let mut gatherer = Gatherer::default();
        let each_second = || {
            let note = seen(&coverage.borrow());
            degraded.send_replace(gatherer.client(views, &client.unsaved.borrow()));
            line.print(views, &note);
        };
        let end = live(&mut signals, gave_up, std::future::pending(), each_second).await;
        finish(end, process.end(), signals).await
    })
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

/// The client's half, running.
struct Process {
    address: SocketAddr,
    client: ClientHalf,
    coverage: watch::Receiver<Coverage>,
    gave_up: mpsc::Receiver<GaveUp>,
    http: ServerHandle,
    views: ClientViews,
    degraded: watch::Sender<Degraded>,
}

impl Process {
    fn start(settings: &PollSettings) -> anyhow::Result<Self> {
        let PollSettings { common, levelling, server, token } = settings;
        let (mut starter, gave_up) = Starter::new();
        let arbiter = Arbiter::try_new()?;
        let (coverage_sender, coverage) = watch::channel(Coverage::default());
        let (outside_sender, outside) = watch::channel(None);
        let (url, token) = (server.clone(), token.clone());
        // It looks and delays on time while the others think: an arbiter of its own.
        let watching = Arbiter::try_new()?;
        let foreign = starter.start(ActorName::RemoteQueue, &watching, MAILBOX, move |health| {
            ForeignServer::new(&url, token.as_ref(), health, coverage_sender, outside_sender)
        });
        let ports = client_half::Ports {
            client: "poll".to_owned(),
            epoch: LeaseEpoch::sole(1),
            source: Box::new(ForeignSource(foreign.port())),
            states: Box::<MemoryStates>::default(),
            control: foreign.port(),
            policy: PolicyName::AtArrival,
            applied: None,
        };
        let client = ClientHalf::start(*levelling, common.limits.clone(), ports, arbiter, &mut starter);
        let (degraded, degraded_reader) = watch::channel(Vec::new());
        let views = ClientViews {
            access: Access::new(common.access.clone())?,
            actors: starter.actors,
            role: client.role.clone(),
            decision: client.decision.clone(),
            degraded: degraded_reader,
            acceptance: client.acceptance.clone(),
            outside,
        };
        let (http, address) = super::serve(&common.listen, http::client(&common.listen, views.clone()))?;
        Ok(Self { address, client, coverage, gave_up, http, views, degraded })
    }

    /// Ends in order. What was delayed runs when it was delayed to: that is no peak.
    async fn end(self) {
        self.client.end().await;
        self.http.stop(true).await;
    }
}

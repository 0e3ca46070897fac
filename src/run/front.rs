//! The front as work of a process: PostgreSQL's clients connect to it. Beside it: what evenkeel itself asks the database,
//! and files that are read again on SIGHUP.

use std::{path::PathBuf, sync::Arc, time::Duration};

use actix::Arbiter;
use evenkeel_actors::{
    postgres::{
        desk::Desk,
        front::{
            Classes, Front, Ports, Verifiers,
            tls::{self, Offered},
        },
        own::Own,
        pacing::{self, Pacing, PacingSettings, PacingView, Tells},
        sql::PgQuery,
    },
    reread::Reread,
};
use futures_util::future::LocalBoxFuture;
use tokio::{sync::watch, time::sleep};

use super::{
    backend::PostgresSettings,
    front_causes::{Causes, Health},
    process::Work,
    server_half::ServerHalf,
};
use crate::{
    classes,
    exit::{Exit, ExitError},
    http::{ClientsSlice, ClientsViews, Degraded, Slice},
    output,
};

/// How often the database is asked which functions only read.
const FUNCTIONS_EVERY: Duration = Duration::from_mins(1);
/// How often it is asked whether it is there.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often it is asked about backends whose statements have no outcome, and again what it did not answer.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct FrontWork {
    front: Front,
    drain: Duration,
    introduced: bool,
    arbiter: Arbiter,
    /// Of the pacing, which is to be late for nobody.
    pacing: Arbiter,
    causes: Causes,
    degraded: watch::Sender<Degraded>,
    views: ClientsViews,
}

impl FrontWork {
    /// Listens for clients, whose statements `server` records.
    ///
    /// # Errors
    /// An address cannot be listened on, or the certificate cannot be used.
    pub(super) fn start(settings: &PostgresSettings, server: &ServerHalf) -> anyhow::Result<Self> {
        let arbiter = Arbiter::try_new()?;
        let (own, keeper) = Own::new(settings.upstream.clone(), settings.own.clone());
        // Its connection stays on that thread.
        arbiter.spawn_fn(move || drop(actix::spawn(keeper.run())));
        let understand = PgQuery::new("");
        arbiter.spawn(keep_functions(own.clone(), understand.clone()));
        arbiter.spawn(find_backends(own.clone(), settings.desk.clone()));
        let classes: Classes = Arc::new(settings.classes.0.clone());
        let (sender, classes) = watch::channel(classes);
        arbiter.spawn(reread_classes(settings.classes.1.clone(), sender));
        let mut front = settings.front.clone();
        if let Some((certificates, key)) = &settings.tls {
            let offered = Offered::read(certificates, key)
                .map_err(|error| ExitError { exit: Exit::Usage, message: error.to_string() })?;
            let (sender, offered) = watch::channel(offered);
            arbiter.spawn(tls::reread(certificates.clone(), key.clone(), sender));
            front.tls = Some(offered);
        }
        if settings.asks_verifiers {
            front.verifiers = asking(own.clone());
        }
        let (tells, pacing, timed) = pacing(settings, server, own.clone())?;
        let ports = Ports {
            tells,
            admit: server.queue.port(),
            drop_waiting: server.queue.port(),
            queue: server.views.queue.clone(),
            desk: settings.desk.clone(),
            classes,
            understand: Arc::new(move |database| Box::new(understand.for_database(database))),
        };
        let front = Front::start(front, &settings.upstream, &ports)
            .map_err(|error| ExitError { exit: Exit::Failure, message: error.to_string() })?;
        let (told, health) = watch::channel(Health::default());
        let (reachable_sender, reachable) = watch::channel(None);
        arbiter.spawn(ask_the_database(own, told, reachable_sender));
        let (degraded, degraded_reader) = watch::channel(Vec::new());
        let causes = Causes::new(settings.upstream.to_string(), health);
        let views =
            ClientsViews { counters: front.counters(), reachable, pacing: timed, degraded: degraded_reader };
        let drain = Duration::from_millis(settings.drain_ms);
        Ok(Self { front, drain, introduced: false, arbiter, pacing, causes, degraded, views })
    }

    /// Says where clients connect.
    fn introduce(&self) {
        for address in self.front.addresses() {
            let (host, port) = (address.ip(), address.port());
            output::line(format_args!("clients  postgres://{address}/  e.g. psql -h {host} -p {port}"));
        }
    }
}

impl Work for FrontWork {
    fn slices(&self) -> Vec<Arc<dyn Slice>> {
        vec![Arc::new(ClientsSlice(self.views.clone()))]
    }

    fn each_second(&mut self) {
        if !std::mem::replace(&mut self.introduced, true) {
            self.introduce();
        }
        self.degraded.send_replace(self.causes.now(self.views.counters.now()));
    }

    fn drain(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(self.front.drain(self.drain))
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, ()> {
        self.arbiter.stop();
        self.pacing.stop();
        Box::pin(std::future::ready(()))
    }
}

/// Starts what times held statements: the way there, its thread, and what it tells people.
fn pacing(
    settings: &PostgresSettings,
    server: &ServerHalf,
    own: Own,
) -> anyhow::Result<(Tells, Arbiter, watch::Receiver<Arc<PacingView>>)> {
    let ports = pacing::Ports {
        admit: server.queue.port(),
        queue: server.views.queue.clone(),
        desk: settings.desk.clone(),
        own: Some(own),
    };
    let settings = PacingSettings {
        clocks: settings.front.clocks.clone(),
        at_once: settings.at_once,
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        lengths: server.views.about.lengths,
    };
    let arbiter = Arbiter::try_new()?;
    let (tells, work, view) = Pacing::new(settings, ports);
    arbiter.spawn(work.run());
    Ok((tells, arbiter, view))
}

/// Asks the database for verifiers, on the connection of evenkeel's own.
fn asking(own: Own) -> Verifiers {
    Verifiers::asked(Arc::new(move |user| {
        let own = own.clone();
        Box::pin(async move { own.verifier(&user).await.map_err(std::io::Error::other) })
    }))
}

/// Keeps what is known of functions that only read up to date. Until the database has told, none is.
async fn keep_functions(own: Own, mut understand: PgQuery) {
    loop {
        let wait = match own.functions().await {
            Ok(names) => {
                understand.functions(names);
                FUNCTIONS_EVERY
            }
            Err(cause) => {
                tracing::debug!(%cause, "the database does not say which functions only read");
                ASK_EVERY
            }
        };
        sleep(wait).await;
    }
}

/// Asks again and again whether the database is there, and whether it tells all.
async fn ask_the_database(own: Own, told: watch::Sender<Health>, reachable: watch::Sender<Option<bool>>) {
    loop {
        let health = match own.sees_all().await {
            Ok(sees_all) => Health { away: None, sees_all },
            Err(cause) => Health { away: Some(cause.to_string()), sees_all: true },
        };
        reachable.send_replace(Some(health.away.is_none()));
        told.send_replace(health);
        sleep(LOOK_EVERY).await;
    }
}

/// Finds out whether backends are still there whose statements have no outcome.
async fn find_backends(own: Own, desk: Desk) {
    loop {
        for (pid, start) in desk.asked() {
            match own.running(pid, start).await {
                Ok(running) => desk.found((pid, start), running),
                Err(cause) => {
                    tracing::debug!(%cause, pid, "the database does not say whether a backend is there");
                    break;
                }
            }
        }
        sleep(ASK_EVERY).await;
    }
}

/// Reads the file of classes again on SIGHUP. A bad one changes nothing.
async fn reread_classes(file: Option<PathBuf>, told: watch::Sender<Classes>) {
    let mut reread = Reread::from_now_on();
    loop {
        reread.asked().await;
        let Some(file) = &file else { continue };
        match classes::read(file) {
            Ok(now) => drop(told.send_replace(Arc::new(now))),
            Err(cause) => tracing::error!(%cause, "the classes before stay in force"),
        }
    }
}

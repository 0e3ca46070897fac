//! The one connection: made when somebody asks, kept, made anew.

use std::{future::Future, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_postgres::{Client, Config, NoTls};

use super::{ANSWER_MAX, Ask, OwnError, cause, passfile};
use crate::postgres::upstream::{Place, Upstream};

/// How long nothing is tried after the first failure; twice as long after each further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
/// Longest of these times: a database that is back is asked within so long.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// What the connection begins with. A question that takes longer is of no use to anybody; without the right names in front,
/// functions of somebody's schema could be called.
const GREETING: &str = "SET statement_timeout = '4s'; SET lock_timeout = '1s'; SET search_path = pg_catalog; \
     SET application_name = 'evenkeel'";

/// Whether sessions can write there, as libpq's `target_session_attrs` has it.
const READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool";

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    upstream: Upstream,
    passfile: Option<PathBuf>,
    asked: mpsc::Receiver<Ask>,
    connection: Option<Connection>,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Connection {
    client: Arc<Client>,
    /// Dropped, it ends the connection.
    _ends: watch::Sender<()>,
}

#[derive(Debug)]
struct Failed {
    error: OwnError,
    until: Instant,
    backoff: Duration,
}

impl Keeper {
    pub(super) fn new(upstream: Upstream, passfile: Option<PathBuf>, asked: mpsc::Receiver<Ask>) -> Self {
        Self { upstream, passfile, asked, connection: None, failed: None }
    }

    /// Answers until no handle is left. It has to run where local tasks can be spawned, as on an arbiter.
    pub async fn run(mut self) {
        while let Some(ask) = self.asked.recv().await {
            match ask {
                Ask::Client(reply) => {
                    let client = self.client().await;
                    // Who asked may have given up.
                    let _ = reply.send(client);
                }
                Ask::GiveUp(client) => {
                    if self.connection.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.client, &client)) {
                        self.connection = None;
                    }
                }
            }
        }
    }

    async fn client(&mut self) -> Result<Arc<Client>, OwnError> {
        if let Some(kept) = self.connection.as_ref().filter(|kept| !kept.client.is_closed()) {
            return Ok(Arc::clone(&kept.client));
        }
        self.connection = None;
        if let Some(failed) = self.failed.as_ref().filter(|failed| Instant::now() < failed.until) {
            return Err(failed.error.clone());
        }
        match tokio::time::timeout(ANSWER_MAX, self.connect()).await.unwrap_or(Err(OwnError::Late)) {
            Ok(connection) => {
                self.failed = None;
                let client = Arc::clone(&connection.client);
                self.connection = Some(connection);
                Ok(client)
            }
            Err(error) => {
                let backoff = self
                    .failed
                    .as_ref()
                    .map_or(BACKOFF_FIRST, |failed| (failed.backoff * 2).min(BACKOFF_MAX));
                self.failed = Some(Failed { error: error.clone(), until: Instant::now() + backoff, backoff });
                Err(error)
            }
        }
    }

    /// To the first place that suits, where sessions then go, too.
    async fn connect(&self) -> Result<Connection, OwnError> {
        let mut causes = Vec::new();
        let turns: Vec<_> = self.upstream.turns().collect();
        let alone = turns.len() == 1;
        for (at, place) in turns {
            match self.connect_to(&place).await {
                Ok((connection, read_only)) if self.upstream.suits(read_only) => {
                    self.upstream.prefer(at);
                    return Ok(connection);
                }
                Ok((_, true)) => causes.push(format!("{place}: it takes no writes")),
                Ok((_, false)) => causes.push(format!("{place}: it takes writes")),
                Err(error) if alone => return Err(error),
                Err(error) => causes.push(format!("{place}: {error}")),
            }
        }
        Err(OwnError::Away(causes.join("; ")))
    }

    /// With whether it takes no writes.
    async fn connect_to(&self, place: &Place) -> Result<(Connection, bool), OwnError> {
        let away = |error: io::Error| OwnError::Away(error.to_string());
        let connected = self.upstream.connect_to(place).await.map_err(away)?;
        let config = self.configured(&connected.place);
        let (client, connection) = config.connect_raw(connected.wire, NoTls).await?;
        let (ends, ended) = watch::channel(());
        tokio::task::spawn_local(drive(connection, ended));
        client.batch_execute(GREETING).await?;
        let read_only = client.query_one(READ_ONLY, &[]).await?.get(0);
        Ok((Connection { client: Arc::new(client), _ends: ends }, read_only))
    }

    /// With the password that the file has for this place now.
    fn configured(&self, place: &Place) -> Config {
        let mut config = self.upstream.config().clone();
        if let (None, Some(file)) = (config.get_password(), &self.passfile) {
            let (host, port) = match place {
                Place::Tcp(host, port) => (host.clone(), *port),
                Place::Socket(_) => {
                    ("localhost".to_owned(), config.get_ports().first().copied().unwrap_or(5432))
                }
            };
            let user = config.get_user().unwrap_or_default().to_owned();
            let database = config.get_dbname().unwrap_or(&user).to_owned();
            match passfile::read(file, [&host, &port.to_string(), &database, &user]) {
                Ok(Some(password)) => drop(config.password(password.expose())),
                Ok(None) => {}
                Err(cause) => {
                    tracing::warn!(file = %file.display(), %cause, "the file of passwords is not used");
                }
            }
        }
        config
    }
}

/// Moves the connection's bytes until it breaks, or is given up.
async fn drive(
    connection: impl Future<Output = Result<(), tokio_postgres::Error>>,
    mut ended: watch::Receiver<()>,
) {
    tokio::select! {
        done = connection => {
            if let Err(error) = done {
                tracing::debug!(cause = cause(&error), "the own connection to the database is gone");
            }
        }
        _ = ended.changed() => {}
    }
}

//! The database itself: where it is, and how a connection to it is made.

use std::{
    fmt, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use evenkeel_core::postgres::startup::{CancelKey, put_tls_request};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_rustls::TlsConnector;

use super::{front::Wire, scram};
use crate::remote::reach;

/// Longest time that a connection takes to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longest time that a cancel takes.
const CANCEL_MAX: Duration = Duration::from_secs(2);

/// An address of a database that cannot be used. It repeats no password.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It is no URL of that kind.
    #[error("the database's address cannot be used: {0}; expected postgres://user@host:port/")]
    Address(String),
    /// Its `sslmode` is none.
    #[error("sslmode `{0}` is not known here: expected disable or verify-full")]
    Mode(String),
    /// Whose certificates are trusted cannot be found out.
    #[error(transparent)]
    Reach(#[from] reach::ReachError),
}

/// How a connection to the database is protected.
#[derive(Clone)]
enum Tls {
    /// Not at all.
    Never,
    /// By TLS where the database is elsewhere; its certificate is checked in full.
    Elsewhere(Arc<ClientConfig>),
    /// By TLS, wherever it is.
    Always(Arc<ClientConfig>),
}

/// See the module.
#[derive(Clone)]
pub struct Upstream {
    config: tokio_postgres::Config,
    tls: Tls,
    /// Which of several places the last connection that suited went to: the next one tries that first.
    first: Arc<AtomicUsize>,
    #[cfg(test)]
    model: Option<Model>,
}

/// Connects to the model of a database.
#[cfg(test)]
pub(crate) type Model = fn() -> io::Result<Wire>;

/// A connection to the database.
pub(super) struct Connected {
    pub(super) wire: Wire,
    pub(super) place: Place,
    /// What a proof is bound to, over TLS.
    pub(super) binding: Option<Vec<u8>>,
}

/// Where a connection goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A host and a port.
    Tcp(String, u16),
    /// A socket.
    Socket(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without user and password.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.places().iter().map(Place::to_string).collect();
        f.write_str(&places.join(", "))
    }
}

impl Upstream {
    /// The database at `url`: `postgres://[user[:password]@]host[:port][,host[:port]…]/[database][?name=value&…]`. Besides
    /// what libpq knows, `target_session_attrs` is `any`, `read-write` or `read-only`, `sslmode` is `disable` or `verify-full`, and `sslrootcert` names a file of authorities.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub fn parse(url: &str) -> Result<Self, UpstreamError> {
        let (mut mode, mut root) = (None, None);
        let (bare, query) = url.split_once('?').unwrap_or((url, ""));
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let decoded =
                |value: &str| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(decoded(value)),
                Some(("sslrootcert", value)) => root = Some(PathBuf::from(decoded(value))),
                _ => rest.push(pair),
            }
        }
        let bare = if rest.is_empty() { bare.to_owned() } else { format!("{bare}?{}", rest.join("&")) };
        // The library's own text may repeat what it could not read.
        let config: tokio_postgres::Config = bare
            .parse()
            .map_err(|_| UpstreamError::Address("it is no address of a PostgreSQL".to_owned()))?;
        if config.get_hosts().is_empty() {
            return Err(UpstreamError::Address("it names no host".to_owned()));
        }
        let configured = || reach::tls(root.as_deref(), "sslrootcert=");
        let all_here = config.get_hosts().iter().all(|host| match host {
            Host::Tcp(host) => is_here(host),
            Host::Unix(_) => true,
        });
        let tls = match mode.as_deref() {
            Some("disable") => Tls::Never,
            Some("verify-full") => Tls::Always(configured()?),
            Some(other) => return Err(UpstreamError::Mode(other.to_owned())),
            None if root.is_some() => Tls::Always(configured()?),
            None if all_here => Tls::Never,
            None => Tls::Elsewhere(configured()?),
        };
        Ok(Self {
            config,
            tls,
            first: Arc::default(),
            #[cfg(test)]
            model: None,
        })
    }

    /// A model in place of a database.
    #[cfg(test)]
    pub(crate) fn modelled(model: Model) -> Self {
        Self {
            model: Some(model),
            ..Self::parse("postgres://modelled/?sslmode=disable").expect("an address")
        }
    }

    /// How evenkeel itself connects.
    pub fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// The names that a data directory remembers: host, port and database.
    pub fn identity(&self) -> String {
        format!("{self}/{}", self.config.get_dbname().unwrap_or_default())
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let ports = self.config.get_ports();
        let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let hosts = self.config.get_hosts().iter().enumerate();
        hosts
            .map(|(at, host)| match host {
                Host::Tcp(host) => Place::Tcp(host.clone(), port(at)),
                Host::Unix(directory) => Place::Socket(socket(directory, port(at))),
            })
            .collect()
    }

    /// The TLS that a connection to `place` speaks.
    pub(super) fn tls_of(&self, place: &Place) -> Option<(Arc<ClientConfig>, ServerName<'static>)> {
        let Place::Tcp(host, _) = place else { return None };
        let config = match &self.tls {
            Tls::Never => return None,
            Tls::Elsewhere(_) if is_here(host) => return None,
            Tls::Elsewhere(config) | Tls::Always(config) => Arc::clone(config),
        };
        Some((config, ServerName::try_from(host.clone()).ok()?))
    }

    /// All places, with their numbers: first the one that suited last.
    pub(super) fn turns(&self) -> impl Iterator<Item = (usize, Place)> {
        let places = self.places();
        let first = self.first.load(Relaxed) % places.len().max(1);
        (0..places.len()).map(move |turn| {
            let at = (first + turn) % places.len();
            (at, places[at].clone())
        })
    }

    /// The place with that number suits: sessions go there from now on.
    pub(super) fn prefer(&self, at: usize) {
        self.first.store(at, Relaxed);
    }

    /// Whether a database that takes no writes, or does, is one of those that are meant.
    pub(super) fn suits(&self, read_only: bool) -> bool {
        match self.config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => !read_only,
            TargetSessionAttrs::ReadOnly => read_only,
            _ => true,
        }
    }

    /// A connection to the first place that answers; what each of the others said.
    pub(super) async fn connect(&self) -> io::Result<Connected> {
        let mut causes = Vec::new();
        for (_, place) in self.turns() {
            match self.connect_to(&place).await {
                Ok(connected) => return Ok(connected),
                Err(error) => causes.push(format!("{place}: {error}")),
            }
        }
        Err(io::Error::other(causes.join("; ")))
    }

    /// A connection to that place.
    pub(super) async fn connect_to(&self, place: &Place) -> io::Result<Connected> {
        let (wire, binding) = self.wired(place).await?;
        Ok(Connected { wire, place: place.clone(), binding })
    }

    /// With what a proof over TLS is bound to.
    async fn wired(&self, place: &Place) -> io::Result<(Wire, Option<Vec<u8>>)> {
        #[cfg(test)]
        if let Some(model) = self.model {
            return Ok((model()?, None));
        }
        timeout(CONNECT_MAX, async {
            match place {
                Place::Socket(path) => Ok((Box::new(UnixStream::connect(path).await?) as Wire, None)),
                Place::Tcp(host, port) => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    super::sockets::prepare(&stream)?;
                    match self.tls_of(place) {
                        None => Ok((Box::new(stream) as Wire, None)),
                        Some((config, name)) => wrapped(stream, config, name).await,
                    }
                }
            }
        })
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within 10 s")))
    }

    /// Asks the backend of `key` to cancel, and waits until it has taken that.
    pub(super) async fn cancel(&self, place: &Place, key: &CancelKey) {
        let canceled = timeout(CANCEL_MAX, async {
            let (mut wire, _) = self.wired(place).await?;
            let mut packet = Vec::new();
            key.put(&mut packet);
            wire.write_all(&packet).await?;
            wire.flush().await?;
            // The server closes the connection when it has sent the signal.
            wire.read(&mut [0; 1]).await
        });
        if let Ok(Err(cause)) = canceled.await {
            tracing::debug!(%cause, pid = key.pid, "a cancel did not reach the database");
        }
    }
}

async fn wrapped(
    mut stream: TcpStream,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
) -> io::Result<(Wire, Option<Vec<u8>>)> {
    let mut request = Vec::new();
    put_tls_request(&mut request);
    stream.write_all(&request).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    if answer != *b"S" {
        return Err(io::Error::other("the database does not speak TLS (sslmode=disable goes without)"));
    }
    let wire = TlsConnector::from(config).connect(name, stream).await?;
    let certificate = wire.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let binding = certificate.map(|certificate| scram::binding(certificate));
    Ok((Box::new(wire), binding))
}

/// Whether nothing leaves this machine on the way there.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn socket(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_and_how() {
        let upstream = Upstream::parse("postgres://u:geheim@127.0.0.1:5433,db.example/app").unwrap();
        assert_eq!(upstream.to_string(), "127.0.0.1:5433, db.example:5432");
        assert_eq!(format!("{upstream:?}"), upstream.to_string());
        let [here, there] = &upstream.places()[..] else { panic!("two places") };
        assert!(upstream.tls_of(here).is_none(), "nothing leaves the machine");
        assert!(upstream.tls_of(there).is_some());
        let plain = Upstream::parse("postgres://db.example/?sslmode=disable&application_name=x").unwrap();
        assert!(plain.tls_of(&plain.places()[0]).is_none());
        let socket = Upstream::parse("postgres:///app?host=/run/pg&port=5434").unwrap();
        assert_eq!(socket.to_string(), "/run/pg/.s.PGSQL.5434");
    }

    #[test]
    fn of_several_places_the_one_that_suited_comes_first() {
        let upstream = Upstream::parse("postgres://a,b,c/?target_session_attrs=read-write").unwrap();
        let turns = || upstream.turns().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(turns(), [0, 1, 2]);
        upstream.clone().prefer(1);
        assert_eq!(turns(), [1, 2, 0]);
        assert!(upstream.suits(false) && !upstream.suits(true));
        let any = Upstream::parse("postgres://a/").unwrap();
        assert!(any.suits(false) && any.suits(true));
    }

    #[test]
    fn a_wrong_address_is_refused_and_no_password_is_repeated() {
        for url in ["postgres://u:geheim@", "http://u:geheim@db", "postgres://u:geheim@db:x/", ""] {
            let error = Upstream::parse(url).expect_err(url).to_string();
            assert!(!error.contains("geheim"), "{error}");
        }
        let error =
            Upstream::parse("postgres://db/?sslmode=require").expect_err("no check of the certificate");
        assert!(error.to_string().contains("verify-full"), "{error}");
    }
}

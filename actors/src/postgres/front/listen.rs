//! Accepts connections and makes sessions of them, on one thread.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use evenkeel_core::postgres::{
    replies::{Refusal, code},
    session::{Session, Who},
    startup::{Startup, put_extended},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::mpsc,
    time::{Duration, sleep},
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::{
    From, Shared, Wire,
    bridge::{Bridge, Login, Stopped},
    login::{self, LoginError, Wanted},
    relay::Relay,
};
use crate::postgres::{sockets, upstream::Connected};

/// After an accept that failed, as when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients are awaited.
pub(super) enum Listener {
    Tcp(TcpListener),
    Socket(UnixListener),
}

/// Accepts until it is dropped.
pub(super) async fn accept(listener: Listener, shared: Rc<Shared>) {
    loop {
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.and_then(|(stream, address)| {
                sockets::prepare(&stream)?;
                serve(stream, From::Address(address.ip()), &shared);
                Ok(())
            }),
            Listener::Socket(listener) => listener.accept().await.map(|(stream, _)| {
                serve(stream, From::Socket, &shared);
            }),
        };
        if let Err(cause) = accepted {
            tracing::warn!(%cause, "a connection could not be accepted");
            sleep(PAUSE).await;
        }
    }
}

pub(super) fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(stream: S, from: From, shared: &Rc<Shared>) {
    let shared = Rc::clone(shared);
    tokio::task::spawn_local(async move {
        shared.counts.connections.fetch_add(1, Ordering::Relaxed);
        let tls = shared.settings.tls.as_ref().map(|tls| tls.borrow().clone());
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        match login::login(stream, acceptor.as_ref()).await {
            Ok(Wanted::Nothing) => {}
            Ok(Wanted::Cancel(key, wire)) => {
                shared.cancels.cancel(&key);
                login::end(wire).await;
            }
            Ok(Wanted::Session { startup, packet, behind, wire, encrypted }) => {
                let binding = tls.filter(|_| encrypted).map(|tls| tls.binding);
                let asked = Asked { startup, packet, behind, from, binding };
                session(asked, wire, &shared).await;
            }
            Ok(Wanted::Refused { refusal, mut wire }) => {
                tracing::debug!(%from, cause = %refusal.message, "a connection cannot become a session");
                login::refuse(&mut wire, &refusal).await;
            }
            // Nobody who speaks PostgreSQL would do so: no noise.
            Err(LoginError::Packet(bad)) => tracing::debug!(%from, %bad, "no client of PostgreSQL"),
            Err(cause) => tracing::debug!(%from, %cause, "a connection ended before it became a session"),
        }
        shared.counts.connections.fetch_sub(1, Ordering::Relaxed);
    });
}

struct Asked {
    startup: Startup,
    packet: Vec<u8>,
    behind: Vec<u8>,
    from: From,
    /// What the client's proof is bound to, over TLS.
    binding: Option<Arc<[u8]>>,
}

async fn session(asked: Asked, mut wire: Wire, shared: &Rc<Shared>) {
    let (user, database) = (asked.startup.user().to_owned(), asked.startup.database().to_owned());
    if let Some(refusal) = refusal(&asked, shared) {
        tracing::warn!(from = %asked.from, %user, %database, cause = %refusal.message, "a session was refused");
        return login::refuse(&mut wire, &refusal).await;
    }
    let Connected { wire: mut server, place, binding } = match shared.upstream.connect().await {
        Ok(connected) => connected,
        Err(cause) => {
            let message = format!("evenkeel cannot reach the database: {cause}");
            tracing::warn!(from = %asked.from, %user, %database, %cause, "the database cannot be reached");
            return login::refuse(&mut wire, &Refusal::new(code::CONNECTION, message)).await;
        }
    };
    let mut packet = Vec::new();
    put_extended(&mut packet, &asked.packet, &shared.settings.session_parameters);
    let mut said = Vec::new();
    let mut challenged = false;
    if let Some((client_binding, server_binding)) = asked.binding.as_ref().zip(binding.as_ref()) {
        let bridge = Bridge {
            client: &mut wire,
            client_binding,
            server: &mut server,
            server_binding,
            user: &user,
            verifiers: &shared.settings.verifiers,
        };
        match bridge.login(&packet).await {
            Ok(Login::Passes(so_far)) => said = so_far,
            Ok(Login::Proven) => challenged = true,
            Err(Stopped::Refused(refusal)) => return login::refuse(&mut wire, &refusal).await,
            Err(Stopped::Gone(cause)) => {
                return tracing::debug!(%user, %database, %cause, "a login came to no end");
            }
        }
        packet.clear();
    }
    let who = Who {
        session: Uuid::new_v4(),
        application: asked.startup.parameter("application_name").unwrap_or_default().to_owned(),
        client: asked.from.to_string(),
        user,
        database,
        ..Who::default()
    };
    let trusts = shared.settings.allow_trust || asked.from.is_here();
    let secret = std::array::from_fn::<_, 16, _>(|_| Uuid::new_v4().into_bytes()).concat();
    let session = Session::new(shared.settings.recording, who, trusts, secret);
    let session = if challenged { session.challenged() } else { session };
    let session =
        if binding.is_some() && asked.binding.is_none() { session.without_binding() } else { session };
    let session = if asked.startup.is_replication() { session.replication() } else { session };
    let (mailbox, tells) = mpsc::unbounded_channel();
    let number = shared.enter(mailbox.clone());
    let channel = (mailbox, tells);
    Relay::new(session, Rc::clone(shared), (wire, &asked.behind), (server, &said), place, packet, channel)
        .run()
        .await;
    shared.sessions.borrow_mut().remove(&number);
}

fn refusal(asked: &Asked, shared: &Shared) -> Option<Refusal> {
    let settings = &shared.settings;
    if !settings.allows(asked.from) {
        let message = format!("connections from {} are not allowed here (--pg-allow)", asked.from);
        return Some(Refusal::new(code::NOT_ALLOWED, message));
    }
    if shared.counts.connections.load(Ordering::Relaxed) > settings.connections_max {
        shared.counts.refused.fetch_add(1, Ordering::Relaxed);
        let message = format!("evenkeel takes {} connections, and all are in use", settings.connections_max);
        return Some(Refusal::new(code::TOO_MANY, message));
    }
    None
}

/// Where clients are to be awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address.
    Tcp(SocketAddr),
    /// At a socket in the file system.
    Socket(PathBuf),
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// A listener of the system's, before a thread has it.
pub(super) enum Bound {
    Tcp(std::net::TcpListener),
    Socket(std::os::unix::net::UnixListener),
}

impl Listen {
    pub(super) fn bind(&self) -> io::Result<Bound> {
        match self {
            Self::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                // More than the 128 of the library: clients of a pool come all at once.
                socket2::SockRef::from(&listener).listen(1024)?;
                Ok(Bound::Tcp(listener))
            }
            Self::Socket(path) => {
                remove_stale(path)?;
                let listener = std::os::unix::net::UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Bound::Socket(listener))
            }
        }
    }
}

/// A socket that nobody listens on any more.
fn remove_stale(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::{fs::FileTypeExt as _, net::UnixStream};

    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

impl Bound {
    /// Where that is, with the port that the system has chosen.
    pub(super) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Socket(_) => Ok(None),
        }
    }

    /// The same one for another thread.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Socket(listener) => Self::Socket(listener.try_clone()?),
        })
    }

    pub(super) fn listener(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
            Self::Socket(listener) => Listener::Socket(UnixListener::from_std(listener)?),
        })
    }
}

//! The front: PostgreSQL's clients connect to it, unchanged, and each has its own connection to the database behind.
//!
//! ```text
//! accept ─▶ login (TLS, cancel, startup) ─▶ relay ⇄ core::postgres::session
//! ```
//! Threads of its own serve sessions; a session stays on its thread. Nothing of it runs on an actor's thread: the queue
//! is asked by messages, and tells through the desk.

mod acts;
mod allow;
mod bridge;
mod counters;
mod inbox;
mod listen;
mod login;
mod mailbox;
#[cfg(test)]
mod modelled;
mod parking;
mod relay;
mod shared;
pub mod tls;
mod verifiers;
mod wire;

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, thread, time::Duration};

use evenkeel_core::postgres::{session::Recording, understood::Understand};
use tokio::{
    runtime::Builder,
    sync::watch,
    task::LocalSet,
    time::{Instant, sleep},
};

#[cfg(test)]
pub(crate) use self::modelled::Modelled;
pub(crate) use self::wire::Wire;
pub use self::{
    allow::{Cidr, CidrError},
    counters::{BEHIND_MAX, Counters, Numbers},
    listen::Listen,
    shared::Classes,
    verifiers::{AskVerifier, Verifiers, VerifiersError},
};
use self::{counters::Counts, listen::Bound, login::From, mailbox::Cancels, shared::Shared, tls::Offered};
pub(super) use self::{
    mailbox::{Mailbox, Tell},
    parking::Mutex,
};
use super::{
    desk::Desk,
    pacing::Tells,
    probe::Clocks,
    recorder::{Recorder, WhenFull},
    upstream::{Place, Upstream},
};
use crate::{
    messages::{Admit, DropWaiting},
    server::queue::QueueView,
    supervise::port::Port,
};

/// How often an ending front looks whether its sessions are over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a front is started with.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// What is recorded before it is sent.
    pub recording: Recording,
    /// What is done when it cannot be.
    pub when_full: WhenFull,
    /// Who may connect; everybody when nobody is named.
    pub allow: Vec<Cidr>,
    /// Whether clients from elsewhere are let in that the database does not ask for a password.
    pub allow_trust: bool,
    /// Parameters that each session is begun with besides its own.
    pub session_parameters: Vec<(String, String)>,
    /// The TLS that clients are offered, as of now.
    pub tls: Option<watch::Receiver<Offered>>,
    /// How SCRAM is checked that ends here.
    pub verifiers: Verifiers,
    /// Where CPU clocks of backends are found.
    pub clocks: Clocks,
    /// Whether clients are told that their statement is held, by a notice.
    pub tells_holds: bool,
    /// Connections at once.
    pub connections_max: usize,
    /// Threads that serve them.
    pub threads: usize,
}

impl FrontSettings {
    fn allows(&self, from: From) -> bool {
        match from {
            From::Socket => true,
            From::Address(address) => {
                self.allow.is_empty() || self.allow.iter().any(|cidr| cidr.contains(address.to_canonical()))
            }
        }
    }
}

/// What a front asks of the rest.
#[derive(Clone)]
pub struct Ports {
    /// Records what is about to be sent.
    pub admit: Port<Admit>,
    /// Gives up what waits.
    pub drop_waiting: Port<DropWaiting>,
    /// The queue's mode.
    pub queue: watch::Receiver<QueueView>,
    /// Holds what waits.
    pub desk: Desk,
    /// Times what is held.
    pub tells: Tells,
    /// Says classes.
    pub classes: watch::Receiver<Classes>,
    /// Makes who understands texts for a database.
    pub understand: MakeUnderstand,
}

/// Makes who understands the texts of sessions with a database of that name.
pub type MakeUnderstand = Arc<dyn Fn(&str) -> Box<dyn Understand> + Send + Sync>;

/// A front that runs.
#[derive(Debug)]
pub struct Front {
    addresses: Vec<SocketAddr>,
    counters: Counters,
    drain: watch::Sender<Option<Instant>>,
}

impl Front {
    /// Listens, and serves until [`Front::drain`].
    ///
    /// # Errors
    /// An address cannot be listened on, or the system has no thread left.
    pub fn start(settings: FrontSettings, upstream: &Upstream, ports: &Ports) -> io::Result<Self> {
        let bind = |listen: &Listen| {
            listen.bind().map_err(|error| io::Error::new(error.kind(), format!("{listen}: {error}")))
        };
        let bound = settings.listen.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
        let addresses =
            bound.iter().filter_map(|bound| bound.address().transpose()).collect::<io::Result<_>>()?;
        let (recorder, recording) =
            Recorder::new(ports.admit.clone(), ports.desk.clone(), settings.when_full);
        let (drain, draining) = watch::channel(None);
        let (settings, counts, cancels) =
            (Arc::new(settings), Arc::new(Counts::default()), Cancels::default());
        let counters = Counters::new(Arc::clone(&counts), Arc::clone(&recorder.counts));
        let mut recording = Some(recording);
        for number in 0..settings.threads.max(1) {
            let bound = bound.iter().map(Bound::again).collect::<io::Result<Vec<_>>>()?;
            let (settings, upstream, ports) = (Arc::clone(&settings), upstream.clone(), ports.clone());
            let (cancels, recorder, counts) = (cancels.clone(), recorder.clone(), Arc::clone(&counts));
            let (draining, recording) = (draining.clone(), recording.take());
            thread::Builder::new().name(format!("front-{number}")).spawn(move || {
                let shared = Rc::new(Shared::new(settings, upstream, ports, cancels, recorder, counts));
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a thread of its own can wait for connections");
                let serving = async move {
                    if let Some(recording) = recording {
                        tokio::spawn(recording);
                    }
                    serve(bound, shared, draining).await;
                };
                LocalSet::new().block_on(&runtime, serving);
            })?;
        }
        Ok(Self { addresses, counters, drain })
    }

    /// Where it listens: the addresses, with the ports that the system has chosen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How it goes.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Takes no more connections, ends sessions that are idle, and the others when they are, at the latest after `wait`.
    pub async fn drain(&self, wait: Duration) {
        let latest = Instant::now() + wait;
        self.drain.send_replace(Some(latest));
        // A second more, in which the last errors are read.
        while self.counters.now().connections > 0 && Instant::now() < latest + Duration::from_secs(1) {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Serves on this thread until the process ends.
async fn serve(bound: Vec<Bound>, shared: Rc<Shared>, mut draining: watch::Receiver<Option<Instant>>) {
    let mut accepting = Vec::new();
    for bound in bound {
        match bound.listener() {
            Ok(listener) => {
                accepting.push(tokio::task::spawn_local(listen::accept(listener, Rc::clone(&shared))));
            }
            Err(cause) => tracing::error!(%cause, "a listener cannot be used"),
        }
    }
    let latest = match draining.wait_for(Option::is_some).await {
        Ok(latest) => *latest,
        Err(_) => None,
    };
    for task in &accepting {
        task.abort();
    }
    let latest = latest.unwrap_or_else(Instant::now);
    for session in shared.sessions.borrow().values() {
        let _ = session.send(Tell::Drain(latest));
    }
    // The thread goes on until the process ends: its sessions do.
    std::future::pending::<()>().await;
}

//! Journal: makes things durable, in order.
//!
//! In: [`Append`] from the queue, [`Recover`] from the daemon, [`Applied`] from the consumer. Out: the
//! answers, once durable, and [`Recorded`] to the observer. Commits run on the ledger's own thread; readers are woken by
//! what it publishes.
//!
//! Invariant: it has no state of its own. What the ledger says is durable is durable.

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use evenkeel_core::journal::Recovered;

use crate::{
    messages::{Append, AppendError, Applied, Recorded, Recover},
    ports::ledger::Ledger,
    supervise::{fault, health::ActorHealth, port::Port},
};

/// See the module.
pub struct Journal {
    ledger: Arc<dyn Ledger>,
    observer: Port<Recorded>,
    health: ActorHealth,
}

impl Journal {
    /// A journal over an open ledger.
    pub fn new(ledger: Arc<dyn Ledger>, observer: Port<Recorded>, health: ActorHealth) -> Self {
        Self { ledger, observer, health }
    }
}

impl Actor for Journal {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.health.set_recovering(false);
    }
}

impl Supervised for Journal {}

impl Handler<Append> for Journal {
    type Result = ResponseFuture<Result<(), AppendError>>;

    fn handle(&mut self, Append(commit): Append, _context: &mut Self::Context) -> Self::Result {
        fault::handling!("journal");
        let last_tick = commit.state.next_tick.previous();
        let committed = self.ledger.commit(commit);
        let observer = self.observer.clone();
        Box::pin(async move {
            let committed = committed.await.map_err(|error| AppendError::Refused(Arc::new(error)))?;
            observer.offer(Recorded { entries: committed.entries, last_tick });
            Ok(())
        })
    }
}

impl Handler<Recover> for Journal {
    type Result = ResponseFuture<Result<Arc<Recovered>, AppendError>>;

    fn handle(&mut self, _: Recover, _context: &mut Self::Context) -> Self::Result {
        let recovered = self.ledger.recover();
        Box::pin(async move { Ok(Arc::new(recovered.await?)) })
    }
}

impl Handler<Applied> for Journal {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Applied(positions): Applied, _context: &mut Self::Context) -> Self::Result {
        let trimmed = self.ledger.trim(positions);
        Box::pin(async move {
            // What is left then is removed after the next snapshot.
            if let Err(cause) = trimmed.await {
                tracing::warn!(%cause, "old entries were not trimmed: it is tried again after the next snapshot");
            }
        })
    }
}

//! Journal: makes things durable, in order.
//!
//! In: [`Append`] from the queue, [`Recover`] from the daemon, [`Applied`] from the consumer. Out: the
//! answers, once durable. Commits run on the outbox's own thread; readers are woken by what it publishes.
//!
//! Invariant: it has no state of its own. What the outbox says is durable is durable.

pub mod outbox;
pub mod redis;
pub mod snapshot;
pub mod source;
pub mod state;

use std::sync::Arc;

use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use evenkeel_core::journal::Recovered;

use self::outbox::{OutboxHandle, Trim};
use crate::{
    clock::unix_ms,
    health::ActorHealth,
    messages::{Append, AppendError, Applied, Recover},
};

/// See the module.
pub struct Journal {
    outbox: OutboxHandle,
    health: ActorHealth,
}

impl Journal {
    /// A journal over an open outbox.
    pub fn new(outbox: OutboxHandle, health: ActorHealth) -> Self {
        Self { outbox, health }
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
        let committed = self.outbox.commit(commit);
        Box::pin(async move {
            committed.await.map_err(|error| AppendError::Refused(Arc::new(error)))?;
            Ok(())
        })
    }
}

impl Handler<Recover> for Journal {
    type Result = ResponseFuture<Result<Arc<Recovered>, AppendError>>;

    fn handle(&mut self, _: Recover, _context: &mut Self::Context) -> Self::Result {
        let recovered = self.outbox.recover();
        Box::pin(async move { Ok(Arc::new(recovered.await?)) })
    }
}

impl Handler<Applied> for Journal {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Applied(positions): Applied, _context: &mut Self::Context) -> Self::Result {
        let trimmed = self.outbox.trim_all(Trim { now_ms: unix_ms(), applied: positions });
        Box::pin(async move {
            // What is left then is removed after the next snapshot.
            if let Err(cause) = trimmed.await {
                tracing::warn!(%cause, "old entries were not trimmed: it is tried again after the next snapshot");
            }
        })
    }
}

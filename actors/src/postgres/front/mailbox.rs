//! What a session is told by others: the journal, the queue, another connection, the process.

use std::{collections::BTreeMap, sync::Arc};

use evenkeel_core::{
    postgres::{replies::Refusal, startup::CancelKey},
    units::ids::ExecutionId,
};
use tokio::{sync::mpsc, time::Instant};

use super::parking::Mutex;

/// One thing that a session is told.
#[derive(Clone, Debug)]
pub(crate) enum Tell {
    /// All up to this ticket is durable.
    Recorded(u64),
    /// What waits for its record will have none.
    Refused(Refusal),
    /// What it holds may be sent.
    Released(ExecutionId),
    /// All that was sent before what it holds is recorded: it may leave, at the latest after so many ms.
    MayLeave(ExecutionId, u64),
    /// What it holds will not be queued.
    GiveUp(ExecutionId, Refusal),
    /// Its client asks to cancel what runs.
    Cancel,
    /// The server has taken the cancel.
    Canceled,
    /// The process ends: at once where nothing is under way, at the latest then.
    Drain(Instant),
}

/// The way to a session.
pub(crate) type Mailbox = mpsc::UnboundedSender<Tell>;

/// Sessions by the key that opens their cancel.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancels(Arc<Mutex<BTreeMap<CancelKey, Mailbox>>>);

impl Cancels {
    pub(super) fn insert(&self, key: CancelKey, session: Mailbox) {
        self.0.lock().insert(key, session);
    }

    pub(super) fn remove(&self, key: &CancelKey) {
        self.0.lock().remove(key);
    }

    /// Tells the session, where there is one. A wrong key is answered by nothing, as PostgreSQL does.
    pub(super) fn cancel(&self, key: &CancelKey) {
        if let Some(session) = self.0.lock().get(key) {
            let _ = session.send(Tell::Cancel);
        }
    }
}

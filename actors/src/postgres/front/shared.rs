//! What the sessions of a thread share.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use evenkeel_core::{
    postgres::session::{Classify, Recording},
    server::queue::Arrival,
    units::ids::ExecutionId,
};
use tokio::{sync::watch, time::sleep};

use super::{Cancels, Counts, FrontSettings, Mailbox, MakeUnderstand, Ports, Tell};
use crate::{
    clock::unix_ms,
    messages::{Admit, DropRefused, DropWaiting},
    postgres::{
        desk::{Desk, Held},
        pacing::Tells,
        recorder::Recorder,
        upstream::Upstream,
    },
    server::{daemon::ExecutionIds, queue::QueueView},
    supervise::port::Port,
};

/// Between two tries to have something given up that has not come to the queue yet, or while that is being restored:
/// well within a tick, after which it may be let go.
const RETRY: Duration = Duration::from_millis(20);
/// What a tick has released is told to its session at once; so much later somebody has failed on it.
const TELLS_WITHIN: Duration = Duration::from_secs(1);
/// Tries: the queue is restored within seconds, or everything stands still.
const TRIES: usize = 250;

/// Who says classes, as of now.
pub type Classes = Arc<dyn Classify + Send + Sync>;

/// See the module.
pub(super) struct Shared {
    pub(super) settings: Arc<FrontSettings>,
    pub(super) upstream: Upstream,
    pub(super) cancels: Cancels,
    pub(super) queue: watch::Receiver<QueueView>,
    pub(super) classes: watch::Receiver<Classes>,
    pub(super) understand: MakeUnderstand,
    pub(super) ids: RefCell<ExecutionIds>,
    pub(super) recorder: Recorder,
    pub(super) desk: Desk,
    /// Whoever times what is held.
    pub(super) tells: Tells,
    pub(super) admit: Port<Admit>,
    pub(super) drop_waiting: Port<DropWaiting>,
    pub(super) counts: Arc<Counts>,
    /// This thread's sessions.
    pub(super) sessions: RefCell<BTreeMap<u64, Mailbox>>,
}

impl Shared {
    pub(super) fn new(
        settings: Arc<FrontSettings>,
        upstream: Upstream,
        ports: Ports,
        cancels: Cancels,
        recorder: Recorder,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            settings,
            upstream,
            cancels,
            queue: ports.queue,
            classes: ports.classes,
            understand: ports.understand,
            ids: ExecutionIds::default().into(),
            recorder,
            desk: ports.desk,
            tells: ports.tells,
            admit: ports.admit,
            drop_waiting: ports.drop_waiting,
            counts,
            sessions: RefCell::default(),
        }
    }

    /// A session begins; what it is known by here.
    pub(super) fn enter(&self, session: Mailbox) -> u64 {
        let mut sessions = self.sessions.borrow_mut();
        let number = sessions.last_key_value().map_or(0, |(last, _)| last + 1);
        sessions.insert(number, session);
        number
    }

    /// Whether sessions wait before they take more: too much has no record yet, or what nobody waits for comes too late.
    pub(super) fn is_behind(&self) -> bool {
        let waits_for_none = self.settings.recording == Recording::Async;
        self.recorder.is_behind() || waits_for_none && self.recorder.is_late()
    }

    pub(super) fn count_unrecorded(&self, statements: u64) {
        self.counts.unrecorded.fetch_add(statements, Ordering::Relaxed);
    }

    pub(super) fn count_too_long(&self) {
        self.counts.too_long.fetch_add(1, Ordering::Relaxed);
    }

    /// Has the queue let go now what waits in it.
    pub(super) fn release_now(&self, held: Held, session: Mailbox) {
        self.desk.keep_back(held.execution);
        let Held { execution, query, statement, .. } = held;
        let reason = Some("its class' or its session's longest hold was over".to_owned());
        let arrival = Arrival { execution, query, statement: Some(statement), reason };
        let admitted =
            self.admit.send(Admit { at_ms: unix_ms(), arrivals: vec![arrival], texts: Vec::new() });
        let desk = self.desk.clone();
        tokio::task::spawn_local(async move {
            let Ok(Ok(admitted)) = admitted.await else { return };
            // A tick has released it, and tells the session itself; only an answer that was lost leaves that to us.
            let ours = admitted.iter().any(|row| row.execution == execution);
            if !ours {
                sleep(TELLS_WITHIN).await;
            }
            let told = desk.told(execution) && session.send(Tell::Released(execution)).is_ok();
            if ours && !told {
                desk.not_sent(execution);
            }
        });
    }

    /// Has the queue give up what waits in it.
    pub(super) fn dropped(&self, execution: ExecutionId) {
        // What waits for the next tick to come to the queue comes there, so that its end is recorded, too.
        self.desk.told(execution);
        let queue = self.drop_waiting.clone();
        tokio::task::spawn_local(async move {
            for _ in 0..TRIES {
                match queue.send(DropWaiting { at_ms: unix_ms(), execution }).await {
                    Ok(Ok(())) => return,
                    // It is on its way to the queue, or was let go just now; then the desk tells how it ended.
                    Ok(Err(DropRefused::Invalid(_) | DropRefused::Lost(_))) | Err(_) => {}
                    Ok(Err(DropRefused::NotRecorded(cause))) => tracing::debug!(%cause, "it is tried again"),
                }
                sleep(RETRY).await;
            }
        });
    }
}

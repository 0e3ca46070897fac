//! The client's half: reads the journal, learns costs, chooses slots.

use std::sync::Arc;

use actix::Arbiter;
use evenkeel_actors::{
    leveller::{
        acceptance::Acceptance,
        consumer::{self, Consumer, Role, Unsaved},
        estimator::Estimator,
        scheduler::{self, LastDecision, Scheduler},
    },
    messages::{Applied, Control, SaveState},
    ports::{lease::LeaseEpoch, source::Source, state_store::LeasedStates},
    supervise::{health::ActorName, port::Port},
};
use evenkeel_core::{scheduler::PolicyName, server::queue::HoldSettings, units::lengths::Lengths};
use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;

use super::{
    degraded::Gatherer,
    process::{Process, Work},
    settings::Levelling,
    starter::{Started, Starter},
};
use crate::http::{ClientSlice, ClientViews, Degraded, Slice};

/// Messages that wait for an actor, which are answered one by one.
const MAILBOX: usize = 16;

/// See the module.
pub(super) struct ClientHalf {
    pub(super) decision: watch::Receiver<LastDecision>,
    pub(super) role: watch::Receiver<Role>,
    pub(super) acceptance: watch::Receiver<Acceptance>,
    pub(super) unsaved: watch::Receiver<Unsaved>,
    consumer: Started<Consumer>,
    arbiter: Arbiter,
}

/// Where the half is connected: to the other half in the same process, or over the network.
pub(super) struct Ports {
    /// As the server knows it.
    pub(super) client: String,
    pub(super) epoch: LeaseEpoch,
    /// Of the database, until the source tells other ones.
    pub(super) lengths: Lengths,
    pub(super) source: Box<dyn Source + Send>,
    pub(super) states: Box<dyn LeasedStates>,
    pub(super) control: Port<Control>,
    /// How slots are chosen, as far as control allows.
    pub(super) policy: PolicyName,
    /// Told what may be trimmed, where the journal is in this process.
    pub(super) applied: Option<Port<Applied>>,
}

impl ClientHalf {
    pub(super) fn start(
        Levelling { delay_budget }: Levelling,
        limits: HoldSettings,
        ports: Ports,
        arbiter: Arbiter,
        starter: &mut Starter,
    ) -> Self {
        let Ports { client, epoch, lengths, source, states, control, policy, applied } = ports;
        let (decision_sender, decision) = watch::channel(None);
        let (acceptance_sender, acceptance) = watch::channel(Acceptance::default());
        let (role_sender, role) = watch::channel(Role::default());
        let (unsaved_sender, unsaved) = watch::channel(None);
        let settings = scheduler::Settings { client, epoch, policy, lengths, limits, delay_budget };
        let scheduler = starter.start(ActorName::Scheduler, &arbiter, MAILBOX, move |health| {
            Scheduler::new(settings, control, health, decision_sender, acceptance_sender)
        });
        let learned = scheduler.port();
        let estimator = starter
            .start(ActorName::Estimator, &arbiter, MAILBOX, move |health| Estimator::new(learned, health));
        let ports = consumer::Ports {
            estimator: estimator.port(),
            estimator_state: estimator.port(),
            restore_estimator: estimator.port(),
            scheduler_state: scheduler.port(),
            restore_scheduler: scheduler.port(),
            hand_over: scheduler.port(),
            acceptance: acceptance.clone(),
            journal: applied,
        };
        let consumer = starter.start(ActorName::Consumer, &arbiter, MAILBOX, move |health| {
            Consumer::new(ports, source, states, health, role_sender, unsaved_sender)
        });
        Self { decision, role, acceptance, unsaved, consumer, arbiter }
    }
}

impl Work for ClientHalf {
    /// Leaves what waits to the server, saves the state, and gives up the right to level.
    fn drain(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(async {
            // A consumer that is away has saved before, at the latest 5 s ago.
            let _ = self.consumer.send(SaveState).await;
            self.arbiter.stop();
        })
    }
}

/// What a client's half is asked where no server's half is in the same process.
pub(super) struct Alone {
    pub(super) views: ClientViews,
    unsaved: watch::Receiver<Unsaved>,
    gatherer: Gatherer,
    degraded: watch::Sender<Degraded>,
}

impl Alone {
    /// Of `client` in `process`; `outside` is what a server that is watched from outside does not do as it should.
    pub(super) fn new(
        client: &ClientHalf,
        outside: watch::Receiver<Option<String>>,
        process: &Process,
    ) -> Self {
        let (degraded, degraded_reader) = watch::channel(Vec::new());
        let views = ClientViews {
            access: Arc::clone(&process.access),
            actors: process.starter.actors.clone(),
            role: client.role.clone(),
            decision: client.decision.clone(),
            degraded: degraded_reader,
            acceptance: client.acceptance.clone(),
            outside,
        };
        Self { views, unsaved: client.unsaved.clone(), gatherer: Gatherer::default(), degraded }
    }
}

impl Work for Alone {
    fn slices(&self) -> Vec<Arc<dyn Slice>> {
        vec![Arc::new(ClientSlice(self.views.clone()))]
    }

    fn each_second(&mut self) {
        let found = self.gatherer.client(&self.views, &self.unsaved.borrow());
        self.degraded.send_replace(found);
    }
}

//! Starts guarded actors, and keeps what tells how they are.

use std::ops::Deref;

use actix::{Actor, Addr, Arbiter, Handler, Message, dev::ToEnvelope};
use evenkeel_actors::supervise::{
    guard::{self, GaveUp, Guarding, RestartPolicy},
    health::{ActorHealth, ActorName, Roster},
    port::Port,
};
use tokio::sync::mpsc;

/// See the module.
pub(super) struct Starter {
    guarding: Guarding,
    pub(super) actors: Roster,
}

impl Starter {
    /// A starter, and where actors are named that failed too often.
    pub(super) fn new() -> (Self, mpsc::Receiver<GaveUp>) {
        let (sender, gave_up) = mpsc::channel(ActorName::ALL.len());
        let guarding = Guarding { policy: RestartPolicy::default(), gave_up: sender };
        (Self { guarding, actors: Roster::default() }, gave_up)
    }

    pub(super) fn start<A>(
        &mut self,
        name: ActorName,
        arbiter: &Arbiter,
        mailbox: usize,
        make: impl FnOnce(ActorHealth) -> A + Send + 'static,
    ) -> Started<A>
    where
        A: Actor<Context = actix::Context<A>> + actix::Supervised,
    {
        let health = ActorHealth::new(name);
        self.actors.add(health.clone());
        let own = health.clone();
        let guarded = health.clone();
        let address =
            guard::start(&arbiter.handle(), mailbox, guarded, self.guarding.clone(), move |_context| {
                make(own)
            });
        Started { address, health }
    }
}

/// An actor that has been started.
pub(super) struct Started<A: Actor> {
    address: Addr<A>,
    health: ActorHealth,
}

impl<A: Actor> Started<A> {
    /// The way to it for one kind of message.
    pub(super) fn port<M>(&self) -> Port<M>
    where
        M: Message<Result: Send> + Send + 'static,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        Port::new(self.address.clone().recipient(), self.health.clone())
    }
}

impl<A: Actor> Deref for Started<A> {
    type Target = Addr<A>;

    fn deref(&self) -> &Addr<A> {
        &self.address
    }
}

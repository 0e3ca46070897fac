//! Starts guarded actors, and keeps what tells how they are.

use actix::{Addr, Arbiter};
use evenkeel_actors::{
    guard::{self, GaveUp, Guarding, RestartPolicy},
    health::{ActorHealth, ActorName},
};
use tokio::sync::mpsc;

/// See the module.
pub(super) struct Starter {
    guarding: Guarding,
    pub(super) actors: Vec<ActorHealth>,
}

impl Starter {
    /// A starter, and where actors are named that failed too often.
    pub(super) fn new() -> (Self, mpsc::Receiver<GaveUp>) {
        let (sender, gave_up) = mpsc::channel(ActorName::ALL.len());
        let guarding = Guarding { policy: RestartPolicy::default(), gave_up: sender };
        (Self { guarding, actors: Vec::new() }, gave_up)
    }

    pub(super) fn start<A>(
        &mut self,
        name: ActorName,
        arbiter: &Arbiter,
        mailbox: usize,
        make: impl FnOnce(ActorHealth) -> A + Send + 'static,
    ) -> Addr<A>
    where
        A: actix::Actor<Context = actix::Context<A>> + actix::Supervised,
    {
        let health = ActorHealth::new(name);
        self.actors.push(health.clone());
        let own = health.clone();
        guard::start(&arbiter.handle(), mailbox, health, self.guarding.clone(), move |_context| make(own))
    }
}

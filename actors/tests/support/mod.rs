//! What tests of running actors share.

use actix::{Actor, Addr, Arbiter, Context, Supervised};
use evenkeel_actors::supervise::{
    guard::{self, Guarding},
    health::{ActorHealth, ActorName},
};

/// Starts a guarded actor on the test's arbiter; its health goes to `health`, too.
pub(crate) fn start<A>(
    health: &mut Vec<ActorHealth>,
    guarding: &Guarding,
    name: ActorName,
    make: impl FnOnce(ActorHealth) -> A + Send + 'static,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    let own = ActorHealth::new(name);
    health.push(own.clone());
    guard::start(&Arbiter::current(), 16, own.clone(), guarding.clone(), move |_| make(own))
}

//! The slice of a client of its own: how it is.

use std::sync::Arc;

use evenkeel_actors::{
    leveller::{acceptance::Acceptance, consumer::Role, scheduler::LastDecision},
    supervise::health::Roster,
};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::watch;

use super::{
    Access,
    degraded::Degraded,
    health, metrics,
    routes::Routes,
    slice::{Readiness, Slice},
};

/// What it answers from.
#[derive(Clone)]
pub struct ClientViews {
    /// Who may ask.
    pub access: Arc<Access>,
    /// All actors.
    pub actors: Roster,
    /// What this client is to the database.
    pub role: watch::Receiver<Role>,
    /// What it decided last.
    pub decision: watch::Receiver<LastDecision>,
    /// What works less well than it should, and does not make it unready.
    pub degraded: watch::Receiver<Degraded>,
    /// How the server takes what is decided.
    pub acceptance: watch::Receiver<Acceptance>,
    /// What a server that is watched from outside does not do as it should.
    pub outside: watch::Receiver<Option<String>>,
}

impl ClientViews {
    /// Why what this client decides has no effect, when it levels.
    pub(crate) fn trouble(&self) -> Option<String> {
        let outside = self.outside.borrow().clone();
        outside.or_else(|| self.acceptance.borrow().trouble())
    }
}

/// See the module.
pub(crate) struct ClientSlice(pub(crate) ClientViews);

impl Slice for ClientSlice {
    /// None of its own: other processes ask the server.
    fn routes(&self, _routes: &mut Routes<'_>) {}

    fn metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(metrics::ClientNumbers(self.0.clone())));
    }

    /// Whoever stands by is ready: it does what it is there for. Whoever levels is while its decisions are taken.
    fn readiness(&self, readiness: &mut Readiness) {
        let Self(views) = self;
        let Readiness { reasons, degraded, says } = readiness;
        reasons.extend(views.actors.all().iter().filter_map(health::trouble));
        degraded.extend(views.degraded.borrow().iter().cloned());
        let mut say = |name: &str, value| says.insert(name.to_owned(), value);
        match views.role.borrow().clone() {
            Role::StandingBy { holder } => {
                say("role", json!("standing by"));
                say("holder", json!(holder));
            }
            Role::Levelling => {
                reasons.extend(views.trouble());
                let decided = views.decision.borrow().as_ref().map(|decision| decision.tick);
                say("role", json!("levelling"));
                say("decided_tick", json!(decided));
            }
            Role::Restoring => reasons.push("the client's state is being read".to_owned()),
            Role::GaveUp { cause } => {
                reasons.push(format!("it gave up levelling for another client to do it: {cause}"));
            }
            Role::Waiting { cause } => reasons.push(cause),
        }
    }
}

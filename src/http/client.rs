//! What a client of its own answers: how it is.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use evenkeel_actors::{
    leveller::{acceptance::Acceptance, consumer::Role, scheduler::LastDecision},
    supervise::health::ActorHealth,
};
use serde_json::json;
use tokio::sync::watch;

use super::{
    Access,
    degraded::{Degraded, sentences},
    health,
    problem::Problem,
};

/// What the handlers answer from.
#[derive(Clone)]
pub struct ClientViews {
    /// Who may ask.
    pub access: Arc<Access>,
    /// All actors.
    pub actors: Vec<ActorHealth>,
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

/// Whoever stands by is ready: it does what it is there for. Whoever levels is while its decisions are taken.
pub(super) async fn readyz(views: web::Data<ClientViews>) -> Result<HttpResponse, Problem> {
    let mut reasons: Vec<_> = views.actors.iter().filter_map(health::trouble).collect();
    let degraded = sentences(&views.degraded.borrow());
    let decided = views.decision.borrow().as_ref().map(|decision| decision.tick);
    let mut ready = json!({});
    match views.role.borrow().clone() {
        Role::StandingBy { holder } => {
            ready = json!({"status": "ready", "role": "standing by", "holder": holder, "degraded": degraded});
        }
        Role::Levelling => {
            reasons.extend(views.trouble());
            ready = json!({"status": "ready", "role": "levelling", "decided_tick": decided, "degraded": degraded});
        }
        Role::Restoring => reasons.push("the client's state is being read".to_owned()),
        Role::GaveUp { cause } => {
            reasons.push(format!("it gave up levelling for another client to do it: {cause}"));
        }
        Role::Waiting { cause } => reasons.push(cause),
    }
    if reasons.is_empty() {
        return Ok(HttpResponse::Ok().json(ready));
    }
    Err(Problem::unavailable(reasons.join("; ")).with_reasons(&reasons))
}

//! What a client of its own answers: how it is.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use evenkeel_actors::{consumer::Role, health::ActorHealth, scheduler::LastDecision};
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
}

/// Whoever stands by is ready: it does what it is there for.
pub(super) async fn readyz(views: web::Data<ClientViews>) -> Result<HttpResponse, Problem> {
    let reasons: Vec<_> = views.actors.iter().filter_map(health::trouble).collect();
    let role = views.role.borrow().clone();
    let degraded = sentences(&views.degraded.borrow());
    if !reasons.is_empty() {
        return Err(Problem::unavailable(reasons.join("; ")).with_reasons(&reasons));
    }
    let decided = views.decision.borrow().as_ref().map(|decision| decision.tick);
    match role {
        Role::Restoring => {
            let reason = "the client's state is being read from Redis".to_owned();
            Err(Problem::unavailable(&reason).with_reasons(&[reason]))
        }
        Role::Waiting { cause } => Err(Problem::unavailable(&cause).with_reasons(&[cause])),
        Role::StandingBy { holder } => Ok(HttpResponse::Ok()
            .json(json!({"status": "ready", "role": "standing by", "holder": holder,
                "degraded": degraded}))),
        Role::Levelling => Ok(HttpResponse::Ok().json(
            json!({"status": "ready", "role": "levelling", "decided_tick": decided, "degraded": degraded}),
        )),
    }
}

//! `/healthz`: the process answers. `/readyz`: it does its work, or says what keeps it from that.

use actix_web::{HttpResponse, web};
use evenkeel_actors::supervise::health::{ActorHealth, ActorName, ActorState};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Views, degraded,
    problem::Problem,
    slice::{Readiness, Slices},
    v1::LeaseView,
};

/// Thirty ticks at the default pace: three windows without a word.
const SILENT_MS_MAX: u64 = 3_000;

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(super) struct Alive {
    /// `ok`.
    status: &'static str,
}

/// The process does its work.
#[derive(Serialize)]
struct ReadyNow {
    status: &'static str,
    degraded: Vec<String>,
    /// What its slices add.
    #[serde(flatten)]
    says: Map<String, Value>,
}

/// The server does its work.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what the server's slices make of `ReadyNow`")]
pub(super) struct Ready {
    /// `ready`.
    status: &'static str,
    /// What works less well than it should, in sentences.
    degraded: Vec<String>,
    /// Who levels, or did last.
    lease: Option<LeaseView>,
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "status", responses((status = 200, body = Alive)))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "ok" })
}

/// Whether the server does its work, and what keeps it from that.
#[utoipa::path(get, path = "/readyz", tag = "status", responses((status = 200, body = Ready),
    (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn readyz(slices: web::Data<Slices>) -> Result<HttpResponse, Problem> {
    let Readiness { reasons, degraded, says } = slices.readiness();
    let degraded = degraded::sentences(&degraded);
    if reasons.is_empty() {
        return Ok(HttpResponse::Ok().json(ReadyNow { status: "ready", degraded, says }));
    }
    Err(Problem::unavailable(reasons.join("; ")).with_reasons(&reasons).with_degraded(&degraded))
}

/// What keeps the server's half from its work.
pub(super) fn not_ready(views: &Views) -> Vec<String> {
    let mut reasons = Vec::new();
    if *views.draining.borrow() {
        reasons.push("draining: the process is about to end".to_owned());
    }
    reasons.extend(views.actors.all().iter().filter_map(server_trouble));
    let pace = *views.pace.borrow();
    if pace.stalled {
        reasons.push("no tick can be recorded: the outbox does not take it".to_owned());
    }
    match pace.last {
        None => reasons.push("recovering: no tick has run yet".to_owned()),
        Some(last) => {
            let age_ms = last.done_at.elapsed().as_millis() as u64;
            if age_ms > SILENT_MS_MAX {
                reasons.push(format!("the last tick, {}, is {age_ms} ms old", last.tick));
            }
        }
    }
    reasons
}

/// The client's half may recover without harm to the server's.
fn server_trouble(actor: &ActorHealth) -> Option<String> {
    let name = actor.name().name();
    let server = ActorName::SERVER.contains(&actor.name());
    match actor.state() {
        ActorState::Starting | ActorState::Recovering if server => Some(format!("the {name} is recovering")),
        ActorState::BackingOff if server => Some(format!("the {name} failed and is about to start again")),
        _ => trouble(actor),
    }
}

/// What no actor may be.
pub(super) fn trouble(actor: &ActorHealth) -> Option<String> {
    let name = actor.name().name();
    match actor.state() {
        ActorState::GaveUp => Some(format!("the {name} failed too often and was given up")),
        _ if actor.silent_ms() > SILENT_MS_MAX => {
            Some(format!("the {name} has been blocked for {} ms", actor.silent_ms()))
        }
        _ => None,
    }
}

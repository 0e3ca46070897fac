//! `GET /api/v1/actors`: how each of them is.

use actix_web::web;
use evenkeel_actors::supervise::health::ActorHealth;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{
    Views,
    fields::{NoParameters, Query},
};

/// All actors of this process.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Actors {
    actors: Vec<Actor>,
}

/// One actor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Actor {
    name: &'static str,
    /// `starting`, `running`, `recovering`, `backing off` or `gave up`.
    state: &'static str,
    /// Failures after which it was started again.
    restarts: u64,
    /// Time since its thread last looked after it; much of it means that the thread is blocked.
    silent_ms: u64,
    /// Messages that were sent to it and have not been answered.
    mailbox: u64,
}

impl From<&ActorHealth> for Actor {
    fn from(health: &ActorHealth) -> Self {
        Self {
            name: health.name().name(),
            state: health.state().name(),
            restarts: health.restarts(),
            silent_ms: health.silent_ms(),
            mailbox: health.unanswered(),
        }
    }
}

/// How each actor is.
#[utoipa::path(get, path = "/api/v1/actors", tag = "status", responses((status = 200, body = Actors)))]
pub(super) async fn actors(views: web::Data<Views>, _: Query<NoParameters>) -> web::Json<Actors> {
    web::Json(Actors { actors: views.actors.all().iter().map(Into::into).collect() })
}

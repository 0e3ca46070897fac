//! The three endpoints that existing servers and clients speak, kept as they are.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use evenkeel_actors::{
    messages::{AppendError, Delay, DelayRefused},
    queue::QueueSnapshot,
};
use evenkeel_core::{
    ids::{ExecutionId, QueryId},
    queue::DelayError,
    resource::PerResource,
    window::Extent,
};
use serde::{Deserialize, Serialize};

use super::{DELAY_BYTES_MAX, Views, problem::Problem};

#[derive(Serialize)]
struct QueuedItem {
    query: WithId<QueryId>,
    execution: PlannedExecution,
}

#[derive(Serialize)]
struct WithId<T> {
    id: T,
}

#[derive(Serialize)]
struct PlannedExecution {
    id: ExecutionId,
    /// When it will run, Unix ms.
    timestamp: u64,
}

/// `GET /queued`: what waits; 204 when nothing does.
pub(super) async fn queued(views: web::Data<Views>) -> Result<HttpResponse, Problem> {
    let snapshot = views.queue.borrow().clone();
    let snapshot: Arc<QueueSnapshot> = snapshot.ok_or_else(recovering)?;
    if snapshot.waiting.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let items: Vec<_> = snapshot
        .waiting
        .iter()
        .map(|waiting| QueuedItem {
            query: WithId { id: waiting.query },
            execution: PlannedExecution { id: waiting.execution, timestamp: waiting.planned_ms },
        })
        .collect();
    Ok(HttpResponse::Ok().json(items))
}

#[derive(Serialize)]
struct Resources {
    #[serde(flatten)]
    usage: PerResource<Extent>,
    /// When the window closed, Unix ms.
    timestamp: u64,
}

/// `GET /resources`: the last closed window; zeros with the start's timestamp before the first.
pub(super) async fn resources(views: web::Data<Views>) -> HttpResponse {
    let resources = match views.window.borrow().as_deref() {
        Some(closed) => Resources { usage: closed.window.usage, timestamp: closed.closed_at_ms },
        None => Resources { usage: PerResource::default(), timestamp: views.started_ms },
    };
    HttpResponse::Ok().json(resources)
}

/// Unknown fields are ignored, as existing servers do.
#[derive(Deserialize)]
struct DelayBody {
    id: ExecutionId,
    delay: u64,
}

/// `POST /delay`: adds ticks to an execution's base due tick; JSON whatever the content type says.
pub(super) async fn delay(
    views: web::Data<Views>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, DELAY_BYTES_MAX))?;
    let DelayBody { id, delay } = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not {{\"id\": uuid of a queued execution, \"delay\": ticks as an integer}}: {error}"
        ))
    })?;
    match views.delay.send(Delay { execution: id, ticks: delay }).await {
        Err(_) => Err(Problem::outcome_unknown()),
        Ok(Ok(())) => Ok(HttpResponse::Ok().finish()),
        Ok(Err(refused)) => Err(delay_refused(&refused)),
    }
}

fn delay_refused(refused: &DelayRefused) -> Problem {
    match refused {
        DelayRefused::Lost(lost) => Problem::unavailable(lost),
        DelayRefused::Invalid(error @ DelayError::NotQueued(_)) => Problem::not_found(error),
        DelayRefused::Invalid(error @ DelayError::OutOfRange(_)) => Problem::bad_request(error),
        DelayRefused::NotRecorded(AppendError::Unknown) => Problem::outcome_unknown(),
        DelayRefused::NotRecorded(error) => Problem::unavailable(error),
    }
}

fn recovering() -> Problem {
    Problem::unavailable(evenkeel_actors::messages::Lost)
}

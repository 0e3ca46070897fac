//! The three endpoints that existing servers and clients speak, kept as they are.

use std::{cell::RefCell, sync::Arc};

use actix_web::{HttpResponse, web};
use evenkeel_actors::{
    messages::{AppendError, Delay, DelayRefused},
    monitor::ClosedWindow,
    queue::QueueSnapshot,
};
use evenkeel_core::{ids::ExecutionId, queue::DelayError, resource::PerResource, window::Extent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{DELAY_BYTES_MAX, Views, integers, problem::Problem};

#[derive(Serialize, ToSchema)]
pub(super) struct QueuedItem {
    query: WithId,
    execution: PlannedExecution,
}

#[derive(Serialize, ToSchema)]
struct WithId {
    id: Uuid,
}

#[derive(Serialize, ToSchema)]
struct PlannedExecution {
    id: Uuid,
    /// When it will run, Unix ms.
    timestamp: u64,
}

/// The last bodies: they are asked for more often than they change. One of these a thread, so nobody waits.
#[derive(Default)]
pub(super) struct Rendered {
    queue: Last<QueueSnapshot>,
    window: Last<ClosedWindow>,
}

/// What was rendered last, and what of.
struct Last<T>(RefCell<Option<(Arc<T>, web::Bytes)>>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Last<T> {
    fn of(&self, value: &Arc<T>, render: impl FnOnce(&T) -> Vec<u8>) -> web::Bytes {
        let mut last = self.0.borrow_mut();
        match &*last {
            Some((of, body)) if Arc::ptr_eq(of, value) => body.clone(),
            _ => {
                let body = web::Bytes::from(render(value));
                *last = Some((Arc::clone(value), body.clone()));
                body
            }
        }
    }
}

fn render(snapshot: &QueueSnapshot) -> Vec<u8> {
    let items = snapshot.waiting.iter().map(|waiting| QueuedItem {
        query: WithId { id: waiting.query.0 },
        execution: PlannedExecution { id: waiting.execution.0, timestamp: waiting.planned_ms },
    });
    serde_json::to_vec(&items.collect::<Vec<_>>()).unwrap_or_default()
}

/// What waits; 204 when nothing does.
#[utoipa::path(get, path = "/queued", tag = "wire", responses((status = 200, body = Vec<QueuedItem>),
    (status = 204, description = "nothing waits"), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn queued(
    views: web::Data<Views>,
    rendered: web::Data<Rendered>,
) -> Result<HttpResponse, Problem> {
    let snapshot = views.queue.borrow().clone();
    let snapshot: Arc<QueueSnapshot> = snapshot.ok_or_else(recovering)?;
    if snapshot.waiting.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(HttpResponse::Ok().content_type("application/json").body(rendered.queue.of(&snapshot, render)))
}

/// Resource units a tick, truncated to integers.
#[derive(Serialize, ToSchema)]
struct WireExtent {
    average: u64,
    min: u64,
    max: u64,
}

impl From<Extent> for WireExtent {
    fn from(Extent { average, min, max }: Extent) -> Self {
        Self { average, min, max }
    }
}

/// A closed window.
#[derive(Serialize, ToSchema)]
pub(super) struct Resources {
    cpu: WireExtent,
    io: WireExtent,
    memory: WireExtent,
    /// When the window closed, Unix ms.
    timestamp: u64,
}

impl Resources {
    fn new(usage: PerResource<Extent>, timestamp: u64) -> Self {
        Self { cpu: usage.cpu.into(), io: usage.io.into(), memory: usage.memory.into(), timestamp }
    }
}

/// The last closed window; zeros with the start's timestamp before the first.
#[utoipa::path(get, path = "/resources", tag = "wire", responses((status = 200, body = Resources)))]
pub(super) async fn resources(views: web::Data<Views>, rendered: web::Data<Rendered>) -> HttpResponse {
    let window = views.window.borrow().clone();
    let Some(window) = window else {
        return HttpResponse::Ok().json(Resources::new(PerResource::default(), views.about.started_ms));
    };
    let render = |closed: &ClosedWindow| {
        let resources = Resources::new(closed.window.usage, closed.closed_at_ms);
        serde_json::to_vec(&resources).unwrap_or_default()
    };
    HttpResponse::Ok().content_type("application/json").body(rendered.window.of(&window, render))
}

/// Unknown fields are ignored, as existing servers do.
#[derive(Deserialize, ToSchema)]
pub(super) struct DelayBody {
    /// A queued execution.
    id: Uuid,
    /// Ticks, 1 to 864,000.
    #[schema(minimum = 1, maximum = 864_000)]
    delay: u64,
}

/// Adds ticks to an execution's base due tick; JSON whatever the content type says.
#[utoipa::path(post, path = "/delay", tag = "wire", request_body = DelayBody,
    responses((status = 200, description = "durable"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn delay(
    views: web::Data<Views>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, DELAY_BYTES_MAX))?;
    let DelayBody { id, delay } = integers::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not {{\"id\": uuid of a queued execution, \"delay\": ticks as an integer}}: {error}"
        ))
    })?;
    match views.delay.send(Delay { execution: ExecutionId(id), ticks: delay }).await {
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

//! The three endpoints that existing servers and clients speak, kept as they are.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CONTENT_ENCODING, ContentEncoding},
    web,
};
use evenkeel_actors::{
    messages::{AppendError, Delay, DelayRefused},
    server::{monitor::ClosedWindow, queue::QueueSnapshot},
};
use evenkeel_core::{
    server::queue::{DELAY_TICKS_MAX, DelayError},
    units::{ids::ExecutionId, resource::PerResource, window::Extent},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    DELAY_BYTES_MAX, Views,
    access::{Principal, Tenant},
    answers,
    fields::{Body, Field, Kind},
    problem::Problem,
};

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

/// What was rendered last for each tenant, and what of.
struct Last<T>(RefCell<BTreeMap<Tenant, (Arc<T>, Text)>>);

/// A body, and what it is compressed, once somebody has asked for that.
#[derive(Clone)]
struct Text {
    plain: web::Bytes,
    gzip: OnceCell<web::Bytes>,
}

impl Text {
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::Ok();
        answer.content_type("application/json");
        if self.plain.len() < answers::COMPRESSED_FROM || !answers::takes_gzip(request) {
            return answer.body(self.plain.clone());
        }
        answer.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip.as_str()));
        answer.body(self.gzip.get_or_init(|| answers::gzip(&self.plain)).clone())
    }
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Last<T> {
    fn answer(
        &self,
        tenant: Tenant,
        request: &HttpRequest,
        value: &Arc<T>,
        render: impl FnOnce(&T) -> Vec<u8>,
    ) -> HttpResponse {
        let new = || {
            let text = Text { plain: web::Bytes::from(render(value)), gzip: OnceCell::new() };
            (Arc::clone(value), text)
        };
        let mut last = self.0.borrow_mut();
        let (_, text) = match last.entry(tenant) {
            Entry::Occupied(known) if Arc::ptr_eq(&known.get().0, value) => known.into_mut(),
            Entry::Occupied(mut old) => {
                old.insert(new());
                old.into_mut()
            }
            Entry::Vacant(first) => first.insert(new()),
        };
        text.answer(request)
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
    principal: Principal,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let snapshot = views.queue.borrow().clone();
    let snapshot: Arc<QueueSnapshot> = snapshot.ok_or_else(recovering)?;
    if snapshot.waiting.is_empty() {
        return Ok(HttpResponse::NoContent().finish());
    }
    Ok(rendered.queue.answer(principal.tenant, &request, &snapshot, render))
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
pub(super) async fn resources(
    views: web::Data<Views>,
    rendered: web::Data<Rendered>,
    principal: Principal,
    request: HttpRequest,
) -> HttpResponse {
    let window = views.window.borrow().clone();
    let Some(window) = window else {
        return HttpResponse::Ok().json(Resources::new(PerResource::default(), views.about.started_ms));
    };
    let render = |closed: &ClosedWindow| {
        let resources = Resources::new(closed.window.usage, closed.closed_at_ms);
        serde_json::to_vec(&resources).unwrap_or_default()
    };
    rendered.window.answer(principal.tenant, &request, &window, render)
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

/// The same, for what is told about a body that is none.
const DELAY: Body = Body {
    fields: &[
        Field::required("id", Kind::Uuid),
        Field::required("delay", Kind::Integer { min: 1, max: DELAY_TICKS_MAX }),
    ],
    refuses_unknown: false,
};

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
    let DelayBody { id, delay } = DELAY.read(&body)?;
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

#[cfg(test)]
mod tests {
    use actix_web::{body::MessageBody as _, test::TestRequest};

    use super::*;

    #[test]
    fn each_tenant_has_bodies_of_its_own() {
        let (last, value) = (Last::default(), Arc::new(()));
        let request = TestRequest::default().to_http_request();
        let answer = |tenant: &str, value: &Arc<()>, body: &'static [u8]| {
            let answer = last.answer(Tenant::other(tenant), &request, value, |()| body.to_vec());
            answer.into_body().try_into_bytes().unwrap_or_default()
        };
        assert_eq!(answer("a", &value, b"of a"), "of a");
        assert_eq!(answer("b", &value, b"of b"), "of b");
        assert_eq!(answer("a", &value, b"again"), "of a", "it is rendered once");
        assert_eq!(answer("a", &Arc::new(()), b"new"), "new");
        assert_eq!(answer("b", &value, b"again"), "of b");
    }
}

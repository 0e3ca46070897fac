//! What every request passes: whether there is room for it, whether it is plain and no page elsewhere sends it, how long it may take, that it gets an answer, and that
//! it is counted.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use evenkeel_core::text;
use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    access::Access,
    answers, connections,
    metrics::{Requests, literal},
    problem::Problem,
};

/// Longest a request may take, its body included: a commit waits at most for a checkpoint, and a body
/// of 4 MiB needs 64 kbit/s for longer than anybody should.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Longest path in a log.
const PATH_CHARS_MAX: usize = 200;

/// One for each thread that serves.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) access: Arc<Access>,
    pub(super) requests: Requests,
}

impl Front {
    /// The same, with counters of its own, so that threads do not wait for each other.
    pub(super) fn for_thread(&self) -> Self {
        Self { access: Arc::clone(&self.access), requests: self.requests.for_thread() }
    }

    pub(super) async fn pass(
        self: Arc<Self>,
        mut request: ServiceRequest,
        next: Next<impl MessageBody + 'static>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let begun = Instant::now();
        if let Some(refused) = self.refused(&mut request) {
            self.requests.count(request.method(), None, refused.status(), begun.elapsed());
            return Ok(request.into_response(refused));
        }
        // The router needs the request for itself alone, so nothing of it can be kept but copies.
        let (method, path) = (request.method().clone(), request.path().to_owned());
        let is_head = answers::head_is_get(&mut request);
        let answer = async { answers::leave(next.call(request).await?.map_into_boxed_body(), is_head).await };
        let answer = in_time(answer, &path).await;
        let (route, status) = match &answer {
            Ok(answer) => (matched(answer, &path), answer.status()),
            Err(error) => (None, error.as_response_error().status_code()),
        };
        self.requests.count(&method, route, status, begun.elapsed());
        answer
    }

    /// What a request is answered with that does not come as far as the router.
    fn refused(&self, request: &mut ServiceRequest) -> Option<HttpResponse> {
        if let Some(response) = connections::refused(request) {
            return Some(response);
        }
        if let Err(problem) = self.access.check(request) {
            return Some(problem.to_response());
        }
        self.access.base_path().take_off(request)
    }
}

/// The route that the router found, for those who count.
fn matched(answer: &ServiceResponse<BoxBody>, path: &str) -> Option<Cow<'static, str>> {
    literal(path).or_else(|| answer.request().match_pattern().map(Cow::Owned))
}

/// `answer`, or in its place what is wrong with a handler that panics or takes too long.
async fn in_time(
    answer: impl Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
    path: &str,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let problem = match tokio::time::timeout(REQUEST_MAX, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(_panic)) => {
            let path = text::shown(path, PATH_CHARS_MAX);
            tracing::error!(path, "a request handler panicked");
            let detail = "the server failed on this request; it has been logged";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
        }
        Err(_elapsed) => {
            let detail = format!("the request took longer than {} s", REQUEST_MAX.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
        }
    };
    Err(problem.into())
}

//! Every request gets an answer: a panic becomes a 500, a body that never ends a 408.

use std::{panic::AssertUnwindSafe, time::Duration};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};
use futures_util::FutureExt;

use super::problem::Problem;

/// Longest a request may take, its body included: a commit waits at most for a checkpoint, and a body
/// of 4 MiB needs 64 kbit/s for longer than anybody should.
const REQUEST_MAX: Duration = Duration::from_secs(30);

pub(super) async fn answer_always(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let path = request.path().to_owned();
    let answer = AssertUnwindSafe(next.call(request)).catch_unwind();
    let problem = match tokio::time::timeout(REQUEST_MAX, answer).await {
        Ok(Ok(answer)) => return answer.map(ServiceResponse::map_into_boxed_body),
        Ok(Err(_panic)) => {
            tracing::error!(path, "a request handler panicked");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the server failed on this request; it has been logged",
            )
        }
        Err(_elapsed) => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request took longer than {} s", REQUEST_MAX.as_secs()),
        ),
    };
    Err(problem.into())
}
